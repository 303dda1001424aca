"""The protocol of codecs, and compressed document vectors.

N documents, Q queries, k coordinates, B bytes of a code, W coordinates in which codes are compared.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ragcun.retrieval.topk import Floats, Rows

Codes = npt.NDArray[np.uint8]


class Codec(Protocol):
    """A fitted codec. A code contains everything that belongs to its vector alone; `tensors` are shared by all."""

    def encode(self, vectors_Nk: Floats, /) -> Codes:
        """Return codes, (N, B)."""
        ...

    def decode(self, codes_NB: Codes, /) -> Floats:
        """Return the vectors that are compared with those of `queries`, (N, W)."""
        ...

    def queries(self, vectors_Qk: Floats, /) -> Floats:
        """Return queries in the form in which they are compared with decoded documents, (Q, W)."""
        ...

    def similarity(self, space: str, /) -> str:
        """Return the similarity for comparing them, if `space` is the similarity of the coordinates."""
        ...

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return what all vectors share, by name."""
        ...

    def facts(self) -> dict[str, Any]:
        """What else it takes to load the codec; JSON."""
        ...


class Coded:
    """Compressed vectors: a `Matrix` that decodes rows on access, so that only codes are in memory.

    Args:
        codes: the codes, (N, B), in memory or memory-mapped.
        codec: the codec of the codes.
    """

    def __init__(self, codes: Codes, codec: Codec) -> None:
        self.codes = codes
        self._codec = codec
        self.shape = (len(codes), codec.decode(np.asarray(codes[:1])).shape[1])

    @property
    def bytes(self) -> int:
        """The number of bytes per vector."""
        return int(self.codes.shape[1]) * self.codes.itemsize

    def block(self, start: int, stop: int, /) -> Floats:
        """Return rows start .. stop-1."""
        return self._codec.decode(np.asarray(self.codes[start:stop]))

    def rows(self, index: Rows, /) -> Floats:
        """Return the rows at `index`, in this order."""
        return self._codec.decode(np.asarray(self.codes[index]))


class Plain:
    """The defaults of most codecs: queries stay as they are, and vectors share nothing."""

    def queries(self, vectors_Qk: Floats, /) -> Floats:
        """Return the queries themselves."""
        return vectors_Qk

    def similarity(self, space: str, /) -> str:
        """Return the similarity of the coordinates."""
        return space

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return no tensors."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Nothing."""
        return {}


def as_bytes(array: npt.NDArray[Any]) -> Codes:
    """View numbers as bytes, (N, ...) to (N, B)."""
    return np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)


def from_bytes(codes_NB: Codes, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """View bytes as numbers, (N, B) to (N, numbers)."""
    return np.ascontiguousarray(codes_NB).view(dtype)
