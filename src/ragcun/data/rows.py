"""Streaming of the rows of a file of training pairs, in several formats."""

import csv
import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from ragcun.data.index import REPEATED_KEY, numbered_lines, once, parse_json
from ragcun.data.streams import open_bytes, open_text, uncompressed
from ragcun.errors import UserError

Row = tuple[int, Any]

_CHUNK = 2**20
_LARGEST = 2**26  # characters of a JSON value in an array
_SPACE = re.compile(r"\s*")


def format_of(path: Path) -> str:
    """Return the suffix of the file's format without `.gz`, one of `FORMATS`.

    Raises:
        UserError: the file has another suffix.
    """
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in FORMATS:
        raise UserError(f"{path}: has an unsupported format; use one of {', '.join(FORMATS)}, with or without .gz")
    return suffix


def read_rows(path: Path) -> Iterator[Row]:
    """Stream the rows of a JSONL, JSON (arrays, or lines), CSV, TSV or Parquet file, compressed by gzip or not.

    A row's number is the line in a text file, and the row (from 1) in a JSON array or a Parquet file. For a row that
    cannot be read, a `ValueError` with the kind of problem is yielded. CSV is quoted as in RFC 4180. TSV has no
    quoting, so a quotation mark is text. White space around the names of columns is removed.

    Raises:
        UserError: the format is unsupported, a header names a column twice, or the file is incomplete, damaged or not
            UTF-8.
    """
    reader = _READERS[format_of(path)]
    try:
        yield from reader(path)
    except pa.ArrowException as error:
        raise UserError(f"{path}: cannot be read as a Parquet file ({error})") from None


def _json(path: Path) -> Iterator[Row]:
    """Arrays, or objects over several lines, are read value by value; else a value stands on each line."""
    with open_bytes(path) as stream:
        start = stream.read(_CHUNK).removeprefix(BOM_UTF8).lstrip()
    spread = format_of(path) == ".json" and not _is_line(start.partition(b"\n")[0])
    yield from _values(path) if start.startswith(b"[") or spread else _lines(path)


def _is_line(line: bytes) -> bool:
    """Whether the line is not the beginning of a value that goes on, and no sequence of values, whatever else it is."""
    try:
        json.loads(line)
    except json.JSONDecodeError as problem:
        return problem.pos < len(problem.doc.rstrip()) and not problem.msg.startswith("Extra data")
    except (UnicodeDecodeError, RecursionError):
        return True
    return True


def _lines(path: Path) -> Iterator[Row]:
    with open_bytes(path) as stream:
        for _, number, line in numbered_lines(stream):
            try:
                value = parse_json(line)
            except ValueError as problem:
                value = problem
            yield number, value


def _values(path: Path) -> Iterator[Row]:
    with open_text(path) as stream:
        yield from _arrays(path, iter(lambda: stream.read(_CHUNK), ""))


def _arrays(path: Path, chunks: Iterator[str]) -> Iterator[Row]:
    """Yield the rows of consecutive JSON arrays, and objects between them."""
    decoder, number, position, inside, first = json.JSONDecoder(object_pairs_hook=once), 0, 0, False, True
    buffer = next(chunks)
    while True:
        position = _end_of(_SPACE, buffer, position)
        if position == len(buffer):
            buffer, position = next(chunks, ""), 0
            if not buffer and not inside:
                return
            if not buffer:
                raise UserError(f"{path}: the JSON array ends unexpectedly after row {number:,}")
            continue
        if not inside and buffer[position] == "[":
            inside, first, position = True, True, position + 1
            continue
        if inside and buffer[position] == "]":
            inside, position = False, position + 1
            continue
        if inside and not first:
            if buffer[position] != ",":
                raise UserError(f"{path}: not valid JSON: a comma is missing after row {number:,}")
            position = _end_of(_SPACE, buffer, position + 1)
        value, buffer, position = _value(path, decoder, buffer, position, chunks, number)
        first = False
        number += 1
        yield number, value


def _value(
    path: Path, decoder: json.JSONDecoder, buffer: str, position: int, chunks: Iterator[str], number: int
) -> tuple[Any, str, int]:
    """Return the JSON value at `position`, the text read so far, and the position after the value."""
    while True:
        position = _end_of(_SPACE, buffer, position)
        try:
            value, end = decoder.raw_decode(buffer, position)
            if end < len(buffer) or not isinstance(value, int | float):  # a number may continue in the next chunk
                return value, buffer, end
        except RecursionError:
            raise UserError(f"{path}: nested too deeply after row {number:,}") from None
        except ValueError as problem:
            if str(problem) == REPEATED_KEY:
                raise UserError(f"{path}: {problem} in row {number + 1:,}") from None
        more = next(chunks, "") if len(buffer) - position < _LARGEST else ""
        if not more:
            raise UserError(f"{path}: not valid JSON, or it ends unexpectedly, after row {number:,}")
        buffer, position = buffer[position:] + more, 0


def _end_of(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return position if found is None else found.end()


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(2**31 - 1)
    with open_text(path) as stream:
        rows = csv.reader(stream, strict=True, skipinitialspace=True)
        columns: list[str] | None = None
        while True:
            number = rows.line_num + 1
            try:
                fields = next(rows)
            except StopIteration:
                return
            except csv.Error:
                yield number, ValueError("malformed line")
                continue
            if not "".join(fields).strip() and len(fields) < 2:
                continue
            if columns is None:
                columns = _columns(path, fields)
                continue
            yield number, _named(columns, fields)


def _tsv(path: Path) -> Iterator[Row]:
    with open_text(path) as stream:
        columns: list[str] | None = None
        for number, line in enumerate(stream, 1):
            text = line.rstrip("\r\n")
            if not text.strip():
                continue
            fields = text.split("\t")
            if columns is None:
                columns = _columns(path, fields)
                continue
            yield number, _named(columns, fields)


def _columns(path: Path, fields: list[str]) -> list[str]:
    columns = [field.strip() for field in fields]
    if twice := next((column for column in columns if columns.count(column) > 1), None):
        raise UserError(f"{path}:1: the header names the column {twice!r} twice; rename one of them")
    return columns


def _named(columns: list[str], fields: list[str]) -> dict[str, str] | ValueError:
    if len(fields) != len(columns):
        return ValueError("wrong number of fields")
    if any("\0" in field for field in fields):
        return ValueError("a NUL byte, which no text has")
    return dict(zip(columns, fields, strict=True))


def _parquet(path: Path) -> Iterator[Row]:
    with pyarrow.parquet.ParquetFile(uncompressed(path), memory_map=True) as file:
        _columns(path, file.schema_arrow.names)
        batches = file.iter_batches(batch_size=1024)
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)


_READERS = {".jsonl": _json, ".json": _json, ".csv": _csv, ".tsv": _tsv, ".parquet": _parquet}
FORMATS = tuple(_READERS)
