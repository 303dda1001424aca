"""Overlap of training and test texts: the test queries that are in the training data, and scores without them.

There are three grades: texts that are equal except for case, white space and punctuation; texts that are nearly equal
(Jaccard similarity of word 3-grams, with candidates by MinHash and locality-sensitive hashing, Broder 1997); and texts
with close embeddings.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow.parquet as pq

from ragcun.console import progress
from ragcun.data.collection import Collection
from ragcun.data.pairs import Pairs
from ragcun.data.texts import Selected, Texts
from ragcun.errors import UserError
from ragcun.evaluation.results import Result, check_part
from ragcun.intact import read_written, write_record
from ragcun.table import Cell, Column, Note, Table, cells, count, decimals

if TYPE_CHECKING:
    from ragcun.embedding.embedder import Embedder

Grade = Literal["exact", "near", "embedding"]
AUDIT = "audit.json"

_SHINGLE = 3  # words
_PERMUTATIONS = 128
_WORDS = re.compile(r"\w+")
_BLOCK = 4_096


@dataclass(frozen=True)
class Match:
    """A test text that is in the training data: its id, the grade, the similarity (0 to 1), and the training text."""

    id: str
    grade: Grade
    similarity: float
    text: str
    training: str


@dataclass(frozen=True)
class Audit:
    """The overlap of a split of a collection with training data.

    Attributes:
        queries: the judged queries that are in the training data, with the closest match of each.
        documents: the relevant documents that are positives in the training data.
        pairs: the queries that are in the training data together with a document that is relevant to them.
        thresholds: the thresholds of near matches and, if used, of embeddings.
    """

    training: tuple[str, ...]
    dataset: str
    split: str
    judged_queries: int
    relevant_documents: int
    queries: tuple[Match, ...]
    documents: tuple[Match, ...]
    pairs: tuple[str, ...]
    thresholds: Mapping[str, float]

    @property
    def seen(self) -> set[str]:
        """The ids of the queries that are in the training data."""
        return {match.id for match in self.queries}

    def to_json(self) -> dict[str, Any]:
        """Return the content of audit.json, without texts, because not every dataset may be redistributed."""
        left_out = {"text", "training"}
        matches = {
            name: [{k: v for k, v in asdict(match).items() if k not in left_out} for match in getattr(self, name)]
            for name in ("queries", "documents")
        }
        return asdict(self) | matches


def audit(
    training: Sequence[Pairs],
    collection: Collection,
    split: str,
    near: float = 0.8,
    embedder: "Embedder | None" = None,
    close: float = 0.95,
) -> Audit:
    """Look for the judged queries of a split, and for their relevant documents, in training pairs.

    Args:
        training: the training data.
        collection: the test data.
        split: the split of the test data.
        near: the minimum Jaccard similarity of near matches.
        embedder: the encoder for comparing texts by cosine similarity; None for no such comparison.
        close: the minimum cosine similarity of close embeddings.

    Raises:
        UserError: datasketch is not installed.
    """
    qrels = collection.qrels(split)
    asked = list(qrels)
    relevant = list(dict.fromkeys(d for judged in qrels.values() for d, grade in judged.items() if grade > 0))
    rows = collection.corpus.rows(relevant)
    relevant, rows = [d for d, row in zip(relevant, rows, strict=True) if row >= 0], rows[rows >= 0]
    queries, documents = Selected(collection.queries, collection.queries.rows(asked)), Selected(collection.corpus, rows)
    anchors = [Selected(pairs.queries, np.unique(pairs.anchor)) for pairs in training]
    positives = [Selected(pairs.documents, np.unique(pairs.positive)) for pairs in training]
    seen = _look(asked, queries, anchors, near)
    read = _look(relevant, documents, positives, near)
    if embedder is not None:
        _embed(seen, asked, queries, anchors, embedder, close)
    return Audit(
        tuple(str(pairs.source.get("path", "mixture")) for pairs in training),
        collection.name,
        split,
        len(asked),
        len(relevant),
        tuple(seen.values()),
        tuple(read.values()),
        tuple(_pairs(seen, read, qrels)),
        {"near": near} | ({} if embedder is None else {"embedding": close}),
    )


def _normal(text: str) -> str:
    """Return the words in lower case, separated by single spaces."""
    return " ".join(_WORDS.findall(unicodedata.normalize("NFKC", text).casefold()))


def _shingles(normal: str) -> set[str]:
    words = normal.split()
    return {" ".join(words[i : i + _SHINGLE]) for i in range(max(1, len(words) - _SHINGLE + 1))}


def _look(ids: Sequence[str], texts: Texts, training: Sequence[Texts], near: float) -> dict[str, Match]:
    """Return the closest exact or near match of each text that has one, in the order of `ids`."""
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        raise UserError("data audit: datasketch is not installed; run pip install 'ragcun[audit]'") from None

    def hashed(shingles: set[str]) -> Any:
        made = MinHash(num_perm=_PERMUTATIONS, seed=1)
        made.update_batch([one.encode() for one in sorted(shingles)])
        return made

    originals = list(texts)
    normal = [_normal(text) for text in originals]
    places: dict[str, list[int]] = {}
    index = MinHashLSH(threshold=max(0.1, near - 0.1), num_perm=_PERMUTATIONS)  # below `near`, to miss few matches
    parts = [_shingles(text) for text in normal]
    for place, text in enumerate(normal):
        if text and text not in places:
            index.insert(place, hashed(parts[place]))
        places.setdefault(text, []).append(place)
    best: dict[int, Match] = {}

    def keep(place: int, grade: Grade, similarity: float, text: str) -> None:
        for each in places[normal[place]]:
            if each not in best or similarity > best[each].similarity:
                best[each] = Match(ids[each], grade, similarity, originals[each], text)

    with progress("comparing texts", sum(map(len, training)), "texts") as bar:
        for text in _every(training):
            bar.advance()
            shown = _normal(text)
            if not shown:
                continue
            if shown in places:
                keep(places[shown][0], "exact", 1.0, text)
                continue
            shingles = _shingles(shown)
            for place in index.query(hashed(shingles)):
                similarity = len(shingles & parts[place]) / len(shingles | parts[place])
                if similarity >= near:
                    keep(place, "near", similarity, text)
    return {ids[place]: best[place] for place in sorted(best)}


def _every(training: Sequence[Texts]) -> Iterator[str]:
    for texts in training:
        yield from texts


def _embed(
    seen: dict[str, Match],
    ids: Sequence[str],
    texts: Texts,
    training: Sequence[Texts],
    embedder: "Embedder",
    close: float,
) -> None:
    """Add to `seen` the texts whose nearest training text has a similarity of at least `close`."""
    asked = _unit(embedder.queries(texts).block(0, len(texts)))
    for others in training:
        vectors = embedder.queries(others)
        nearest = np.full(len(texts), -1.0)
        places = np.zeros(len(texts), dtype=np.int64)
        for start in range(0, len(others), _BLOCK):
            cosines = asked @ _unit(vectors.block(start, min(start + _BLOCK, len(others)))).T
            best = cosines.argmax(axis=1)
            values = cosines[np.arange(len(texts)), best]
            higher = values > nearest
            nearest[higher], places[higher] = values[higher], best[higher] + start
        for row in np.flatnonzero(nearest >= close).tolist():
            if ids[row] not in seen:
                text = others[int(places[row])]
                seen[ids[row]] = Match(ids[row], "embedding", min(1.0, float(nearest[row])), texts[row], text)


def _unit(vectors: Any) -> Any:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _pairs(
    seen: Mapping[str, Match], read: Mapping[str, Match], qrels: Mapping[str, Mapping[str, int]]
) -> Iterable[str]:
    return (q for q in seen if any(grade > 0 and document in read for document, grade in qrels[q].items()))


@dataclass(frozen=True)
class Without:
    """A model's scores, 0 to 1, over all queries and over those not in the training data; None if none is left."""

    label: str
    every: float
    unseen: float | None
    left: int


