"""The protocol of codecs, and documents' vectors as codes.

N documents, Q queries, k coordinates, B bytes of a code, W coordinates in which codes are compared.
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ragcun.retrieval.topk import Floats, Rows

Codes = npt.NDArray[np.uint8]


class Codec(Protocol):
    """A fitted codec. All that a vector takes is in its code; `tensors` are shared by all."""

    def encode(self, vectors_Nk: Floats, /) -> Codes:
        """Codes, (N, B)."""
        ...

    def decode(self, codes_NB: Codes, /) -> Floats:
        """Vectors that are compared with those of `queries`, (N, W)."""
        ...

    def queries(self, vectors_Qk: Floats, /) -> Floats:
        """Queries as decoded documents are compared with them, (Q, W)."""
        ...

    def similarity(self, space: str, /) -> str:
        """How they are compared, where the coordinates are compared by `space`."""
        ...

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """What all vectors share, by name."""
        ...

    def facts(self) -> dict[str, Any]:
        """What else it takes to load the codec; JSON."""
        ...


class Coded:
    """Vectors as codes: a `Matrix` that decodes the rows that are asked for, so that memory holds the codes alone.

    Args:
        codes: (N, B), in memory or memory-mapped.
        codec: what made them.
    """

    def __init__(self, codes: Codes, codec: Codec) -> None:
        self.codes = codes
        self._codec = codec
        self.shape = (len(codes), codec.decode(np.asarray(codes[:1])).shape[1])

    @property
    def bytes(self) -> int:
        """Bytes of a vector."""
        return int(self.codes.shape[1]) * self.codes.itemsize

    def block(self, start: int, stop: int, /) -> Floats:
        """Rows start .. stop-1."""
        return self._codec.decode(np.asarray(self.codes[start:stop]))

    def rows(self, index: Rows, /) -> Floats:
        """The rows at `index`, in that order."""
        return self._codec.decode(np.asarray(self.codes[index]))


class Plain:
    """What most codecs have in common: queries stay as they are, and nothing is shared."""

    def queries(self, vectors_Qk: Floats, /) -> Floats:
        """The queries themselves."""
        return vectors_Qk

    def similarity(self, space: str, /) -> str:
        """The coordinates' own."""
        return space

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Nothing."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Nothing."""
        return {}


def as_bytes(array: npt.NDArray[Any]) -> Codes:
    """Numbers as bytes, (N, ...) to (N, B)."""
    return np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)


def from_bytes(codes_NB: Codes, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Bytes as numbers, (N, B) to (N, numbers)."""
    return np.ascontiguousarray(codes_NB).view(dtype)
