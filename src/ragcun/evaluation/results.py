"""Results of evaluation, in memory and as files.

OUTPUT/cells/LABEL/DATASET/SPLIT/run.trec         the ranking; other endpoints have a folder of their own beside cells
OUTPUT/cells/LABEL/DATASET/SPLIT/scores.parquet   query_id, and a column for each measure
OUTPUT/cells/LABEL/DATASET/SPLIT/result.json      is written last, with checksums of all three: a cell is complete and
                                                  intact, or is computed again
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
from ragcun.intact import DamagedError, check_files, or_else, read_record, write_record
from ragcun.lock import only_writer

_LONGEST = 150  # bytes of a folder's name
_AGAIN = "give the command that wrote it again: it is computed anew"
_OTHER = "cells-"  # begins the folders of other endpoints' cells


@dataclass(frozen=True)
class Result:
    """The scores of one retriever on one split of one dataset.

    Two results are equal where they say the same of the same retriever and data, wherever and whenever that was found.

    Attributes:
        label: the retriever's name in tables.
        metrics: measure -> mean over the judged queries, 0 to 1.
        settings: what determines the retriever's rankings (`Retriever.describe`).
        path: its result.json; of a mean over parts, the folder that holds theirs.
        model: the retriever as the user named it.
        queries: number of judged queries.
        documents: number of documents in the corpus.
        seconds: wall time to encode what was not in the store, to rank and to score.
        domain: the domain of the dataset for the retriever: "in-domain", "out-of-domain" or "guard" (see
            `data.provenance`); None if unknown.
        parts: the results whose mean this is, where the dataset is several collections.
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
        """The result that `path` holds. Raises `UserError` where `content` is not one."""
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
        """The contents of result.json: everything but the paths of files, and parts, which have their own files."""
        names = ("model", "label", "dataset", "split", "domain", "metrics", "queries", "documents", "seconds")
        return {name: getattr(self, name) for name in (*names, "settings")}


class Cell:
    """The place below `output` of what the retriever called `label` scores on a split of a dataset.

    `kind` is the folder of the endpoint that scores it.
    """

    def __init__(self, output: Path, label: str, dataset: str, split: str, kind: str = "cells") -> None:
        self.path = output / kind / slug(label) / dataset / split / "result.json"

    def read(self, model: str, inputs: dict[str, Any]) -> Result | None:
        """The result, for a retriever that the user named `model`; None unless it is complete and `inputs` made it.

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
            say(f"{error}; computed again")
            self.clear()
            return None
        return result if result.run.is_file() and result.scores.is_file() else None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Compute the cell in such a block; where another process is at it, wait for that one.

        Launched processes work in step, and do not wait. Raises `UserError` where they would have to.
        """
        with only_writer(self.path.parent, "ragcun eval", wait=launched_processes() == 1):
            yield

    def clear(self) -> None:
        """Make the cell incomplete, so that no old result stands beside files that are about to be written anew."""
        self.path.unlink(missing_ok=True)

    def write(self, result: Result, inputs: dict[str, Any], record: dict[str, Any], files: Iterable[Path] = ()) -> None:
        """Make the cell complete. `inputs` determines its numbers, `record` says how they came about; both JSON.

        `files` lie in its folder and belong to it besides the run and the scores.
        """
        write_record(self.path, result.to_json() | {"inputs": inputs} | record, [result.run, result.scores, *files])


def slug(label: str) -> str:
    """A label as a folder's name, of at most 255 bytes: a long one is cut, and a hash keeps it distinct."""
    name = re.sub(r"[^\w.+-]+", "-", label).strip("-.") or "model"
    if len(name.encode()) <= _LONGEST:
        return name
    return f"{name.encode()[:_LONGEST].decode(errors='ignore')}-{hashlib.sha256(label.encode()).hexdigest()[:12]}"


def read_results(folder: Path) -> list[Result]:
    """Read every result.json below `folder`, in the order of their paths; those of other endpoints only in theirs.

    Raises `UserError` where a file is no result, or where two files give one model two different results, and
    `RagcunError` where one is damaged.
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
    """Raise a `RagcunError` where the run or the scores at `path` are not what the result beside them says."""
    record = path.with_name("result.json")
    if record.is_file():
        content = result_record(record)
        listed = {name: found for name, found in content.get("files", {}).items() if name == path.name}
        with or_else(_AGAIN):
            check_files(record, {"files": listed})


def result_record(path: Path) -> dict[str, Any]:
    """All that a result.json holds. Raises a `RagcunError` where it is damaged."""
    with or_else(_AGAIN):
        return read_record(path, files=False)


def whole_datasets(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of datasets by that of their line: parts by the whole's, where all are there, others by their own."""
    there = list(dict.fromkeys(names))
    lines: dict[str, list[str]] = {}
    for name in there:
        whole = next((one for one in datasets().values() if name in {part.name for part in one.parts}), None)
        complete = whole is not None and all(part.name in there for part in whole.parts)
        lines.setdefault(whole.name if whole is not None and complete else name, []).append(name)
    return lines


def average_parts(results: Sequence[Result]) -> list[Result]:
    """`results`, in whose place the parts of a dataset have one line where all of them are there.

    CQADupStack is the mean over its 12 forums, each of which counts the same however many queries it has.
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
