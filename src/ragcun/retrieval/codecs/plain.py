"""Codecs of single numbers: floats of 32 and 16 bits, and sentence-transformers' int8 and binary."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sentence_transformers.util.quantization import quantize_embeddings

from ragcun.errors import RagcunError
from ragcun.retrieval.codecs.codec import Codes, Plain, as_bytes, from_bytes
from ragcun.retrieval.topk import Floats


class FloatCodec(Plain):
    """Floats of 32 or 16 bits."""

    def __init__(self, bits: Literal[32, 16]) -> None:
        self._dtype = np.dtype(f"<f{bits // 8}")

    def encode(self, vectors_Nk: Floats, /) -> Codes:
        """Return codes, (N, k * bits / 8). Raises `RagcunError` if a number is too large for 16 bits."""
        with np.errstate(over="ignore"):
            rounded = vectors_Nk.astype(self._dtype)
        if not np.isfinite(rounded).all():
            raise RagcunError("fp16: a vector has numbers beyond 65,504; use another codec")
        return as_bytes(rounded)

    def decode(self, codes_NB: Codes, /) -> Floats:
        """Return the rounded vectors."""
        return from_bytes(codes_NB, self._dtype).astype(np.float32)


class MinMaxCodec(Plain):
    """One byte between the extremes of each dimension, as `quantize_embeddings(..., precision="int8")`.

    A code is decoded as the lower end of its step, so that whole multiples of a step are exact. A query is compared
    with the decoded values and not with the integer codes (sentence-transformers#4058).

    Args:
        sample_Nk: the documents whose extremes are used.
    """

    def __init__(self, sample_Nk: Floats) -> None:
        self.ranges = np.stack([sample_Nk.min(axis=0), sample_Nk.max(axis=0)]).astype(np.float32)

    def encode(self, vectors_Nk: Floats, /) -> Codes:
        """Return codes, (N, k)."""
        return as_bytes(quantize_embeddings(vectors_Nk, precision="int8", ranges=self.ranges))

    def decode(self, codes_NB: Codes, /) -> Floats:
        """Return the lower ends of the steps."""
        low_k = self.ranges[0]
        step_k = (self.ranges[1] - low_k) / np.float32(255)
        step_k = np.where(step_k == 0, np.float32(1), step_k)
        return np.asarray((codes_NB.view(np.int8).astype(np.float32) + 128) * step_k + low_k, dtype=np.float32)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the minima and maxima."""
        return {"ranges": self.ranges}


class BinaryCodec(Plain):
    """Signs of documents and of queries, ranked by Hamming distance: `quantize_embeddings(..., precision="ubinary")`.

    The inner product of k signs is k minus twice their Hamming distance.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension

    def encode(self, vectors_Nk: Floats, /) -> Codes:
        """Return codes, (N, ceil(k / 8))."""
        return np.asarray(quantize_embeddings(vectors_Nk, precision="ubinary"), dtype=np.uint8)

    def decode(self, codes_NB: Codes, /) -> Floats:
        """Return signs: 1 for numbers above 0, otherwise -1."""
        bits = np.unpackbits(codes_NB, axis=1, count=self._dimension)
        return bits.astype(np.float32) * 2 - 1

    def queries(self, vectors_Qk: Floats, /) -> Floats:
        """Return the signs of the queries."""
        return np.where(vectors_Qk > 0, np.float32(1), np.float32(-1))

    def similarity(self, _: str, /) -> str:
        """Return "dot", for any similarity of the coordinates."""
        return "dot"