def without_seen(results: Sequence[Result], found: Audit, measure: str) -> list[Without]:
    """Compute the scores of `results` on the dataset and split of `found` without the queries in the training data.

    Raises `UserError` if a result lacks the measure.
    """
    rows = []
    for result in results:
        if (result.dataset, result.split) != (found.dataset, found.split):
            continue
        if measure not in result.metrics:
            raise UserError(f"{result.path}: has no metric {measure!r}, only {', '.join(result.metrics)}")
        check_part(result.scores)
        table = pq.read_table(result.scores, columns=["query_id", measure])
        pairs = zip(table["query_id"].to_pylist(), table[measure].to_pylist(), strict=True)
        left = [value for query, value in pairs if query not in found.seen]
        rows.append(Without(result.label, result.metrics[measure], float(np.mean(left)) if left else None, len(left)))
    return rows


def write_audit(path: Path, audits: Sequence[Audit], scores: Mapping[str, Sequence[Without]], measure: str) -> None:
    """Write audit.json with the audits and the scores without the queries that are in the training data."""
    content = [one.to_json() | {"scores": [asdict(row) for row in scores.get(one.dataset, ())]} for one in audits]
    write_record(path, {"measure": measure, "audits": content})


def audit_notes(folder: Path) -> list[Note]:
    """Make the notes on overlap for tables of the results in `folder`, from each audit.json in it."""
    notes = []
    for path in sorted(folder.rglob(AUDIT)):
        content = read_written(path, "audits")
        for one in content["audits"]:
            seen, judged = len(one["queries"]), one["judged_queries"]
            text = f"{one['dataset']} ({one['split']}): {seen:,} of {judged:,} queries are in the training data"
            without = [
                f"{row['label']} {100 * row['unseen']:.2f}" for row in one["scores"] if row["unseen"] is not None
            ]
            told = f"; without them {content['measure']} is {', '.join(without)}" if seen and without else ""
            notes.append(Note(f"{text}{told}."))
    return notes


