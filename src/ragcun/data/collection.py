"""Collections in BEIR's layout: NAME/corpus.jsonl, NAME/queries.jsonl, NAME/qrels/SPLIT.tsv; each may end in .gz."""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from ragcun.console import say
from ragcun.data.finished import refuse_damage
from ragcun.data.jsonl import JsonlTexts
from ragcun.data.problems import OnError, Problems
from ragcun.data.qrels import Judgements, read_judgements
from ragcun.errors import UserError
from ragcun.files import atomic_folder, atomic_path, file_sha256

CORPUS = "corpus.jsonl"
_GZ = ".gz"


class Collection:
    """A corpus, its queries, and the judgements of each split, which stay on disk.

    Attributes:
        name: the folder's name, unless another is given.
        path: the folder.
        corpus: documents, title and text joined as BEIR joins them.
        queries: the queries of all splits.
        problems: the rows that were left out; those of a split are added when it is first read.
    """

    def __init__(
        self, path: Path, corpus: JsonlTexts, queries: JsonlTexts, on_error: OnError, name: str | None
    ) -> None:
        self.path = path
        self.name = name or path.resolve().name
        self.corpus = corpus
        self.queries = queries
        self.problems = Problems()
        self.problems.merge(corpus.problems)
        self.problems.merge(queries.problems)
        self._on_error = on_error
        self._judgements: dict[str, Judgements] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str], on_error: OnError = "refuse", name: str | None = None) -> Self:
        """Open the collection in folder `path`.

        Unusable rows (invalid JSON, no id, a repeated id, no text, wrong types, judgements of unknown queries) raise a
        `UserError` with their counts and first positions; with `on_error="skip"`, they are left out and counted in
        `problems`. A missing folder or file raises a `UserError` that lists the existing ones. A damaged file that
        ragcun made raises a `RagcunError`.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; {folder.parent} has {_listed(_folders(folder.parent))}")
        files = _present(folder, CORPUS), _present(folder, "queries.jsonl")
        for file in files:
            refuse_damage(file)
        corpus, queries = JsonlTexts(files[0], titled=True, on_error=on_error), JsonlTexts(files[1], on_error=on_error)
        for texts in (corpus, queries):
            _tell_rows(texts.path, texts.problems, len(texts))
        return cls(folder, corpus, queries, on_error, name)

    def splits(self) -> list[str]:
        """List the splits that have judgements, in alphabetical order."""
        files = [*(self.path / "qrels").glob("*.tsv"), *(self.path / "qrels").glob("*.tsv.gz")]
        return sorted({file.name.removesuffix(_GZ).removesuffix(".tsv") for file in files})

    def judgements(self, split: str) -> Judgements:
        """Return the judgements of a split as columns, in the file's order. Raises as `open` does."""
        if split not in self._judgements:
            judgements, problems = read_judgements(self._qrels_file(split), self.queries, self.corpus)
            problems.settle(self._on_error)
            if not len(judgements.grades):
                found = "; ".join(problems.lines()) or "the file is empty"
                raise UserError(f"{self._qrels_file(split)}: has no usable judgement: {found}")
            _tell_rows(self._qrels_file(split), problems, len(judgements.grades))
            self.problems.merge(problems)
            self._judgements[split] = judgements
        return self._judgements[split]

    def qrels(self, split: str) -> dict[str, dict[str, int]]:
        """Return a split's judgements, query id -> document id -> grade, including grade 0. Raises as `open` does."""
        judgements = self.judgements(split)
        qrels: dict[str, dict[str, int]] = {}
        for query, document, grade in zip(
            judgements.query_ids, judgements.document_ids, judgements.grades.tolist(), strict=True
        ):
            qrels.setdefault(query, {})[document] = grade
        return qrels

    def fingerprint(self, split: str) -> str:
        """Return the SHA-256 over the bytes of the corpus, the queries and the split's judgements."""
        return _fingerprint(self.corpus.path, self.queries.path, self._qrels_file(split))

    def texts_fingerprint(self) -> str:
        """Return the SHA-256 over the bytes of the corpus and the queries, without judgements."""
        return _fingerprint(self.corpus.path, self.queries.path)

    def _qrels_file(self, split: str) -> Path:
        if split not in self.splits():
            refuse_damage(self.path / "qrels" / f"{split}.tsv")
            raise UserError(f"{self.path}: has no split {split!r}; its splits are {_listed(self.splits())}")
        file = _present(self.path / "qrels", f"{split}.tsv")
        refuse_damage(file)
        return file


def _fingerprint(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(bytes.fromhex(_sha256(file, stat.st_size, stat.st_mtime_ns)))
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _sha256(path: Path, _size: int, _mtime_ns: int) -> str:
    return file_sha256(path)


def _tell_rows(path: Path, problems: Problems, kept: int) -> None:
    if told := problems.told_rows(kept):
        say(f"{path}: {told}")


def is_collection(folder: Path) -> bool:
    """Return whether the folder has a corpus in BEIR's layout."""
    return any((folder / name).is_file() for name in (CORPUS, CORPUS + _GZ))


def _present(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}{_GZ}"):
        if file.is_file():
            return file
    there = sorted(child.name for child in folder.iterdir())
    raise UserError(f"{folder}: not a collection: {name} is missing; the folder has {_listed(there)}")


def _folders(parent: Path) -> list[str]:
    return sorted(child.name for child in parent.iterdir() if is_collection(child)) if parent.is_dir() else []


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def write_collection(
    path: str | os.PathLike[str],
    corpus: Iterable[tuple[str, str, str]],
    queries: Iterable[tuple[str, str]],
    qrels: Mapping[str, Iterable[tuple[str, str, int]]],
) -> Path:
    """Write a collection in BEIR's layout, completely or not at all, and return its folder.

    `corpus` yields (id, title, text), `queries` yields (id, text), and `qrels` yields (query id, document id, grade)
    for each split; all are streamed. Raises `UserError` if `path` exists and is not an empty folder, for an id that is
    empty or contains a tab or line break, and for text that is not Unicode (half a surrogate pair).
    """
    with atomic_folder(path) as folder:
        documents = ({"_id": _checked(id_), "title": title, "text": text} for id_, title, text in corpus)
        _write_jsonl(folder / "corpus.jsonl", documents)
        _write_jsonl(folder / "queries.jsonl", ({"_id": _checked(id_), "text": text} for id_, text in queries))
        (folder / "qrels").mkdir()
        for split, judgements in qrels.items():
            _write_qrels(folder / "qrels" / f"{split}.tsv", judgements)
    return Path(path)


def _checked(id_: str) -> str:
    if not id_ or any(character in id_ for character in "\t\n\r"):
        raise UserError(
            f"id {id_!r}: must not be empty or contain a tab or a line break, which a qrels file cannot represent"
        )
    return id_


def _write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            try:
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            except UnicodeEncodeError:
                raise UserError(
                    f"{path.name}: {row['_id']!r} contains half a surrogate pair, which is not valid Unicode"
                ) from None


def _write_qrels(path: Path, judgements: Iterable[tuple[str, str, int]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(("query-id", "corpus-id", "score"))
        writer.writerows((_checked(query), _checked(document), int(grade)) for query, document, grade in judgements)
