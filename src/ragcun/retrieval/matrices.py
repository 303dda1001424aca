"""Vectors that need not be in memory, as a search reads them."""

import math
import os
import weakref
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ragcun.errors import RagcunError, UserError
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


class VectorFile:
    """A `.npy` file of vectors, float32 or float16, C order, as a `Matrix`.

    It is read, not mapped, so that only what has been asked for is resident. Float16 becomes the float32 of equal
    value.

    Attributes:
        shape: (n, d).

    Raises:
        UserError: there is no such file, or it holds something else, or less than it says.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as stream:
                shape, fortran, self._dtype = _header(stream)
                self._start = stream.tell()
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        except ValueError:
            raise UserError(f"{path}: not a .npy file") from None
        weakref.finalize(self, os.close, self._file)
        self._path = path
        if self._dtype not in (np.dtype("<f4"), np.dtype("<f2")) or len(shape) != 2 or fortran:
            raise UserError(f"{path}: {self._dtype} of shape {shape}; float32 or float16 of shape (n, d) is needed")
        self.shape: tuple[int, int] = (shape[0], shape[1])
        self._width = shape[1] * self._dtype.itemsize
        if os.fstat(self._file).st_size < self._start + shape[0] * self._width:
            raise UserError(f"{path}: cut short; it holds less than the {shape[0]:,} vectors that it says")

    def block(self, start: int, stop: int, /) -> Floats:
        """Rows start .. stop-1."""
        raw = self._empty(stop - start)
        self._read(raw, start)
        return _float32(raw)

    def rows(self, index: Rows, /) -> Floats:
        """The rows at `index`, in that order."""
        raw = self._empty(len(index))
        for place, row in enumerate(index.tolist()):
            self._read(raw[place], row)
        return _float32(raw)

    def _empty(self, rows: int) -> npt.NDArray[Any]:
        return np.empty((rows, self.shape[1]), self._dtype)

    def _read(self, into: npt.NDArray[Any], row: int) -> None:
        if os.preadv(self._file, [into.data], self._start + row * self._width) != into.nbytes:
            raise RagcunError(f"{self._path}: ends before row {row + max(1, math.prod(into.shape[:-1]))}")


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


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def _float32(raw: npt.NDArray[Any]) -> Floats:
    if raw.dtype == np.float32:
        return raw
    import torch  # its conversion takes a third of NumPy's time

    return torch.from_numpy(raw).float().numpy()
