"""A file of training pairs as Arrow columns on disk and arrays of rows."""

import hashlib
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ragcun.console import say
from ragcun.data.index import LARGE
from ragcun.data.pair_rows import Columns, columns_of, parse_pairs, unread_label
from ragcun.data.problems import Problems
from ragcun.data.rows import format_of, read_rows
from ragcun.data.texts import Selected, Texts
from ragcun.errors import UserError
from ragcun.files import atomic_path, file_sha256, ragcun_cache
from ragcun.intact import read_kept, write_record

Rows = NDArray[np.int64]

_BATCH = 4096
_SCHEMA = pa.schema([("text", pa.string())])
_DIGEST = 16


class ArrowTexts:
    """Texts in a memory-mapped Arrow column."""

    def __init__(self, path: Path) -> None:
        self._column = pa.ipc.open_file(pa.memory_map(str(path))).read_all().column("text")

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, row: int, /) -> str:
        text: str = self._column[row].as_py()
        return text

    def __iter__(self) -> Iterator[str]:
        return (self[row] for row in range(len(self)))


class PairTable(NamedTuple):
    """The distinct texts of a file of pairs, and the rows of these texts that form the pairs: (n,), (n,) and (n, k).

    `rows` are the numbers of the file's rows that were read, kept and left out.
    """

    queries: Texts
    documents: Texts
    anchor: Rows
    positive: Rows
    negatives: Rows
    problems: Problems
    rows: dict[str, int]
    sha256: str


def open_table(path: Path, columns: Columns) -> PairTable:
    """Open a file of pairs. Its texts are extracted once, cached in `ragcun_cache()` and memory-mapped.

    Unusable rows are left out and counted in `problems`. Raises `UserError` if none is left.
    """
    format_of(path)
    sha256 = file_sha256(path)
    name = hashlib.sha256(os.fsencode(f"4\0{path}\0{sha256}\0{columns}")).hexdigest()
    folder = ragcun_cache() / "pairs" / name
    complete = folder / "problems.json"
    if (told := read_kept(complete)) is None:
        if path.stat().st_size >= LARGE:
            say(f"Reading {path.name}; its columns are stored in {folder}")
        problems, counts = _convert(path, folder, columns)
        told = {"problems": problems.to_json(), "rows": counts}
        write_record(complete, told, [folder / name for name in ("queries.arrow", "documents.arrow", "rows.npz")])
    with np.load(folder / "rows.npz") as arrays:
        return PairTable(
            Selected(ArrowTexts(folder / "queries.arrow"), arrays["query_cells"]),
            Selected(ArrowTexts(folder / "documents.arrow"), arrays["document_cells"]),
            arrays["anchor"],
            arrays["positive"],
            arrays["negatives"],
            Problems(**told["problems"]),
            told["rows"],
            sha256,
        )


class _Column:
    """Appends texts to an Arrow file and remembers their digests."""

    def __init__(self, path: Path) -> None:
        self._writer = pa.ipc.new_file(str(path), _SCHEMA)
        self._waiting: list[str] = []
        self._digests = bytearray()

    def append(self, text: str) -> None:
        self._digests += hashlib.blake2b(text.encode(), digest_size=_DIGEST).digest()
        self._waiting.append(text)
        if len(self._waiting) == _BATCH:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_batch(pa.record_batch([pa.array(self._waiting, pa.string())], schema=_SCHEMA))
        self._waiting.clear()

    def __enter__(self) -> "_Column":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def distinct(self) -> tuple[Rows, Rows]:
        """Return the first cell of each distinct text, in order, and for each cell the row of its text."""
        digests = np.frombuffer(self._digests, dtype=f"S{_DIGEST}")
        _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return first[order], rank[inverse]


def _convert(path: Path, folder: Path, columns: Columns) -> tuple[Problems, dict[str, int]]:
    """Write queries.arrow, documents.arrow and rows.npz into `folder`; the caller marks it as complete."""
    problems = Problems()
    numbers, counts = array("q"), array("q")
    named: dict[str, None] = {}
    read = 0
    with (
        atomic_path(folder / "queries.arrow") as queries_file,
        atomic_path(folder / "documents.arrow") as documents_file,
        atomic_path(folder / "rows.npz") as rows_file,
    ):
        with _Column(queries_file) as queries, _Column(documents_file) as documents:
            for number, row in read_rows(path):
                read += 1
                if isinstance(row, Mapping) and not named:
                    columns = columns_of(row, columns)
                if isinstance(row, Mapping):
                    named |= dict.fromkeys(row)
                try:
                    pairs_of_row = parse_pairs(row, columns)
                except ValueError as problem:
                    problems.add(str(problem), f"{path}:{number}")
                    continue
                for query, positive, given in pairs_of_row:
                    negatives = [text for text in given if text != positive]
                    for _ in range(len(given) - len(negatives)):
                        problems.note("negative equals positive", f"{path}:{number}")
                    queries.append(query)
                    for text in (positive, *negatives):
                        documents.append(text)
                    numbers.append(number)
                    counts.append(len(negatives))
        if not numbers:
            raise UserError(f"{path}: {_unusable(problems, named)}")
        _report_columns(problems, columns, named)
        query_cells, anchor = queries.distinct()
        document_cells, document_rows = documents.distinct()
        pairs = np.column_stack([anchor, _table(document_rows, np.frombuffer(counts, dtype=np.int64))])
        kept = np.sort(np.unique(pairs, axis=0, return_index=True)[1])
        for row in np.setdiff1d(np.arange(len(pairs)), kept):
            problems.note("repeated row", f"{path}:{numbers[row]}")
        pairs = pairs[kept]
        np.savez(
            rows_file,
            query_cells=query_cells,
            document_cells=document_cells,
            anchor=pairs[:, 0],
            positive=pairs[:, 1],
            negatives=pairs[:, 2:],
        )
    used = len({numbers[row] for row in kept.tolist()})
    return problems, {"read": read, "kept": used, "left out": read - used}


def _unusable(problems: Problems, named: Iterable[str]) -> str:
    found, names = "; ".join(problems.lines()), ", ".join(named)
    if not names:
        return f"no usable pair ({found or 'the file has no rows'})"
    return (
        f"no usable pair, which needs query or anchor, and positive ({found}; columns: {names}); --columns "
        "query=NAME,positive=NAME says which columns they are"
    )


def _report_columns(problems: Problems, columns: Columns, named: Iterable[str]) -> None:
    if columns.by_order:
        names = " and ".join((*columns.query, *columns.positive))
        problems.remark("columns identified by their order, first the query, then the positive", names)
    for column in named:
        if not columns.used(column) and unread_label(column):
            problems.remark("every row is used as a pair, independent of this label or score", column)
        elif not columns.used(column):
            problems.note("column not used", column)


def _table(rows: Rows, counts: Rows) -> Rows:
    """Arrange each pair's positive and its `counts` negatives, given as one sequence, as (n, 1 + k), filled with -1."""
    width = int(counts.max()) + 1
    table = np.full((len(counts), width), -1, dtype=np.int64)
    table[np.arange(width) <= counts[:, None]] = rows
    return table
