"""Reading of passages from text files, tables, collections and folders of these."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ragcun.data.collection import CORPUS, is_collection
from ragcun.data.problems import Problems
from ragcun.data.rows import read_rows
from ragcun.data.streams import open_bytes
from ragcun.errors import UserError

_TEXT_COLUMNS = ("text", "passage", "document", "content", "contents")
_TABLES = {".jsonl", ".json", ".csv", ".tsv", ".parquet"}


class Passage(NamedTuple):
    """A title, which may be empty, and a text."""

    title: str
    text: str


def read_passages(path: Path, problems: Problems) -> Iterator[Passage]:
    """Stream the passages of a file or folder, in the order of names and lines.

    A .txt file has one passage per line. A .jsonl, .json, .csv, .tsv or .parquet file has one per row, in the column
    text, passage, document, content or contents, with an optional column title. Of a folder with a corpus.jsonl, this
    file is read; of any other folder, all such files in it and in its subfolders. Rows without a text are counted in
    `problems`; empty lines of a .txt file are ignored.

    Raises:
        UserError: there is no such file or folder, or it contains no readable file.
    """
    for file in _files(path):
        yield from _lines(file, problems) if _suffix(file) == ".txt" else _rows(file, problems)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        if _suffix(path) not in {".txt", *_TABLES}:
            raise UserError(f"{path}: has an unsupported format; use .txt, {', '.join(sorted(_TABLES))}")
        return [path]
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder of documents")
    if is_collection(path):
        return [next(file for file in (path / CORPUS, path / f"{CORPUS}.gz") if file.is_file())]
    files = [file for file in sorted(path.rglob("*")) if _suffix(file) in {".txt", *_TABLES} and file.is_file()]
    if not files:
        raise UserError(f"{path}: contains no file of passages (.txt, {', '.join(sorted(_TABLES))})")
    return files


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _lines(path: Path, problems: Problems) -> Iterator[Passage]:
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                problems.add("not UTF-8", f"{path}:{number}")
                continue
            if text:
                yield Passage("", text)


def _rows(path: Path, problems: Problems) -> Iterator[Passage]:
    for number, row in read_rows(path):
        try:
            yield _passage(row)
        except ValueError as problem:
            problems.add(str(problem), f"{path}:{number}")


def _passage(row: Any) -> Passage:
    if isinstance(row, ValueError):
        raise row
    if isinstance(row, str):
        row = {"text": row}
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    text = next((row[name] for name in _TEXT_COLUMNS if row.get(name) is not None), None)
    if text is None:
        raise ValueError(f"no column {', '.join(_TEXT_COLUMNS[:-1])} or {_TEXT_COLUMNS[-1]}")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("text is empty or not a string")
    title = row.get("title") or ""
    return Passage(title.strip() if isinstance(title, str) else "", text.strip())
