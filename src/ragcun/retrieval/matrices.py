"""Vectors that need not be in memory, as a search reads them."""

from typing import Protocol

import numpy as np

from ragcun.retrieval.topk import Floats, Rows


class Matrix(Protocol):
    """Vectors, (n, d) float32, such as `Vectors`. `block` and `rows` are called from several threads."""

    @property
    def shape(self) -> tuple[int, int]: ...

    def block(self, start: int, stop: int, /) -> Floats:
        """Rows start .. stop-1."""
        ...

    def rows(self, index: Rows, /) -> Floats:
        """The rows at `index`, in that order."""
        ...


def as_matrix(vectors: Matrix | Floats) -> Matrix:
    """Vectors as a `Matrix`, whether they are one or an array."""
    return _Array(vectors) if isinstance(vectors, np.ndarray) else vectors


class _Array:
    """An array as a `Matrix`."""

    def __init__(self, array: Floats) -> None:
        self._array = np.ascontiguousarray(array, dtype=np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        return self._array.shape[0], self._array.shape[1]

    def block(self, start: int, stop: int, /) -> Floats:
        return self._array[start:stop]

    def rows(self, index: Rows, /) -> Floats:
        return self._array[index]
