"""Reading of files as bytes and as text, compressed or not, with errors for wrong encodings."""

import codecs
import gzip
import hashlib
import io
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from ragcun.errors import UserError
from ragcun.files import atomic_path, ragcun_cache
from ragcun.intact import read_kept, write_record

_GZIP = b"\x1f\x8b"
_BOMS = {  # a byte order mark of UTF-32 begins with one of UTF-16
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def is_gzip(path: Path) -> bool:
    """Return whether the file is compressed by gzip, by its first bytes."""
    with path.open("rb") as stream:
        return stream.read(len(_GZIP)) == _GZIP


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, and decompress it if it is compressed by gzip.

    Raises:
        UserError: the compressed file is damaged, incomplete or compressed twice.
    """
    if not is_gzip(path):
        with path.open("rb") as stream:
            yield stream
        return
    try:
        with gzip.open(path) as unpacked:
            if unpacked.peek(len(_GZIP)).startswith(_GZIP):
                raise UserError(f"{path}: is compressed twice; decompress it once: gzip -d")
            yield cast(BinaryIO, unpacked)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path}: the gzip file is damaged or incomplete ({error}); download or compress it again"
        ) from None


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOWrapper]:
    """Open a file as UTF-8 text, without a byte order mark and with original line ends, and decompress it.

    Raises:
        UserError: the text is not UTF-8; the message has the line, the probable encoding, and a command that converts
            it.
    """
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        start = stream.peek(4)[:4]  # type: ignore[attr-defined]
        if b"\0" in start[:2]:  # in UTF-16, every other byte of ASCII text is 0
            raise UserError(f"{path}:1: {not_utf8(start)}")
        try:
            yield text
        except UnicodeDecodeError:
            number, line = _first_undecodable(path)
            raise UserError(f"{path}:{number}: {not_utf8(line)}") from None


def uncompressed(path: Path) -> Path:
    """Return the file, or its uncompressed copy in the cache, which is made once for each size and time."""
    if not is_gzip(path):
        return path
    stat = path.stat()
    state = hashlib.sha256(os.fsencode(f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}")).hexdigest()
    unpacked = ragcun_cache() / "unpacked" / state
    complete = unpacked.with_suffix(".json")
    if read_kept(complete) is None:
        with open_bytes(path) as source, atomic_path(unpacked) as temporary, temporary.open("wb") as target:
            shutil.copyfileobj(source, target, 2**20)
        write_record(complete, {}, [unpacked])
    return unpacked


def not_utf8(data: bytes) -> str:
    """Describe bytes that are not UTF-8: the probable encoding, and a command that converts the file."""
    encoding = next((name for bom, name in _BOMS.items() if data.startswith(bom)), None)
    if encoding is None and b"\0" in data[:2]:
        encoding = "UTF-16BE" if data[:1] == b"\0" else "UTF-16LE"
    if encoding is None:
        try:
            data.decode("cp1252")
            encoding = "WINDOWS-1252"
        except UnicodeDecodeError:
            return "not UTF-8, nor Windows-1252; convert it to UTF-8"
    return f"not UTF-8, probably {encoding}; convert it: iconv -f {encoding} -t UTF-8"


def _first_undecodable(path: Path) -> tuple[int, bytes]:
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number, line
    return 1, b""
