"""Vectors that need not be in memory, in the form in which a search reads them."""

from typing import Protocol

import numpy as np

from ragcun.retrieval.topk import Floats, Rows


class Matrix(Protocol):
    """Vectors, (n, d) float32, such as `Vectors`. `block` and `rows` are called from several threads."""

    @property
    def shape(self) -> tuple[int, int]: ...

    def block(self, start: int, stop: int, /) -> Floats:
        """Return rows start .. stop-1."""
        ...

    def rows(self, index: Rows, /) -> Floats:
        """Return the rows at `index`, in this order."""
        ...


def as_matrix(vectors: Matrix | Floats) -> Matrix:
    """Return vectors as a `Matrix`; an array is wrapped."""
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
