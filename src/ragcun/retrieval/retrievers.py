"""The protocols of retrievers before and after loading, without heavy imports."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from ragcun.data.provenance import Provenance
from ragcun.data.texts import Texts
from ragcun.embedding.budget import OPENAI, Budget
from ragcun.retrieval.matrices import Matrix
from ragcun.retrieval.run_files import RunFiles
from ragcun.retrieval.topk import Rows, TopK

if TYPE_CHECKING:
    from ragcun.embedding.base import Precision


IndexKind = Literal["exact", "hnsw", "ivfpq"]


class Retriever(Protocol):
    """A system that ranks a corpus for queries.

    Attributes:
        label: its name in tables.
    """

    label: str

    def rank(self, corpus: Texts, queries: Texts, k: int, id_ranks: Rows, exclude: Rows) -> TopK:
        """Return the k best documents of each query; arguments and result are those of `search.search`."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return everything that determines the ranking, as JSON."""
        ...


class Identified(Matrix, Protocol):
    """Vectors with a fingerprint that changes with any bit of them."""

    @property
    def fingerprint(self) -> str: ...


@runtime_checkable
class HasVectors(Protocol):
    """A retriever that compares vectors: `dense.Dense`, `dense.Priced`."""

    similarity: str

    def vectors(self, corpus: Texts, queries: Texts, /) -> tuple[Identified, Identified]: ...


@dataclass(frozen=True)
class RetrieverOptions:
    """The options by which encoders encode, and their vectors are searched.

    Attributes:
        store: the folder of all embedding stores.
        precision: the precision of a base's computation.
        max_length: the maximum number of tokens; None is the retriever's own.
        device: the device, as torch names it; None is the fastest.
        runtime: the runtime of a base: a name of `embedding.runtimes.RUNTIMES`, or "auto".
        memory: the bytes that the process may hold during a search; see `search.search`.
        index: "exact", or an approximate index of FAISS.
        api_url: the base URL of the API for `openai:...`.
        budget: the limit of the cost of API embeddings.
    """

    store: Path
    precision: "Precision" = "fp32"
    max_length: int | None = None
    device: str | None = None
    runtime: str = "auto"
    memory: int | None = None
    index: IndexKind = "exact"
    api_url: str = OPENAI
    budget: Budget = field(default_factory=Budget)

    @property
    def note(self) -> str:
        """The note after an encoder's name in tables."""
        return "" if self.index == "exact" else f" ({self.index.upper()})"


@dataclass(frozen=True)
class Identity:
    """A retriever before it is loaded.

    Attributes:
        label: the retriever's name in tables.
        inputs: everything that determines its rankings, as JSON.
        provenance: the data that it was trained on; None if they are unknown.
        runs: its rankings, if another system made them.
    """

    label: str
    inputs: dict[str, Any]
    provenance: Provenance | None = None
    runs: RunFiles | None = None


class Entry(Protocol):
    """A retriever's parsed name."""

    def identify(self, options: RetrieverOptions) -> Identity:
        """Return the retriever's identity without loading a model. Raises `UserError` if there is no such model."""
        ...

    def load(self, options: RetrieverOptions) -> Retriever:
        """Load the retriever, ready to rank."""
        ...
