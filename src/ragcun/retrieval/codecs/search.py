"""Search in compressed documents.

Decoded documents are compared with full-precision queries by the exact search of `ragcun.retrieval.search`, block by
block, with the same treatment of ties and the same limit of memory.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragcun.console import progress
from ragcun.retrieval.codecs.codec import Codec, Coded
from ragcun.retrieval.codecs.registry import Asked
from ragcun.retrieval.codecs.space import Space, fit_space, sample
from ragcun.retrieval.codecs.spec import CodecSpec
from ragcun.retrieval.matrices import Matrix
from ragcun.retrieval.memory import Resources
from ragcun.retrieval.rescore import rescored
from ragcun.retrieval.search import search
from ragcun.retrieval.topk import Floats, Rows, TopK, best, to_rows
from ragcun.slices import slices

_BLOCK = 8_192
_QUERIES = 256  # queries whose candidates are scored again at a time
_VECTORS = 1_024  # candidates' vectors that one thread reads at a time


@dataclass(frozen=True)
class FittedCodec:
    """A codec and its coordinates, fitted to documents."""

    spec: CodecSpec
    space: Space
    codec: Codec

    @classmethod
    def fit(cls, documents: Matrix, spec: CodecSpec, similarity: str) -> "FittedCodec":
        """Fit a codec to a sample of `documents`, which are compared by `similarity`.

        Raises `UserError` if the documents or their dimensions are not suitable for the codec.
        """
        taken = sample(documents)
        space = fit_space(taken, similarity, spec.dims, spec.rotated, spec.whiten_power, spec.entry.centred)
        return cls(spec, space, spec.entry.fit(Asked(space.documents(taken), spec.size, space.similarity)))

    def encode(self, documents: Matrix) -> Coded:
        """Encode all documents in memory."""
        count = documents.shape[0]
        parts = []
        with progress(f"coding ({self.spec.name})", count, "documents") as bar:
            for part in slices(count, _BLOCK):
                parts.append(self.encode_block(documents.block(part.start, part.stop)))
                bar.advance(len(parts[-1]))
        return Coded(np.concatenate(parts), self.codec)

    def encode_block(self, vectors_Nb: Floats) -> Any:
        """Return the codes of documents, (N, B) bytes."""
        return self.codec.encode(self.space.documents(vectors_Nb))

    def search(
        self, queries_Qb: Floats, coded: Coded, k: int, id_ranks: Rows, exclude: Rows, resources: Resources
    ) -> TopK:
        """Return the k best documents of each query by their codes; see `search.search`."""
        asked_QW = self.codec.queries(self.space.queries(queries_Qb))
        similarity = self.codec.similarity(self.space.similarity)
        return search(asked_QW, coded, k, similarity, id_ranks=id_ranks, exclude=exclude, resources=resources)

    def describe(self, coded: Coded) -> dict[str, Any]:
        """Return the parameters, `bytes` per vector and `shared_bytes` of all vectors, as JSON."""
        shared = [*self.space.tensors().values(), *self.codec.tensors().values()]
        return self.spec.to_json() | {
            "dims": self.spec.dims or len(self.space.mean if self.space.mean is not None else []) or None,
            "whiten_power": self.space.power,
            "bytes": coded.bytes,
            "shared_bytes": sum(array.nbytes for array in shared),
        }


def rescore(queries_Qb: Floats, documents: Matrix, found: TopK, k: int, similarity: str, id_ranks: Rows) -> TopK:
    """Rank the documents found by their exact vectors and the model's own `similarity`; return the k best."""
    keys = []
    with ThreadPoolExecutor() as pool:
        for some in slices(len(queries_Qb), _QUERIES):
            keys_QK = rescored(queries_Qb[some], documents, found.rows[some], similarity, id_ranks, _VECTORS, pool)
            keys.append(best(keys_QK, k))
    return to_rows(np.concatenate(keys), id_ranks)
