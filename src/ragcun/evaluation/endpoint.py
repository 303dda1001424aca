"""Endpoints: the outcomes that can be evaluated for a retriever on a split of a collection, each with its own cells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ragcun.data.collection import Collection
from ragcun.evaluation.metrics import DEPTH, MEASURES
from ragcun.evaluation.results import Cell, Result
from ragcun.retrieval.retrievers import Retriever


class Compute(Protocol):
    """A function that scores a retriever, which the user called `model`, on a split, and completes the cell."""

    def __call__(
        self, model: str, retriever: Retriever, collection: Collection, split: str, cell: Cell, inputs: dict[str, Any]
    ) -> Result: ...


@dataclass(frozen=True)
class Endpoint:
    """An outcome that can be evaluated.

    Attributes:
        folder: the folder of its cells in the output folder.
        inputs: everything that determines its numbers besides retriever and data, as JSON.
        load: imports and returns the function that computes a cell.
        runs: whether runs of other systems, which have no vectors, can be scored, too.
    """

    folder: str
    inputs: Mapping[str, Any]
    load: Callable[[], Compute]
    runs: bool = False


def _ranking() -> Compute:
    from ragcun.evaluation.compute import compute

    return compute


RANKING = Endpoint("cells", {"measures": list(MEASURES), "depth": DEPTH}, _ranking, runs=True)
