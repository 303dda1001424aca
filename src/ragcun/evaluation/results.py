"""Results of evaluation, read back from their files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragcun.errors import UserError
from ragcun.files import read_json


@dataclass(frozen=True)
class Result:
    """One model on one dataset: its mean scores (0 to 1) by metric, and the settings that a reader needs.

    `path` is the file that says so; the scores of each query are beside it.
    """

    label: str
    dataset: str
    split: str
    metrics: Mapping[str, float]
    settings: Mapping[str, Any]
    path: Path = field(compare=False)


def read_results(folder: Path) -> list[Result]:
    """Read every result.json below `folder`, in the order of their paths.

    Raises `UserError` where a file is no result, or where two files give one model two different results.
    """
    found: dict[tuple[str, str, str], Result] = {}
    for path in sorted(folder.rglob("result.json")):
        content = read_json(path)
        try:
            result = Result(
                label=str(content.get("label") or content["model"]),
                dataset=str(content["dataset"]),
                split=str(content["split"]),
                metrics={name: float(value) for name, value in content["metrics"].items()},
                settings=content.get("settings") or {},
                path=path,
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UserError(f"{path}: not an evaluation result (model, dataset, split, metrics)") from None
        cell = (result.label, result.dataset, result.split)
        known = found.setdefault(cell, result)
        if known != result:
            raise UserError(
                f"{known.path} and {path} hold different results of {result.label!r} on {result.dataset}; "
                "report on one folder at a time"
            )
    return list(found.values())
