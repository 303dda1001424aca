"""FAISS' product quantiser, with and without an optimised rotation, and FAISS' RaBitQ, for comparison.

N documents, k coordinates, B bytes of a code.
"""

from collections.abc import Mapping
from typing import Any, Self

import faiss
import numpy as np
import numpy.typing as npt

from ragcun.errors import UserError
from ragcun.retrieval.codecs.codec import Codes, Plain
from ragcun.retrieval.topk import Floats

_CENTROIDS = 256


class FaissCodec(Plain):
    """A codec of FAISS, with its `sa_encode` and `sa_decode`.

    Decoded documents are compared with full-precision queries, which FAISS calls asymmetric distance computation.

    Args:
        index: a trained index.
    """

    def __init__(self, index: Any) -> None:
        self.index = index

    @classmethod
    def saved(cls, tensors: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The codec with these `tensors`."""
        return cls(faiss.deserialize_index(tensors["faiss"]))

    def encode(self, vectors_Nk: Floats, /) -> Codes:
        """Return codes, (N, `index.sa_code_size()`)."""
        return np.asarray(self.index.sa_encode(np.ascontiguousarray(vectors_Nk)))

    def decode(self, codes_NB: Codes, /) -> Floats:
        """Return FAISS' reconstruction."""
        return np.asarray(self.index.sa_decode(np.ascontiguousarray(codes_NB)))

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the index without vectors, as FAISS serialises it."""
        return {"faiss": faiss.serialize_index(self.index)}


class RaBitQCodec(FaissCodec):
    """FAISS' `IndexRaBitQ`, with one bit per coordinate and eight bytes, and a full-precision query (qb = 0).

    FAISS estimates |q - x|^2 from the signs s, |x - c|^2 and a factor f: q.x is about q.(c + f s) + b, where b is the
    same for all queries. A decoded vector therefore has b as a further coordinate, where queries have a 1.
    """

    def queries(self, vectors_Qk: Floats, /) -> Floats:
        """Return queries with a further coordinate, (Q, k + 1)."""
        return np.pad(vectors_Qk, ((0, 0), (0, 1)), constant_values=1)

    def similarity(self, _: str, /) -> str:
        """Return "dot": inner products rank like the similarity of the coordinates."""
        return "dot"

    def decode(self, codes_NB: Codes, /) -> Floats:
        """Return decoded documents with a further coordinate, (N, k + 1)."""
        vectors_Nk = super().decode(codes_NB)
        centre_k = faiss.vector_to_array(self.index.center)
        at = -(-self.index.d // 8)
        squares_N = np.ascontiguousarray(codes_NB[:, at : at + 4]).view("<f4")[:, 0]
        bias_N = -(vectors_Nk - centre_k) @ centre_k - squares_N / 2
        return np.concatenate([vectors_Nk, bias_N[:, None]], axis=1)


def product_quantiser(sample_Nk: Floats, size: int | None, rotated: bool) -> FaissCodec:
    """Fit a product quantiser of `size` bytes with 256 centroids each; the default is one byte for eight coordinates.

    Raises `UserError` if the coordinates cannot be divided by the number of bytes.
    """
    dimension = sample_Nk.shape[1]
    parts = size or max(1, dimension // 8)
    if dimension % parts:
        raise UserError(f"pq{parts}: {dimension} dimensions are not a multiple of {parts} bytes; give other --dims")
    index: Any = faiss.index_factory(dimension, f"OPQ{parts},PQ{parts}" if rotated else f"PQ{parts}")
    quantiser: Any = faiss.downcast_index(index.index) if rotated else index
    quantiser.do_polysemous_training = False
    quantiser.pq.cp.min_points_per_centroid = 1  # prevents a warning for a small corpus
    if rotated:
        rotation: Any = faiss.downcast_VectorTransform(index.chain.at(0))
        learned = faiss.ProductQuantizer(dimension, parts, 8)  # the same as FAISS' default for the rotation
        learned.cp.min_points_per_centroid = 1
        rotation.pq = learned
    # FAISS refuses fewer vectors than centroids. With fewer vectors than dimensions, OPQ writes beyond its buffer.
    times = -(-max(_CENTROIDS, dimension) // len(sample_Nk))
    index.train(np.tile(sample_Nk, (times, 1)))
    if rotated:
        rotation.pq = None  # the rotation does not own the quantiser
    return FaissCodec(index)


def rabitq(sample_Nk: Floats, similarity: str) -> RaBitQCodec:
    """Fit FAISS' RaBitQ, centred on the mean of the sample."""
    metric = faiss.METRIC_L2 if similarity == "euclidean" else faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexRaBitQ(sample_Nk.shape[1], metric)
    index.qb = 0
    index.train(np.ascontiguousarray(sample_Nk))
    return RaBitQCodec(index)
