"""Rows of a file of training pairs, one at a time, whatever its format."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet

from ragcun.data.index import numbered_lines
from ragcun.errors import UserError

Row = tuple[int, Any]

COLUMNS = {"query", "anchor", "positive"}
NEGATIVE = re.compile(r"negatives?|negative_?[0-9]+")

_CHUNK = 2**20
_BETWEEN = re.compile(r"[\s,]*")


def read_rows(path: Path) -> Iterator[Row]:
    """Stream the rows of a JSONL, JSON (one array, or lines), CSV, TSV or Parquet file.

    A number is the line in a text file, the row (from 1) in a JSON array or a Parquet file. A row that cannot be
    read comes as a `ValueError` whose message is the kind of problem. Raises `UserError` for another format, and
    for a file that breaks off or is not UTF-8, behind which no row can be found.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise UserError(f"{path}: not a format of pairs that can be read; these can: {', '.join(_READERS)}")
    try:
        yield from _READERS[suffix](path)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason})") from None
    except pa.ArrowException as error:
        raise UserError(f"{path}: not a Parquet file that can be read ({error})") from None


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as stream:
        for _, number, line in numbered_lines(stream):
            try:
                value = json.loads(line.decode())
            except (ValueError, RecursionError):
                value = ValueError("bad JSON")
            yield number, value


def _json(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as stream:
        buffer = stream.read(_CHUNK).lstrip()
        if not buffer.startswith("["):
            yield from _jsonl(path)
            return
        decoder, number, position = json.JSONDecoder(), 0, 1
        while True:
            between = _BETWEEN.match(buffer, position)
            position = between.end() if between else position
            if buffer.startswith("]", position):
                return
            try:
                value, position = decoder.raw_decode(buffer, position)
            except (ValueError, RecursionError):
                buffer, position = buffer[position:], 0
                more = stream.read(max(_CHUNK, len(buffer)))
                if not more:
                    raise UserError(f"{path}: the JSON array breaks after row {number:,}") from None
                buffer += more
                continue
            number += 1
            yield number, value


def _csv(path: Path, delimiter: str = ",") -> Iterator[Row]:
    csv.field_size_limit(2**31 - 1)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream, delimiter=delimiter, strict=True)
        while True:
            number = rows.line_num + 1
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error:
                yield number, ValueError("malformed line")
                continue
            whole = None not in row and None not in row.values()
            yield number, row if whole else ValueError("wrong number of fields")


def _tsv(path: Path) -> Iterator[Row]:
    return _csv(path, delimiter="\t")


def _parquet(path: Path) -> Iterator[Row]:
    with pyarrow.parquet.ParquetFile(path, memory_map=True) as file:
        batches = file.iter_batches(batch_size=1024)
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)


_READERS = {".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _tsv, ".parquet": _parquet}


class Pair(NamedTuple):
    """The texts of one row, negatives in the order of their columns."""

    query: str
    positive: str
    negatives: list[str]


def parse_pair(row: Any) -> Pair:
    """Texts of a row of `read_rows`; a `ValueError` whose message is the kind of problem where they cannot be had.

    Columns are `query` or `anchor`, `positive`, and for negatives `negative`, `negative_1` and so on, or `negatives`,
    each a text or a list of texts; a negative that is null or empty is one that the row does not have.
    """
    if isinstance(row, ValueError):
        raise row
    if not isinstance(row, Mapping):
        raise ValueError("not a JSON object")
    query = _text("query or anchor", row.get("query", row.get("anchor")))
    positive = _text("positive", row.get("positive"))
    if query.strip() == positive.strip():
        raise ValueError("query equals positive")
    negatives: list[str] = []
    for name, value in row.items():
        if NEGATIVE.fullmatch(name):
            cells = value if isinstance(value, list) else [value]
            negatives += [_text(name, cell) for cell in cells if cell is not None and cell != ""]
    return Pair(query, positive, negatives)


def _text(name: str, value: Any) -> str:
    if value is None:
        raise ValueError(f"no {name}")
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a string")
    if not value or value.isspace():
        raise ValueError(f"empty {name}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair") from None
    return value
