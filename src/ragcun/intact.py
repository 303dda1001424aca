"""Checksums (XXH3, 128 bits) of files that are read back, to find files that are incomplete or damaged.

A safetensors file has its checksum in its header. A record, which is JSON, has its own checksum and those of the files
that belong to it. XXH3 detects damage, not forgery; identities and provenance use SHA-256.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xxhash

from ragcun.console import say
from ragcun.errors import RagcunError, UserError, os_error_in
from ragcun.files import atomic_path, write_json

CHECKSUM = "xxh3_128"

_MARK = f'"{CHECKSUM}":"'.encode()
_BLANK = b"0" * 32
_CHUNK = 2**20
_LONGEST_HEADER = 100 * 2**20  # safetensors' own limit
_known: dict[tuple[str, int, int, int], str] = {}  # the checksums of the files that this process has read


class DamagedError(RagcunError):
    """A file no longer has the content that ragcun wrote: the disk is damaged, or somebody changed the file."""


def checksum(path: Path) -> str:
    """Return the checksum of a file's bytes. The checksum's own bytes in a safetensors header count as zeros.

    A process reads a file only once, in chunks, unless the file is written again.
    """
    stat = path.stat()
    state = (os.fspath(path.absolute()), stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if state not in _known:
        digest = xxhash.xxh3_128()
        with path.open("rb", buffering=0) as stream:
            if path.suffix == ".safetensors":
                digest.update(_header(stream.read(8), stream.read)[0])
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        _known[state] = digest.hexdigest()
    return _known[state]


def write_safetensors(path: Path, save: Callable[[Path, dict[str, str]], None], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically with its checksum; `save` writes the tensors and the given metadata."""
    from safetensors import SafetensorError

    with atomic_path(path) as temporary:
        try:
            save(temporary, {**metadata, CHECKSUM: _BLANK.decode()})
        except SafetensorError as error:
            if (refused := os_error_in(error, str(path))) is not None:
                raise refused from error
            raise
        with temporary.open("r+b") as stream:
            header, place = _header(stream.read(8), stream.read)
            digest = xxhash.xxh3_128(header)
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
            stream.seek(place)
            stream.write(digest.hexdigest().encode())


def check_safetensors(path: Path) -> None:
    """Raise a `DamagedError` unless the file has the content that `write_safetensors` wrote."""
    with path.open("rb") as stream:
        _, place = _header(stream.read(8), stream.read)
        stream.seek(place)
        stated = stream.read(len(_BLANK)).decode(errors="replace")
    if not place or stated != checksum(path):
        raise DamagedError(f"{path}: damaged (its content is not what was written)")


def _header(length: bytes, read: Callable[[int], bytes]) -> tuple[bytes, int]:
    """Return the length and header of a safetensors file with a zero checksum, and its position (0 if none)."""
    header = read(min(int.from_bytes(length, "little"), _LONGEST_HEADER))
    at = header.find(_MARK)
    if at < 0:
        return length + header, 0
    at += len(_MARK)
    return length + header[:at] + _BLANK + header[at + len(_BLANK) :], len(length) + at


def write_record(path: Path, content: Mapping[str, Any], files: Iterable[Path] = ()) -> dict[str, Any]:
    """Write a JSON object with the checksums of `files`, which are in its folder. Write it last, after the files.

    Returns what `read_record` will read.
    """
    listed = {file.relative_to(path.parent).as_posix(): checksum(file) for file in files}
    record: dict[str, Any] = json.loads(json.dumps({**content, "files": listed} if listed else content))
    write_json(path, {**record, CHECKSUM: _of_json(record)})
    return record


def read_record(path: Path, files: bool = True, signed: bool = False) -> dict[str, Any]:
    """Read what `write_record` wrote, and check it and, by default, its files against their checksums.

    A record without a checksum, which another tool or a person wrote, is accepted as it is, unless it must be `signed`.

    Raises:
        DamagedError: the record or one of its files is missing or damaged.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DamagedError(f"{path}: missing") from None
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path}: damaged ({error})") from None
    if not isinstance(record, dict):
        raise DamagedError(f"{path}: damaged (it does not contain a JSON object)")
    stated = record.pop(CHECKSUM, None)
    if stated != _of_json(record) and (signed or stated is not None):
        raise DamagedError(f"{path}: damaged (its content is not what was written)")
    if files:
        check_files(path, record)
    return record


@contextmanager
def or_else(remedy: str) -> Iterator[None]:
    """Turn a `DamagedError` of a file that cannot be made again here into a `RagcunError` that ends in a remedy."""
    try:
        yield
    except DamagedError as error:
        raise RagcunError(f"{error}; {remedy}") from None


def read_written(path: Path, part: str) -> dict[str, Any]:
    """Read a record that another command wrote.

    Raises:
        RagcunError: the record is damaged.
        UserError: the record lacks `part`, so that another tool wrote it.
    """
    with or_else("run the command that wrote it again, or delete it"):
        found = read_record(path)
    if part not in found:
        raise UserError(f"{path}: was not written by ragcun (it has no {part!r}); move it to another folder")
    return found


def row_line(row: Mapping[str, Any]) -> str:
    """Format a line of a growing file: a JSON object with its checksum."""
    content = json.loads(json.dumps(row))
    return json.dumps({**content, CHECKSUM: _of_json(content)}) + "\n"


def row_of_line(line: str) -> dict[str, Any] | None:
    """Parse a line of `row_line`; None if it is damaged. A line without a checksum is accepted as it is."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict):
        return None
    stated = row.pop(CHECKSUM, None)
    return row if stated in {None, _of_json(row)} else None


def read_kept(path: Path, files: bool = True) -> dict[str, Any] | None:
    """Read a record that can be made again at any time; None if it is missing, or damaged, which is reported."""
    if not path.is_file():
        return None
    try:
        return read_record(path, files, signed=True)
    except DamagedError as error:
        say(f"{error}; it is made again")
        return None


def check_listed(path: Path, file: Path) -> None:
    """Raise a `DamagedError` if the record at `path` lists `file`, which is below its folder, and it is damaged."""
    listed = read_record(path, files=False).get("files")
    name = file.relative_to(path.parent).as_posix()
    if isinstance(listed, dict) and name in listed:
        check_files(path, {"files": {name: listed[name]}})


def check_files(path: Path, record: Mapping[str, Any]) -> None:
    """Raise a `DamagedError` unless all files that `record`, read from `path`, lists are there and intact."""
    every = record.get("files")
    for name, listed in every.items() if isinstance(every, dict) else ():
        file = path.parent / name
        if not file.is_file():
            raise DamagedError(f"{file}: missing")
        if checksum(file) != listed:
            raise DamagedError(f"{file}: damaged (its content is not what was written)")


def _of_json(record: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128(json.dumps(record, sort_keys=True).encode()).hexdigest()
