"""FAISS' product quantiser, with and without an optimised rotation, and its RaBitQ, as peers.

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
    """A codec of FAISS' factory: `sa_encode` and `sa_decode`.

    Decoded documents and full-precision queries compared by inner product or distance are what FAISS calls asymmetric
    distance computation.

    Args:
        index: trained.
    """

    def __init__(self, index: Any) -> None:
        self.index = index

    @classmethod
    def saved(cls, tensors: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The codec with these `tensors`."""
        return cls(faiss.deserialize_index(tensors["faiss"]))

    def encode(self, vectors_Nk: Floats, /) -> Codes:
        """Codes, (N, `index.sa_code_size()`)."""
        return np.asarray(self.index.sa_encode(np.ascontiguousarray(vectors_Nk)))

    def decode(self, codes_NB: Codes, /) -> Floats:
        """FAISS' reconstruction."""
        return np.asarray(self.index.sa_decode(np.ascontiguousarray(codes_NB)))

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """The index without vectors, as FAISS serialises it."""
        return {"faiss": faiss.serialize_index(self.index)}


class RaBitQCodec(FaissCodec):
    """`IndexRaBitQ`, one bit a coordinate and eight bytes, with a full-precision query (qb = 0).

    FAISS estimates |q - x|^2 from the signs s, |x - c|^2 and a factor f: q.x is about q.(c + f s) + b, where b is the
    same for all queries. So a decoded vector has b as one coordinate more, and queries have a 1 there.
    """

    def queries(self, vectors_Qk: Floats, /) -> Floats:
        """(Q, k + 1)."""
        return np.pad(vectors_Qk, ((0, 0), (0, 1)), constant_values=1)

    def similarity(self, _: str, /) -> str:
        """Inner products, which rank as the coordinates' own similarity does."""
        return "dot"

    def decode(self, codes_NB: Codes, /) -> Floats:
        """(N, k + 1)."""
        vectors_Nk = super().decode(codes_NB)
        centre_k = faiss.vector_to_array(self.index.center)
        at = -(-self.index.d // 8)
        squares_N = np.ascontiguousarray(codes_NB[:, at : at + 4]).view("<f4")[:, 0]
        bias_N = -(vectors_Nk - centre_k) @ centre_k - squares_N / 2
        return np.concatenate([vectors_Nk, bias_N[:, None]], axis=1)


def product_quantiser(sample_Nk: Floats, size: int | None, rotated: bool) -> FaissCodec:
    """A product quantiser of `size` bytes, 256 centroids each; one for each eight coordinates by default.

    Raises `UserError` where the coordinates cannot be divided among so many.
    """
    dimension = sample_Nk.shape[1]
    parts = size or max(1, dimension // 8)
    if dimension % parts:
        raise UserError(f"pq{parts}: {dimension} dimensions are not a multiple of {parts} bytes; give other --dims")
    index: Any = faiss.index_factory(dimension, f"OPQ{parts},PQ{parts}" if rotated else f"PQ{parts}")
    quantiser: Any = faiss.downcast_index(index.index) if rotated else index
    quantiser.do_polysemous_training = False
    quantiser.pq.cp.min_points_per_centroid = 1  # a small corpus is no reason to warn
    if rotated:
        rotation: Any = faiss.downcast_VectorTransform(index.chain.at(0))
        learned = faiss.ProductQuantizer(dimension, parts, 8)  # as the rotation would make it
        learned.cp.min_points_per_centroid = 1
        rotation.pq = learned
    # FAISS refuses fewer vectors than centroids, and OPQ with fewer than dimensions writes where it must not.
    times = -(-max(_CENTROIDS, dimension) // len(sample_Nk))
    index.train(np.tile(sample_Nk, (times, 1)))
    if rotated:
        rotation.pq = None  # the rotation does not own it
    return FaissCodec(index)


def rabitq(sample_Nk: Floats, similarity: str) -> RaBitQCodec:
    """FAISS' RaBitQ, centred on the mean of the sample."""
    metric = faiss.METRIC_L2 if similarity == "euclidean" else faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexRaBitQ(sample_Nk.shape[1], metric)
    index.qb = 0
    index.train(np.ascontiguousarray(sample_Nk))
    return RaBitQCodec(index)
