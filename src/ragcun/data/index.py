"""The index of a JSON Lines file: the offset of each row, its id, and the row of each id."""

import hashlib
import json
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ragcun.console import progress
from ragcun.data.problems import Problems
from ragcun.data.streams import not_utf8
from ragcun.files import atomic_path, ragcun_cache
from ragcun.intact import read_kept, write_record

LARGE = 64 * 2**20
EMPTY = "empty text"
BAD_JSON = "bad JSON"
REPEATED_KEY = "an object names a key twice"
_BOM = b"\xef\xbb\xbf"

Index = NDArray[np.int64]


def parse_row(line: bytes, titled: bool) -> tuple[str, str]:
    """Parse the id and the text of one line. Raises `ValueError` with the kind of problem if this is impossible."""
    row = parse_json(line)
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    id_ = row.get("_id")
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)
    if id_ is None or id_ == "":
        raise ValueError("missing _id")
    if not isinstance(id_, str):
        raise ValueError("_id is not a string")
    text = row.get("text")
    text = "" if text is None else text
    title = row.get("title") if titled else None
    title = "" if title is None else title
    if not isinstance(text, str) or not isinstance(title, str):
        raise ValueError(f"{'title' if isinstance(text, str) else 'text'} is not a string")
    if titled:
        text = (title + " " + text).strip()
    if not text or text.isspace():
        raise ValueError(EMPTY)
    if b"\\u" in line:
        try:
            (id_ + text).encode()
        except UnicodeEncodeError:
            raise ValueError("half a surrogate pair") from None
    return id_, text


def parse_json(line: bytes) -> Any:
    """Parse the JSON value of one line. Raises `ValueError` with the kind of problem if there is none."""
    try:
        return json.loads(line.decode(), object_pairs_hook=once)
    except UnicodeDecodeError:
        raise ValueError(not_utf8(line)) from None
    except (ValueError, RecursionError) as problem:
        if str(problem) == REPEATED_KEY:
            raise
        raise ValueError(not_utf8(line) if b"\0" in line[:2] else BAD_JSON) from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys and values; a `ValueError` where a key is there twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(REPEATED_KEY)  # Python would take the last one, others the first
    return found


