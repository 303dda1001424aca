"""The cells of a results table on disk, and which of them need not be computed again.

OUTPUT/cells/MODEL/DATASET/SPLIT/run.trec         the ranking
OUTPUT/cells/MODEL/DATASET/SPLIT/scores.parquet   query_id, and a column for each measure
OUTPUT/cells/MODEL/DATASET/SPLIT/result.json      written last: a cell is complete or has none
"""

import hashlib
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ragcun.errors import UserError
from ragcun.files import read_json, write_json

_LONGEST = 150  # bytes


@dataclass(frozen=True)
class CellResult:
    """What one retriever scores on one split of one collection.

    Attributes:
        model: the retriever as the user named it.
        label: its name in tables.
        metrics: measure -> mean over the judged queries, 0 to 1.
        queries: how many queries are judged.
        documents: how many documents the corpus has.
        seconds: wall time to encode what was not in the store, rank and score.
        run, scores: the files, relative to the output folder.
        settings: what determines the retriever's rankings (`Retriever.describe`).
    """

    model: str
    label: str
    dataset: str
    split: str
    metrics: dict[str, float]
    queries: int
    documents: int
    seconds: float
    run: str
    scores: str
    settings: dict[str, Any]


class Cell:
    """The place below `output` of what the retriever called `label` scores on a split of a dataset.

    Attributes:
        run, scores: the files.
    """

    def __init__(self, output: Path, label: str, dataset: str, split: str) -> None:
        folder = output / "cells" / slug(label) / dataset / split
        self.run = folder / "run.trec"
        self.scores = folder / "scores.parquet"
        self._result = folder / "result.json"

    def read(self, model: str, inputs: dict[str, Any]) -> CellResult | None:
        """The result, for a retriever asked for as `model`; None unless it is complete and `inputs` made it."""
        try:
            stored = read_json(self._result)
        except UserError:
            return None
        if stored.get("inputs") != inputs or not (self.run.is_file() and self.scores.is_file()):
            return None
        return replace(CellResult(**{field.name: stored[field.name] for field in fields(CellResult)}), model=model)

    def clear(self) -> None:
        """Make the cell incomplete, so that no old result stands beside files that are about to be written anew."""
        self._result.unlink(missing_ok=True)

    def write(self, result: CellResult, inputs: dict[str, Any], record: dict[str, Any]) -> None:
        """Make the cell complete. `inputs` determines its numbers, `record` says how they came about; both JSON."""
        write_json(self._result, asdict(result) | {"inputs": inputs} | record)


def slug(label: str) -> str:
    """A label as a folder's name, of at most 255 bytes: a long one is cut, and told from others by a hash."""
    name = re.sub(r"[^\w.+-]+", "-", label).strip("-.") or "model"
    if len(name.encode()) <= _LONGEST:
        return name
    return f"{name.encode()[:_LONGEST].decode(errors='ignore')}-{hashlib.sha256(label.encode()).hexdigest()[:12]}"
