"""A JSON Lines file as a table of texts, which stays on disk unless it is small."""

import os
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragcun.data.index import hash_id, load_index, parse_row
from ragcun.data.problems import OnError
from ragcun.data.streams import uncompressed
from ragcun.errors import UserError


class JsonlTexts:
    """Texts and ids of a JSON Lines file (`_id`, `text` and, where `titled`, `title`).

    A row's text is what BEIR gives an encoder: `(title + " " + text).strip()` if `titled`, else `text` as it is.
    A file of less than 64 MiB is read once, and its texts are kept. Of a larger one, ids and 32 bytes a row are mapped
    (see `load_index`), and lines are read one at a time with `pread`: safe in threads, and unlike the pages of a mapped
    file they never add to resident memory. An id is itself compared before it counts as found.

    The file may be compressed by gzip. A byte order mark, CRLF, blank lines, a last line without an end and ids that
    are JSON integers are taken as they are meant. Of rows with the same id the first counts. Raises `UserError` for a
    missing file, for one with no usable row and, unless `on_error` is "skip", for the problems found, which otherwise
    stay in `problems`.
    """

    def __init__(self, path: str | os.PathLike[str], *, titled: bool = False, on_error: OnError = "refuse") -> None:
        self.path = Path(path)
        self.titled = titled
        try:
            content = uncompressed(self.path)
            self._file = os.open(content, os.O_RDONLY)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        weakref.finalize(self, os.close, self._file)
        self._size = os.fstat(self._file).st_size
        self._index = load_index(content, titled, self.path)
        self.problems = self._index.problems
        self.problems.settle(on_error)
        if not self._index.rows.size:
            raise UserError(f"{path}: has no usable row: {'; '.join(self.problems.lines()) or 'the file is empty'}")
        self._offsets, self._hashes, self._order, _ = self._index.rows
        self._hashes = self._hashes.view(np.uint64)

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, row: int, /) -> str:
        self._require(row)
        return self._read(row) if self._index.texts is None else self._index.texts[row]

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))

    def id(self, row: int) -> str:
        """Return the id of a row, 0 .. len-1."""
        self._require(row)
        return self._index.id(row)

    def ids(self) -> Iterator[str]:
        """Yield the ids of all rows in order."""
        return (self.id(row) for row in range(len(self)))

    def rows(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Return the row of each id, or -1 for an unknown id."""
        wanted = list(ids)
        found = {id_: self._find(id_) for id_ in dict.fromkeys(wanted)}
        return np.fromiter((found[id_] for id_ in wanted), dtype=np.int64, count=len(wanted))

    def _find(self, id_: str) -> int:
        key = np.uint64(hash_id(id_))
        for slot in range(int(np.searchsorted(self._hashes, key)), len(self)):
            if self._hashes[slot] != key:
                break
            row = int(self._order[slot])
            if self.id(row) == id_:
                return row
        return -1

    def _require(self, row: int) -> None:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")

    def _read(self, row: int) -> str:
        start = int(self._offsets[row])
        stop = int(self._offsets[row + 1]) if row + 1 < len(self) else self._size
        line = os.pread(self._file, stop - start, start).partition(b"\n")[0]
        try:
            return parse_row(line, self.titled)[1]
        except ValueError:
            raise UserError(f"{self.path}: was changed while in use; run the command again") from None
