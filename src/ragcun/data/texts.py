"""Sequences of texts that need not be in memory."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Texts(Protocol):
    """Texts addressed by row, 0 .. len-1; an implementation may read them from disk on access."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> str: ...

    def __iter__(self) -> Iterator[str]: ...


class Selected:
    """A selection of rows of other texts, in the given order, which are read on access."""

    def __init__(self, texts: Texts, rows: npt.NDArray[np.int64]) -> None:
        self._texts = texts
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int, /) -> str:
        return self._texts[int(self._rows[row])]

    def __iter__(self) -> Iterator[str]:
        return (self._texts[row] for row in self._rows.tolist())


class Joined:
    """A concatenation of texts, which are read on access."""

    def __init__(self, parts: Sequence[Texts]) -> None:
        self._parts = parts
        self.starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, row: int, /) -> str:
        part = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self._parts[part][row - int(self.starts[part])]

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._parts)
