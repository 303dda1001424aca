"""The index of a JSON Lines file: the offset of each row, and the row of each id."""

import hashlib
import json
import os
from array import array
from collections.abc import Iterator
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
_BOM = b"\xef\xbb\xbf"

Index = NDArray[np.int64]


def parse_row(line: bytes, titled: bool) -> tuple[str, str]:
    """Id and text of one line; a `ValueError` whose message is the kind of problem where they cannot be had."""
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
    """The JSON value of one line; a `ValueError` whose message is the kind of problem where there is none."""
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError:
        raise ValueError(not_utf8(line)) from None
    except (ValueError, RecursionError):
        raise ValueError("bad JSON") from None


def hash_id(id_: str) -> int:
    """A 64-bit hash that is the same in every process."""
    return int.from_bytes(hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def load_index(path: Path, titled: bool, named: Path) -> tuple[Index, Problems]:
    """The index of a JSON Lines file, and what was wrong with the rows it leaves out, placed in the file `named`.

    It is an int64 array (3, rows): the rows' offsets in the file; the hashes of their ids, ascending as uint64; the
    row that each hash belongs to. For a file of 64 MiB or more it is made once for each path, size and
    modification time, kept in `ragcun_cache()` and memory-mapped.
    """
    stat = path.stat()
    if stat.st_size < LARGE:
        return _build(path, titled, named)
    state = f"3\0{named}\0{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{titled}"
    stem = ragcun_cache() / "jsonl" / hashlib.sha256(os.fsencode(state)).hexdigest()
    rows, complete = stem.with_suffix(".npy"), stem.with_suffix(".json")
    if (told := read_kept(complete)) is None:
        index, problems = _build(path, titled, named)
        with atomic_path(rows) as temporary:
            np.save(temporary, index)
        told = {"problems": problems.to_json()}
        write_record(complete, told, [rows])
    return np.load(rows, mmap_mode="r"), Problems(**told["problems"])


def _build(path: Path, titled: bool, named: Path) -> tuple[Index, Problems]:
    problems = Problems()
    offsets, hashes, numbers = array("q"), array("Q"), array("I")
    with path.open("rb") as stream:
        for offset, number, line in _lines(stream, path, named.name):
            try:
                id_, _ = parse_row(line, titled)
            except ValueError as problem:
                problems.add(str(problem), f"{named}:{number}")
                continue
            offsets.append(offset)
            hashes.append(hash_id(id_))
            numbers.append(number)
        index = np.empty((3, len(offsets)), dtype=np.int64)
        index[0] = np.frombuffer(offsets, dtype=np.int64)
        index[1] = np.frombuffer(hashes, dtype=np.int64)
        del offsets, hashes
        index[2] = np.argsort(index[1].view(np.uint64), kind="stable")
        index[1] = index[1][index[2]]
        repeated = sorted(_repeated(index, stream, titled))
    for row, id_ in repeated:
        problems.add("duplicate _id", f'{named}:{numbers[row]} "{id_}"')
    return _without(index, [row for row, _ in repeated]) if repeated else index, problems


def _repeated(index: Index, stream: BinaryIO, titled: bool) -> Iterator[tuple[int, str]]:
    """Rows, with their ids, whose id an earlier row has: found among the rows whose ids have the same hash."""
    offsets, hashes, order = index[0], index[1].view(np.uint64), index[2]
    shared = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    starts = np.searchsorted(hashes, shared, side="left")
    stops = np.searchsorted(hashes, shared, side="right")
    for start, stop in zip(starts, stops, strict=True):
        seen: set[str] = set()
        for row in order[start:stop].tolist():
            stream.seek(offsets[row])
            id_, _ = parse_row(stream.readline(), titled)
            if id_ in seen:
                yield row, id_
            seen.add(id_)


def _without(index: Index, rows: list[int]) -> Index:
    kept = np.ones(index.shape[1], dtype=bool)
    kept[rows] = False
    slots = kept[index[2]]
    return np.stack([index[0][kept], index[1][slots], (np.cumsum(kept) - 1)[index[2][slots]]])


def _lines(stream: BinaryIO, path: Path, name: str) -> Iterator[tuple[int, int, bytes]]:
    """`numbered_lines`, with progress where the file is large."""
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
    """Offset, number and bytes of each line that is not blank, a byte order mark left out."""
    offset = 0
    for number, line in enumerate(stream, 1):
        mark = len(_BOM) if number == 1 and line.startswith(_BOM) else 0
        if line[mark:].strip():
            yield offset + mark, number, line[mark:]
        offset += len(line)
