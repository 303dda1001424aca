"""Slices, for work on large data in blocks."""

from collections.abc import Iterator
from typing import TypeAlias

Slice: TypeAlias = "slice[int, int, None]"


def slices(stop: int, size: int, start: int = 0) -> Iterator[Slice]:
    """Yield consecutive slices of at most `size` that together cover start .. stop-1, in order."""
    return (slice(at, min(at + size, stop)) for at in range(start, stop, size))
