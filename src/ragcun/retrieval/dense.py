"""Dense retrievers, which rank documents by the similarity of vectors."""

from dataclasses import asdict
from typing import Any, Protocol

from ragcun.data.texts import Texts
from ragcun.distributed.collectives import process_count
from ragcun.embedding.api import ApiEmbedder
from ragcun.errors import UserError
from ragcun.files import ragcun_cache
from ragcun.retrieval.candidates.device import accelerator
from ragcun.retrieval.checkpoint import Checkpoints
from ragcun.retrieval.codecs.spec import CodecSpec
from ragcun.retrieval.distributed import distributed_search
from ragcun.retrieval.matrices import Matrix
from ragcun.retrieval.memory import Resources
from ragcun.retrieval.retrievers import Identified, RetrieverOptions
from ragcun.retrieval.search import SIMILARITIES
from ragcun.retrieval.topk import Rows, TopK


class Embeds(Protocol):
    """A model that embeds queries and documents: an `Embedder` or an `ApiEmbedder`."""

    similarity: str

    def queries(self, texts: Texts, /) -> Identified: ...

    def documents(self, texts: Texts, /) -> Identified: ...

    def describe(self) -> dict[str, Any]: ...


class Dense:
    """A retriever that searches by the encoder's own similarity and prompts, exactly or with an index.

    The state of a long exact search is cached, so that an interrupted search resumes. With a `codec`, the documents'
    vectors are compressed by a codec that is fitted to the corpus, and queries keep full precision.

    Raises:
        UserError: the encoder's similarity is not supported by the search.
    """

    def __init__(self, embedder: Embeds, label: str, options: RetrieverOptions, codec: CodecSpec | None = None) -> None:
        if embedder.similarity not in SIMILARITIES:
            raise UserError(
                f"{label}: its similarity {embedder.similarity} is not supported by search; use "
                f"MODEL:similarity=NAME with one of {', '.join(SIMILARITIES)}"
            )
        self.label = label
        self._embedder = embedder
        self._options = options
        self._codec = codec
        self._last: dict[str, Any] = {}

    def rank(self, corpus: Texts, queries: Texts, k: int, id_ranks: Rows, exclude: Rows) -> TopK:
        """Return the k best documents of each query; arguments and result are those of `search.search`."""
        kind, similarity = self._options.index, self._embedder.similarity
        if kind != "exact" and process_count() > 1:
            raise UserError(f"--index {kind}: several processes can share only an exact search")
        asked, documents = self._embedder.queries(queries), self._embedder.documents(corpus)
        self._last = {"vectors": {"queries": asked.fingerprint, "documents": documents.fingerprint}}
        if self._codec is not None:
            return self._by_codes(self._codec, asked, documents, k, id_ranks, exclude)
        resources = Resources(
            self._options.memory,
            accelerator(self._options.device),
            Checkpoints(ragcun_cache() / "searches", documents.fingerprint),
        )
        if kind == "exact":
            return distributed_search(
                asked, documents, k, similarity, id_ranks=id_ranks, exclude=exclude, resources=resources
            )
        from ragcun.retrieval.approximate import search_index

        top, index = search_index(
            kind, asked, documents, k, similarity, id_ranks=id_ranks, exclude=exclude, resources=resources
        )
        self._last["index"] = asdict(index)
        return top

    @property
    def similarity(self) -> str:
        """The similarity by which documents are ranked, one of `search.SIMILARITIES`."""
        return self._embedder.similarity

    def vectors(self, corpus: Texts, queries: Texts) -> tuple[Identified, Identified]:
        """Return the vectors of queries (Q, d) and documents (N, d), as `rank` compares them."""
        return self._embedder.queries(queries), self._embedder.documents(corpus)

    def _by_codes(
        self, spec: CodecSpec, queries: Matrix, documents: Matrix, k: int, id_ranks: Rows, exclude: Rows
    ) -> TopK:
        from ragcun.retrieval.codecs.search import FittedCodec, rescore

        if process_count() > 1:
            raise UserError(f"{self.label}: a search of codes is done by one process only; start it without a launcher")
        similarity, resources = self._embedder.similarity, Resources(self._options.memory)
        fitted = FittedCodec.fit(documents, spec, similarity)
        coded = fitted.encode(documents)
        self._last["codec"] = fitted.describe(coded)
        queries_QD = queries.block(0, queries.shape[0])
        depth = k if spec.rescore is None else spec.rescore
        top = fitted.search(queries_QD, coded, depth, id_ranks, exclude, resources)
        return top if spec.rescore is None else rescore(queries_QD, documents, top, k, similarity, id_ranks)

    def describe(self) -> dict[str, Any]:
        """Return everything that determines the last ranking, as JSON."""
        return self._embedder.describe() | self._last


class Priced:
    """A retriever that searches an API's vectors, after the user has agreed to the costs."""

    def __init__(
        self, embedder: ApiEmbedder, label: str, options: RetrieverOptions, codec: CodecSpec | None = None
    ) -> None:
        self.label = label
        self._embedder = embedder
        self._dense = Dense(embedder, label, options, codec)

    def rank(self, corpus: Texts, queries: Texts, k: int, id_ranks: Rows, exclude: Rows) -> TopK:
        """Return the k best documents of each query; arguments and result are those of `search.search`."""
        if process_count() > 1:
            raise UserError(f"{self.label}: an embeddings API is used by one process only; start it without a launcher")
        self._embedder.agree(queries, corpus)
        return self._dense.rank(corpus, queries, k, id_ranks, exclude)

    @property
    def similarity(self) -> str:
        """The similarity by which documents are ranked, one of `search.SIMILARITIES`."""
        return self._dense.similarity

    def vectors(self, corpus: Texts, queries: Texts) -> tuple[Identified, Identified]:
        """Return the vectors of queries (Q, d) and documents (N, d), as `rank` compares them."""
        self._embedder.agree(queries, corpus)
        return self._dense.vectors(corpus, queries)

    def describe(self) -> dict[str, Any]:
        """Return everything that determines the ranking, as JSON."""
        return self._dense.describe()
