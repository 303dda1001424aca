"""The one protocol by which texts travel: a sequence that need not be in memory."""

from collections.abc import Iterator
from typing import Protocol


class Texts(Protocol):
    """Texts addressed by row, 0 .. len-1; an implementation reads them from disk when asked."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> str: ...

    def __iter__(self) -> Iterator[str]: ...