def hash_id(id_: str) -> int:
    """Return a 64-bit hash that is the same in every process."""
    return int.from_bytes(hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class RowIndex:
    """The index of a file's rows.

    Attributes:
        rows: int64 (4, rows): the offset of each row in the file; the hashes of the ids, ascending as uint64; the row
            of each hash; the start of each id in `ids`.
        ids: the concatenated ids in UTF-8.
        texts: the texts of all rows if the file is small enough; otherwise they are read from the file.
        problems: the problems of the rows that are left out.
    """

    rows: Index
    ids: NDArray[np.uint8]
    texts: list[str] | None
    problems: Problems

    def id(self, row: int) -> str:
        """Return the id of a row."""
        start = int(self.rows[3, row])
        stop = int(self.rows[3, row + 1]) if row + 1 < self.rows.shape[1] else len(self.ids)
        return self.ids[start:stop].tobytes().decode()


def load_index(path: Path, titled: bool, named: Path) -> RowIndex:
    """Load the index of a JSON Lines file. Messages about problems use the file name `named`.

    Each row is parsed once. The index of a file of 64 MiB or more is made once for each path, size and modification
    time, cached in `ragcun_cache()` and memory-mapped.
    """
    stat = path.stat()
    if stat.st_size < LARGE:
        return _build(path, titled, named, keep=True)
    state = f"4\0{named}\0{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{titled}"
    stem = ragcun_cache() / "jsonl" / hashlib.sha256(os.fsencode(state)).hexdigest()
    files, complete = [stem.with_suffix(suffix) for suffix in (".npy", ".ids.npy")], stem.with_suffix(".json")
    if (told := read_kept(complete)) is None:
        built = _build(path, titled, named, keep=False)
        arrays: tuple[NDArray[Any], ...] = (built.rows, built.ids)
        for file, content in zip(files, arrays, strict=True):
            with atomic_path(file) as temporary:
                np.save(temporary, content)
        told = {"problems": built.problems.to_json()}
        del built, arrays, content
        write_record(complete, told, files)
    rows, ids = (np.load(file, mmap_mode="r") for file in files)
    return RowIndex(rows, ids, None, Problems(**told["problems"]))


def _build(path: Path, titled: bool, named: Path, keep: bool) -> RowIndex:
    problems = Problems()
    offsets, hashes, numbers, starts, ids = array("q"), array("Q"), array("I"), array("q"), bytearray()
    texts: list[str] = []
    with path.open("rb") as stream:
        for offset, number, line in _lines(stream, path, named.name):
            try:
                id_, text = parse_row(line, titled)
            except ValueError as problem:
                problems.add(str(problem), f"{named}:{number}")
                continue
            offsets.append(offset)
            hashes.append(hash_id(id_))
            numbers.append(number)
            starts.append(len(ids))
            ids += id_.encode()
            if keep:
                texts.append(text)
    rows = np.empty((4, len(offsets)), dtype=np.int64)
    rows[0] = np.frombuffer(offsets, dtype=np.int64)
    rows[1] = np.frombuffer(hashes, dtype=np.int64)
    rows[3] = np.frombuffer(starts, dtype=np.int64)
    del offsets, hashes, starts
    rows[2] = np.argsort(rows[1].view(np.uint64), kind="stable")
    rows[1] = rows[1][rows[2]]
    index = RowIndex(rows, np.frombuffer(ids, dtype=np.uint8), texts if keep else None, problems)
    repeated = sorted(_repeated(index))
    for row, id_ in repeated:
        problems.add("duplicate _id", f'{named}:{numbers[row]} "{id_}"')
    return _without(index, [row for row, _ in repeated]) if repeated else index


def _repeated(index: RowIndex) -> Iterator[tuple[int, str]]:
    """Yield the rows whose id an earlier row has, with the id. Only rows with equal hashes are compared."""
    hashes, order = index.rows[1].view(np.uint64), index.rows[2]
    shared = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    starts = np.searchsorted(hashes, shared, side="left")
    stops = np.searchsorted(hashes, shared, side="right")
    for start, stop in zip(starts, stops, strict=True):
        seen: set[str] = set()
        for row in order[start:stop].tolist():
            id_ = index.id(row)
            if id_ in seen:
                yield row, id_
            seen.add(id_)


def _without(index: RowIndex, left_out: list[int]) -> RowIndex:
    offsets, hashes, order, starts = index.rows
    kept = np.ones(len(offsets), dtype=bool)
    kept[left_out] = False
    slots = kept[order]
    lengths = np.diff(starts, append=len(index.ids))
    first = np.cumsum(lengths[kept]) - lengths[kept]
    rows = np.stack([offsets[kept], hashes[slots], (np.cumsum(kept) - 1)[order[slots]], first])
    texts = None if index.texts is None else list(compress(index.texts, kept.tolist()))
    return RowIndex(rows, index.ids[np.repeat(kept, lengths)], texts, index.problems)


def _lines(stream: BinaryIO, path: Path, name: str) -> Iterator[tuple[int, int, bytes]]:
    """As `numbered_lines`, with a progress bar if the file is large."""
    size = path.stat().st_size
    if size < LARGE:
        yield from numbered_lines(stream)
        return
    with progress(f"Indexing {name}", size // 2**20, "MiB") as bar:
        shown = 0
        for offset, number, line in numbered_lines(stream):
            if offset >> 20 > shown:
                bar.advance((offset >> 20) - shown)
                shown = offset >> 20
            yield offset, number, line
        bar.advance(size // 2**20 - shown)


def numbered_lines(stream: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, number and bytes of each line that is not blank, without a byte order mark."""
    offset = 0
    for number, line in enumerate(stream, 1):
        mark = len(_BOM) if number == 1 and line.startswith(_BOM) else 0
        if line[mark:].strip():
            yield offset + mark, number, line[mark:]
        offset += len(line)
