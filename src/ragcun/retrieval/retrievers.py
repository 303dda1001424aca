"""From the name that a user types to a retriever. Naming one is cheap: torch is imported only when one is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ragcun.data.texts import Texts
from ragcun.embedding.resolve import resolve_model
from ragcun.retrieval.bm25 import BM25
from ragcun.retrieval.topk import Rows, TopK

if TYPE_CHECKING:
    from ragcun.embedding.base import Precision


class Retriever(Protocol):
    """Whatever ranks a corpus for queries."""

    label: str

    def rank(self, corpus: Texts, queries: Texts, k: int, places: Rows, exclude: Rows) -> TopK: ...

    def describe(self) -> dict[str, Any]: ...


BUILT_IN: dict[str, type[BM25]] = {"bm25": BM25}


@dataclass(frozen=True)
class Encoding:
    """How encoders encode: the folder of all stores, precision, tokens at most (None: the model's own), device."""

    store: Path
    precision: "Precision" = "fp32"
    max_length: int | None = None
    device: str | None = None


@dataclass(frozen=True)
class Identity:
    """A retriever before it is loaded: its name in tables, and what determines its rankings (JSON)."""

    label: str
    inputs: dict[str, Any]


def identify(name: str, encoding: Encoding) -> Identity:
    """What the retriever called `name` is: a key of `BUILT_IN`, or an encoder as `resolve_model` finds it.

    Raises as `resolve_model` does.
    """
    if name in BUILT_IN:
        return Identity(BUILT_IN[name].label, BUILT_IN[name]().describe())
    resolved = resolve_model(name)
    inputs = {"files": resolved.fingerprint, "precision": encoding.precision, "max_length": encoding.max_length}
    return Identity(resolved.label, inputs)


def load_retriever(name: str, encoding: Encoding) -> Retriever:
    """The retriever called `name`, ready to rank."""
    if name in BUILT_IN:
        return BUILT_IN[name]()
    from ragcun.embedding.embedder import Embedder
    from ragcun.retrieval.dense import Dense

    return Dense(Embedder(name, encoding.store, encoding.precision, encoding.max_length, encoding.device))
