"""An encoder as a retriever: texts to vectors, vectors to rankings."""

from typing import Any

from ragcun.data.texts import Texts
from ragcun.embedding.embedder import Embedder
from ragcun.retrieval.search import search
from ragcun.retrieval.topk import Rows, TopK


class Dense:
    """Exact search by the encoder's own similarity, with its own prompts. A retriever."""

    def __init__(self, embedder: Embedder) -> None:
        self.label = embedder.label
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
