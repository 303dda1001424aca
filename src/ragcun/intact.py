"""Files that are read back are complete and intact: each carries a checksum (XXH3, 128 bits) of what was written.

A safetensors file has it in its header; a record, which is JSON, has its own and those of the files that belong to it.
XXH3 finds bits that flipped, not forgeries: identities and provenance are SHA-256.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xxhash

from ragcun.console import say
from ragcun.errors import RagcunError, UserError
from ragcun.files import atomic_path, write_json

CHECKSUM = "xxh3_128"

_MARK = f'"{CHECKSUM}":"'.encode()
_BLANK = b"0" * 32
_CHUNK = 2**20
_LONGEST_HEADER = 100 * 2**20  # safetensors' own limit
_known: dict[tuple[str, int, int, int], str] = {}  # the checksums of files as they were when this process read them


class DamagedError(RagcunError):
    """A file that ragcun wrote is not what was written any more: the disk's fault, or somebody's who changed it."""


def checksum(path: Path) -> str:
    """The checksum of a file's bytes; those in a safetensors header that state it count as zeros.

    A file is read once by a process, in chunks, unless it is written anew.
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
    """Write a safetensors file atomically, with its checksum; `save` writes tensors and the metadata it is given."""
    with atomic_path(path) as temporary:
        save(temporary, {**metadata, CHECKSUM: _BLANK.decode()})
        with temporary.open("r+b") as stream:
            header, place = _header(stream.read(8), stream.read)
            digest = xxhash.xxh3_128(header)
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
            stream.seek(place)
            stream.write(digest.hexdigest().encode())


def check_safetensors(path: Path) -> None:
    """Raise a `DamagedError` unless the file is what `write_safetensors` wrote."""
    with path.open("rb") as stream:
        _, place = _header(stream.read(8), stream.read)
        stream.seek(place)
        stated = stream.read(len(_BLANK)).decode(errors="replace")
    if not place or stated != checksum(path):
        raise DamagedError(f"{path}: damaged (its content is not what was written)")


def _header(length: bytes, read: Callable[[int], bytes]) -> tuple[bytes, int]:
    """The length and header of a safetensors file, the checksum as zeros, and where that is (0: nowhere)."""
    header = read(min(int.from_bytes(length, "little"), _LONGEST_HEADER))
    at = header.find(_MARK)
    if at < 0:
        return length + header, 0
    at += len(_MARK)
    return length + header[:at] + _BLANK + header[at + len(_BLANK) :], len(length) + at


def write_record(path: Path, content: Mapping[str, Any], files: Iterable[Path] = ()) -> dict[str, Any]:
    """Write a JSON object that says that `files`, which lie below its folder, are complete; it is written last.

    Returns what `read_record` will read.
    """
    listed = {file.relative_to(path.parent).as_posix(): checksum(file) for file in files}
    record: dict[str, Any] = json.loads(json.dumps({**content, "files": listed} if listed else content))
    write_json(path, {**record, CHECKSUM: _of_json(record)})
    return record


def read_record(path: Path, files: bool = True) -> dict[str, Any]:
    """What `write_record` wrote, once it has been compared with its checksum and, unless left out, with its files.

    A record without a checksum, as another tool or a person wrote it, is taken as it is.

    Raises:
        DamagedError: the record or one of its files is missing or not what was written.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DamagedError(f"{path}: missing") from None
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path}: damaged ({error})") from None
    if not isinstance(record, dict):
        raise DamagedError(f"{path}: damaged (it holds no JSON object)")
    stated = record.pop(CHECKSUM, None)
    if stated is not None and stated != _of_json(record):
        raise DamagedError(f"{path}: damaged (its content is not what was written)")
    if files:
        check_files(path, record)
    return record


@contextmanager
def or_else(remedy: str) -> Iterator[None]:
    """Refuse what is damaged and cannot be made again here, with a `RagcunError` that ends in what to do."""
    try:
        yield
    except DamagedError as error:
        raise RagcunError(f"{error}; {remedy}") from None


def read_written(path: Path, part: str) -> dict[str, Any]:
    """A record that a command wrote for others to read.

    Raises:
        RagcunError: it is damaged.
        UserError: it lacks `part`, so that somebody else wrote it.
    """
    with or_else("give the command that wrote it again, or delete it"):
        found = read_record(path)
    if part not in found:
        raise UserError(f"{path}: was not written by ragcun (it has no {part!r}); move it to another folder")
    return found


def row_line(row: Mapping[str, Any]) -> str:
    """A line of a file that grows: a JSON object with its checksum."""
    content = json.loads(json.dumps(row))
    return json.dumps({**content, CHECKSUM: _of_json(content)}) + "\n"


def row_of_line(line: str) -> dict[str, Any] | None:
    """The object that `row_line` wrote; None where it is damaged. One without a checksum is taken as it is."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict):
        return None
    stated = row.pop(CHECKSUM, None)
    return row if stated in {None, _of_json(row)} else None


def read_kept(path: Path, files: bool = True) -> dict[str, Any] | None:
    """A record of what can be made again at any time; None where it is missing, or damaged, which is told."""
    if not path.is_file():
        return None
    try:
        return read_record(path, files)
    except DamagedError as error:
        say(f"{error}; it is made again")
        return None


def check_files(path: Path, record: Mapping[str, Any]) -> None:
    """Raise a `DamagedError` unless all files that `record`, read from `path`, lists are there and what was written."""
    for name, listed in record.get("files", {}).items():
        file = path.parent / name
        if not file.is_file():
            raise DamagedError(f"{file}: missing")
        if checksum(file) != listed:
            raise DamagedError(f"{file}: damaged (its content is not what was written)")


def _of_json(record: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128(json.dumps(record, sort_keys=True).encode()).hexdigest()
