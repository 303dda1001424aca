"""Results of evaluation, in memory and as files.

OUTPUT/cells/LABEL/DATASET/SPLIT/run.trec         the ranking; other endpoints have other folders than `cells`
OUTPUT/cells/LABEL/DATASET/SPLIT/scores.parquet   query_id, and a column for each measure
OUTPUT/cells/LABEL/DATASET/SPLIT/result.json      the record with the checksums of all three, which is written last; a
                                                  cell that is incomplete or damaged is computed again
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ragcun.console import say
from ragcun.data.benchmark import datasets
from ragcun.distributed import launched_processes
from ragcun.errors import UserError
from ragcun.intact import DamagedError, check_files, check_listed, or_else, read_record, write_record
from ragcun.lock import only_writer

_LONGEST = 150  # the maximum length of a folder's name, in bytes
_AGAIN = "run the command that wrote it again, which computes it again"
_OTHER = "cells-"  # the prefix of the folders of other endpoints


@dataclass(frozen=True)
class Result:
    """The scores of one retriever on one split of one dataset.

    Two results are equal if they have the same content, independent of paths and times.

    Attributes:
        label: the retriever's name in tables.
        metrics: measure -> mean over the judged queries, 0 to 1.
        settings: everything that determines the retriever's rankings (`Retriever.describe`).
        path: the result.json; for a mean over parts, the folder that contains theirs.
        model: the retriever's name as the user gave it.
        queries: the number of judged queries.
        documents: the number of documents in the corpus.
        seconds: the wall time of encoding texts that were not stored, of ranking and of scoring.
        domain: the domain of the dataset for the retriever: "in-domain", "out-of-domain" or "guard" (see
            `data.provenance`); None if it is unknown.
        parts: the results whose mean this is, if the dataset consists of several collections.
    """

    label: str
    dataset: str
    split: str
    metrics: Mapping[str, float]
    settings: Mapping[str, Any]
    path: Path = field(compare=False)
    model: str = field(default="", compare=False)
    queries: int = field(default=0, compare=False)
    documents: int = field(default=0, compare=False)
    seconds: float = field(default=0.0, compare=False)
    domain: str | None = None
    parts: "tuple[Result, ...]" = ()

    @property
    def run(self) -> Path:
        """The file of the ranking."""
        return self.path.with_name("run.trec")

    @property
    def scores(self) -> Path:
        """The file of each query's scores."""
        return self.path.with_name("scores.parquet")

    @classmethod
    def from_json(cls, content: Any, path: Path) -> "Result":
        """Make the result from the content of `path`. Raises `UserError` if it is not a result."""
        try:
            return cls(
                label=str(content.get("label") or content["model"]),
                dataset=str(content["dataset"]),
                split=str(content["split"]),
                metrics={name: float(value) for name, value in content["metrics"].items()},
                settings=content.get("settings") or {},
                path=path,
                model=str(content["model"]),
                queries=int(content.get("queries", 0)),
                documents=int(content.get("documents", 0)),
                seconds=float(content.get("seconds", 0)),
                domain=content.get("domain"),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise UserError(f"{path}: not an evaluation result (model, dataset, split, metrics)") from None

    def to_json(self) -> dict[str, Any]:
        """Return the content of result.json: everything except paths and parts, which have their own files."""
        names = ("model", "label", "dataset", "split", "domain", "metrics", "queries", "documents", "seconds")
        return {name: getattr(self, name) for name in (*names, "settings")}


class Cell:
    """The folder in `output` for the result of the retriever `label` on a split of a dataset.

    `kind` is the folder of the endpoint.
    """

    def __init__(self, output: Path, label: str, dataset: str, split: str, kind: str = "cells") -> None:
        self.path = output / kind / slug(label) / dataset / split / "result.json"

    def read(self, model: str, inputs: dict[str, Any]) -> Result | None:
        """Read the result, for a retriever that the user called `model`; None unless it is complete and of `inputs`.

        A damaged result is reported and removed.
        """
        if not self.path.is_file():
            return None
        try:
            content = read_record(self.path, files=False)
            if content.get("inputs") != inputs:
                return None
            check_files(self.path, content)
            result = replace(Result.from_json(content, self.path), model=model)
        except (DamagedError, UserError) as error:
            say(f"{error}; it is computed again")
            self.clear()
            return None
        return result if result.run.is_file() and result.scores.is_file() else None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the cell while the block computes it; if another process is computing it, wait.

        Processes of a launcher do the same work and do not wait. Raises `UserError` if they would have to.
        """
        with only_writer(self.path.parent, "ragcun eval", wait=launched_processes() == 1):
            yield

    def clear(self) -> None:
        """Make the cell incomplete, so that no former result remains next to files that are written again."""
        self.path.unlink(missing_ok=True)

    def write(self, result: Result, inputs: dict[str, Any], record: dict[str, Any], files: Iterable[Path] = ()) -> None:
        """Complete the cell. `inputs` determines its numbers, and `record` is further information; both are JSON.

        `files` are files in its folder that belong to it besides the run and the scores.
        """
        write_record(self.path, result.to_json() | {"inputs": inputs} | record, [result.run, result.scores, *files])


def slug(label: str) -> str:
    """Turn a label into a folder's name of at most 255 bytes; a long one is cut and made distinct by a hash."""
    name = re.sub(r"[^\w.+-]+", "-", label).strip("-.") or "model"
    if len(name.encode()) <= _LONGEST:
        return name
    return f"{name.encode()[:_LONGEST].decode(errors='ignore')}-{hashlib.sha256(label.encode()).hexdigest()[:12]}"


def read_results(folder: Path) -> list[Result]:
    """Read every result.json in `folder`, in the order of paths; those of other endpoints only from their own folder.

    Raises `UserError` if a file is not a result, or if two files have different results of one model, and `RagcunError`
    if one is damaged.
    """
    found: dict[tuple[str, str, str], Result] = {}
    for path in sorted(folder.rglob("result.json")):
        if path.relative_to(folder).parts[-5:-4] and path.parts[-5].startswith(_OTHER):
            continue
        result = Result.from_json(result_record(path), path)
        known = found.setdefault((result.label, result.dataset, result.split), result)
        if known != result:
            raise UserError(
                f"{known.path} and {path} contain different results of {result.label!r} on {result.dataset}; "
                "use one folder at a time"
            )
    return list(found.values())


def check_part(path: Path) -> None:
    """Raise a `RagcunError` if the run or the scores at `path` are damaged, by the checksums in their result."""
    record = path.with_name("result.json")
    if record.is_file():
        with or_else(_AGAIN):
            check_listed(record, path)


def result_record(path: Path) -> dict[str, Any]:
    """Read a whole result.json. Raises a `RagcunError` if it is damaged."""
    with or_else(_AGAIN):
        return read_record(path, files=False)


def whole_datasets(names: Iterable[str]) -> dict[str, list[str]]:
    """Group names of datasets by rows: all parts of a dataset share its row, and others have their own."""
    there = list(dict.fromkeys(names))
    lines: dict[str, list[str]] = {}
    for name in there:
        whole = next((one for one in datasets().values() if name in {part.name for part in one.parts}), None)
        complete = whole is not None and all(part.name in there for part in whole.parts)
        lines.setdefault(whole.name if whole is not None and complete else name, []).append(name)
    return lines


def average_parts(results: Sequence[Result]) -> list[Result]:
    """Replace the results on all parts of a dataset by their mean; other results stay as they are.

    CQADupStack is the mean over its 12 forums, which have equal weights, independent of their numbers of queries.
    """
    groups: dict[tuple[str, str], dict[str, Result]] = {}
    for result in results:
        groups.setdefault((result.label, result.split), {})[result.dataset] = result
    return [
        found[names[0]] if names == [name] else _mean(name, [found[part] for part in names])
        for found in groups.values()
        for name, names in whole_datasets(found).items()
    ]


def _mean(dataset: str, parts: Sequence[Result]) -> Result:
    measures = [measure for measure in parts[0].metrics if all(measure in part.metrics for part in parts)]
    return replace(
        parts[0],
        dataset=dataset,
        metrics={measure: sum(part.metrics[measure] for part in parts) / len(parts) for measure in measures},
        path=Path(os.path.commonpath([part.path for part in parts])),
        queries=sum(part.queries for part in parts),
        documents=sum(part.documents for part in parts),
        seconds=sum(part.seconds for part in parts),
        parts=tuple(parts),
    )
