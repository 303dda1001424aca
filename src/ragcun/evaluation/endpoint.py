"""Endpoints: what can be scored of a retriever on a split of a collection. Each has cells like the others' ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ragcun.data.collection import Collection
from ragcun.evaluation.metrics import DEPTH, MEASURES
from ragcun.evaluation.results import Cell, Result
from ragcun.retrieval.retrievers import Retriever


class Compute(Protocol):
    """Scores a retriever, which the user named `model`, on a split, and completes the cell."""

    def __call__(
        self, model: str, retriever: Retriever, collection: Collection, split: str, cell: Cell, inputs: dict[str, Any]
    ) -> Result: ...


@dataclass(frozen=True)
class Endpoint:
    """What is scored.

    Attributes:
        folder: the folder below the output that holds its cells.
        inputs: what determines its numbers besides retriever and data; JSON.
        load: imports and returns what computes a cell.
        runs: whether runs of other systems, which are rankings without vectors, can be scored, too.
    """

    folder: str
    inputs: Mapping[str, Any]
    load: Callable[[], Compute]
    runs: bool = False


def _ranking() -> Compute:
    from ragcun.evaluation.compute import compute

    return compute


RANKING = Endpoint("cells", {"measures": list(MEASURES), "depth": DEPTH}, _ranking, runs=True)