def audit_table(audits: Sequence[Audit]) -> Table:
    """Make the table of the numbers of each test set's texts in the training data, by grade."""
    grades: tuple[Grade, ...] = ("exact", "near", "embedding")
    columns = [Column("dataset"), Column("split"), Column("texts"), Column("judged", count)]
    columns += [*(Column(grade, count) for grade in grades), Column("seen", decimals(1, scale=100))]
    groups = []
    for one in audits:
        rows = []
        for name, total, matches in (
            ("queries", one.judged_queries, one.queries),
            ("relevant documents", one.relevant_documents, one.documents),
        ):
            compared = set(grades) if name == "queries" and "embedding" in one.thresholds else set(grades[:2])
            counts = [sum(m.grade == grade for m in matches) if grade in compared else None for grade in grades]
            rows.append([*cells(one.dataset, one.split, name, total, *counts), Cell(len(matches) / max(1, total))])
        rows.append(
            [
                *cells(one.dataset, one.split, "query with a relevant document", one.judged_queries, None, None, None),
                Cell(len(one.pairs) / max(1, one.judged_queries)),
            ]
        )
        groups.append(rows)
    near = audits[0].thresholds["near"]
    notes = [f"Training data: {', '.join(audits[0].training)}. The column seen is in percent."]
    notes.append(
        f"Exact: the same words in order. Near: Jaccard similarity of word {_SHINGLE}-grams, {near:g} or more."
    )
    if "embedding" in audits[0].thresholds:
        notes.append(f"Embedding: cosine of at least {audits[0].thresholds['embedding']:g} to a training query.")
    return Table("", columns, groups, [Note(text) for text in notes], "audit")


def without_table(scores: Mapping[str, Sequence[Without]], measure: str) -> Table:
    """Make the table of scores over all queries and over those not in the training data."""
    score = decimals(2, scale=100)
    columns = [Column("dataset"), Column("model"), Column(measure, score), Column("unseen", score)]
    columns += [Column("difference", decimals(2, scale=100, sign=True)), Column("queries left", count)]
    groups = [
        [
            cells(dataset, r.label, r.every, r.unseen, None if r.unseen is None else r.unseen - r.every, r.left)
            for r in rows
        ]
        for dataset, rows in scores.items()
        if rows
    ]
    return Table("", columns, groups, [Note("Unseen: without the queries that are in the training data.")], "unseen")
