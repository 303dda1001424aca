"""An encoder as a retriever: texts to vectors, vectors to rankings."""

from typing import Any, Protocol

from ragcun.data.texts import Texts
from ragcun.embedding.api import ApiEmbedder
from ragcun.retrieval.search import Matrix, search
from ragcun.retrieval.topk import Rows, TopK


class Embeds(Protocol):
    """Whatever gives queries and documents vectors: an `Embedder`, an `ApiEmbedder`."""

    similarity: str

    def queries(self, texts: Texts, /) -> Matrix: ...

    def documents(self, texts: Texts, /) -> Matrix: ...

    def describe(self) -> dict[str, Any]: ...


class Dense:
    """Exact search by the encoder's own similarity, with its own prompts. A retriever."""

    def __init__(self, embedder: Embeds, label: str) -> None:
        self.label = label
        self._embedder = embedder

    def rank(self, corpus: Texts, queries: Texts, k: int, places: Rows, exclude: Rows) -> TopK:
        """The k best documents of each query; arguments and result as those of `search.search`."""
        return search(
            self._embedder.queries(queries),
            self._embedder.documents(corpus),
            k,
            self._embedder.similarity,
            places=places,
            exclude=exclude,
        )

    def describe(self) -> dict[str, Any]:
        """Everything that determines the ranking; JSON."""
        return self._embedder.describe()


class Priced:
    """The same by an API's vectors: what they will cost is agreed to before anything is spent. A retriever."""

    def __init__(self, embedder: ApiEmbedder, label: str) -> None:
        self.label = label
        self._embedder = embedder
        self._dense = Dense(embedder, label)

    def rank(self, corpus: Texts, queries: Texts, k: int, places: Rows, exclude: Rows) -> TopK:
        """The k best documents of each query; arguments and result as those of `search.search`."""
        self._embedder.agree(queries, corpus)
        return self._dense.rank(corpus, queries, k, places, exclude)

    def describe(self) -> dict[str, Any]:
        """Everything that determines the ranking; JSON."""
        return self._embedder.describe()
