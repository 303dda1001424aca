"""Scalar quantisation of rotated vectors, with one scale and the optimal codebook of a Gaussian.

After a random rotation, the coordinates of any vector are approximately Gaussian with equal variances. Each coordinate
is rounded to the nearest of the 2^b values with the least mean squared error for N(0, 1) (Lloyd 1982, Max 1960):
+-.7979 for one bit, +-.4528 and +-1.510 for two. The decoded vector y' is multiplied by |y|^2 / (y.y'), which takes two
bytes per vector and makes the inner product with a query unbiased over rotations (RaBitQ, arXiv 2405.12497, eq. 13; for
more bits 2409.09913).

N documents, k coordinates, b bits of each, B bytes of a code.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from ragcun.retrieval.codecs.codec import Codes, Plain, as_bytes, from_bytes
from ragcun.retrieval.topk import Floats

FACTOR = np.dtype("<f2")


@lru_cache
def gaussian_codebook(bits: int) -> Floats:
    """Compute the 2^bits values with the least mean squared error for N(0, 1), ascending, by Lloyd's algorithm."""
    count = 2**bits
    values = ndtri((np.arange(count) + 0.5) / count)
    for _ in range(100_000):
        edges = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
        density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
        better = (density[:-1] - density[1:]) / np.diff(ndtr(edges))
        moved = float(np.abs(better - values).max())
        values = better
        if moved < 1e-13:
            break
    return np.asarray((values - values[::-1]) / 2, dtype=np.float32)


def corrected(exact_Nk: Floats, rough_Nk: Floats) -> Floats:
    """Return the factors of decoded vectors, |y|^2 / (y.y'), (N,); 0 for a vector of zeros."""
    own_N = np.einsum("nk,nk->n", exact_Nk, exact_Nk)
    shared_N = np.einsum("nk,nk->n", exact_Nk, rough_Nk)
    factors_N = np.divide(own_N, shared_N, out=np.zeros_like(own_N), where=shared_N > 1e-6 * own_N)
    return np.asarray(np.minimum(factors_N, np.float32(np.finfo(FACTOR).max)), dtype=np.float32)


class ScalarCodec(Plain):
    """Bits packed into bytes, then the factor.

    Args:
        bits: the number of bits per coordinate, 1, 2 or 4.
        dimension: the number of coordinates.
        scale: the standard deviation of the coordinates.
    """

    def __init__(self, bits: int, dimension: int, scale: float) -> None:
        self._bits, self._dimension, self._scale = bits, dimension, np.float32(scale)
        self._codebook = gaussian_codebook(bits)
        self._of_a_byte = 8 // bits
        shifts = np.arange(self._of_a_byte) * bits
        self._table = self._codebook[(np.arange(256)[:, None] >> shifts) & (2**bits - 1)] * self._scale

    def encode(self, vectors_Nk: Floats, /) -> Codes:
        """Return codes, (N, ceil(k b / 8) + 2)."""
        edges = (self._codebook[1:] + self._codebook[:-1]) / 2 * self._scale
        index_Nk = np.zeros(vectors_Nk.shape, np.uint8)
        for edge in edges:
            index_Nk += vectors_Nk > edge
        width = -(-self._dimension // self._of_a_byte)
        padded = np.zeros((len(index_Nk), width * self._of_a_byte), np.uint8)
        padded[:, : self._dimension] = index_Nk
        shifts = np.arange(self._of_a_byte, dtype=np.uint8) * np.uint8(self._bits)
        packed = (padded.reshape(-1, width, self._of_a_byte) << shifts).sum(axis=2, dtype=np.uint8)
        factors_N = corrected(vectors_Nk, self._rough(packed))
        return np.concatenate([packed, as_bytes(factors_N.astype(FACTOR))], axis=1)

    def decode(self, codes_NB: Codes, /) -> Floats:
        """Return values of the codebook, multiplied by the scale and the vector's factor."""
        rough_Nk = self._rough(codes_NB[:, : -FACTOR.itemsize])
        factors_N1 = from_bytes(codes_NB[:, -FACTOR.itemsize :], FACTOR).astype(np.float32)
        return np.multiply(rough_Nk, factors_N1, out=rough_Nk)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the codebook and the scale."""
        return {"codebook": self._codebook, "scale": np.array([self._scale])}

    def _rough(self, packed_NB: Codes) -> Floats:
        values = np.take(self._table, packed_NB, axis=0)
        return np.ascontiguousarray(values.reshape(len(packed_NB), -1)[:, : self._dimension])
