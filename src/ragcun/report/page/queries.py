"""The queries of the page: scores and features of all, texts and rankings of as many as fit."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Self

import numpy as np

from ragcun.data.collection import Collection
from ragcun.evaluation.compare import query_scores
from ragcun.evaluation.features import Features, query_features
from ragcun.evaluation.metrics import Qrels
from ragcun.evaluation.results import Result, check_part
from ragcun.evaluation.statistics import Doubles
from ragcun.retrieval.runs import read_top

DEPTH = 5  # documents that a ranking shows
_QUERY, _DOCUMENT = 600, 320  # characters of a text
_RELEVANT = 5  # relevant documents that are shown of a query
_UNITS = 10_000  # scores are stored as integers, in units of 1/10,000


@dataclass(frozen=True)
class Asked:
    """The queries of one dataset with the scores and rankings of all systems.

    Attributes:
        queries: ids of queries.
        scores: for each system the measure of each query, (Q,), as a mean over seeds; None without results.
        runs: for each system the result of its first seed, whose ranking is shown; None without results.
        collection, qrels, features: collection with judgements and features of queries; None if it was not found.
    """

    queries: list[str]
    scores: list[Doubles | None]
    runs: list[Result | None]
    collection: Collection | None
    qrels: Qrels | None
    features: Features | None

    @classmethod
    def read(cls, results: Sequence[Sequence[Result]], measure: str, collection: Collection | None) -> Self:
        """Read the scores of the systems, each of which has a result for each of its seeds."""
        read = [[query_scores(result.scores, measure) for result in seeds] for seeds in results]
        queries = list(next(seeds[0] for seeds in read if seeds))
        scores = [
            np.array([[found[query] for query in queries] for found in seeds]).mean(axis=0) if seeds else None
            for seeds in read
        ]
        qrels = None
        if collection is not None:
            split = next(seeds[0] for seeds in results if seeds).split
            judged = collection.qrels(split)
            qrels = {query: judged[query] for query in queries}
        features = None if collection is None or qrels is None else query_features(collection, qrels)
        return cls(queries, scores, [seeds[0] if seeds else None for seeds in results], collection, qrels, features)

    def by_interest(self) -> list[int]:
        """Return the queries' positions, those with the largest difference between systems first."""
        there = np.array([found for found in self.scores if found is not None])
        spread = there.max(axis=0) - there.min(axis=0)
        return [int(place) for place in np.argsort(-spread, kind="stable")]

    def to_json(self) -> dict[str, Any]:
        """Return ids, scores and features as JSON values."""
        content: dict[str, Any] = {
            "queries": self.queries,
            "scores": [None if one is None else np.rint(one * _UNITS).astype(int).tolist() for one in self.scores],
            "found": self.collection is not None,
        }
        if self.features is not None:
            overlap = [None if share is None else round(share, 3) for share in self.features.overlap]
            content["features"] = {
                "words": self.features.words,
                "overlap": overlap,
                "relevant": self.features.relevant,
            }
        return content


class Details:
    """Texts and rankings of as many queries as fit in `room` bytes of JSON, taken from all datasets in turn."""

    def __init__(self, asked: Sequence[Asked], room: int) -> None:
        self._of = [_Dataset(one) for one in asked]
        turns = [one.asked.by_interest() if one.asked.collection is not None else [] for one in self._of]
        for places in zip_longest(*turns):
            for dataset, place in zip(self._of, places, strict=True):
                if place is not None:
                    room -= dataset.add(place)
                    if room < 0:
                        dataset.drop(place)
                        return

    def to_json(self) -> list[dict[str, Any]]:
        """Return for each dataset the details by query and the documents that they refer to."""
        return [one.to_json() for one in self._of]


@dataclass
class _Dataset:
    asked: Asked
    details: dict[int, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, int] = field(default_factory=dict)
    texts: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        found = self.asked.collection is not None
        self.tops = [_top(run) if found and run is not None else {} for run in self.asked.runs]

    def add(self, place: int) -> int:
        """Add a query and return its size in bytes."""
        asked = self.asked
        assert asked.collection is not None and asked.qrels is not None  # noqa: S101
        query, before = asked.queries[place], len(self.texts)
        judged = sorted(asked.qrels[query].items(), key=lambda one: (-one[1], one[0]))
        relevant = {document: grade for document, grade in judged if grade > 0}
        tops = [[self._document(one) for one in top.get(query, ())] for top in self.tops]
        shown = [self._document(document) for document in list(relevant)[:_RELEVANT]]
        returned = {document for top in self.tops for document in top.get(query, ())}
        grades = {self.documents[one]: relevant[one] for one in relevant if one in returned or one in self.documents}
        row = int(asked.collection.queries.rows([query])[0])
        self.details[place] = {
            "text": _cut(asked.collection.queries[row], _QUERY),
            "relevant": shown,
            "grades": grades,
            "tops": tops,
        }
        return size(self.details[place]) + size(self.texts[before:]) + 16

    def drop(self, place: int) -> None:
        """Remove a query that did not fit; its documents stay, because they are few."""
        del self.details[place]

    def _document(self, id_: str) -> int:
        if id_ not in self.documents:
            assert self.asked.collection is not None  # noqa: S101
            corpus = self.asked.collection.corpus
            row = int(corpus.rows([id_])[0])
            self.documents[id_] = len(self.texts)
            self.texts.append([id_, _cut(corpus[row], _DOCUMENT) if row >= 0 else ""])
        return self.documents[id_]

    def to_json(self) -> dict[str, Any]:
        return {"details": {str(place): self.details[place] for place in sorted(self.details)}, "documents": self.texts}


def _top(result: Result) -> dict[str, list[str]]:
    check_part(result.run)
    return read_top(result.run, DEPTH)


def size(value: Any) -> int:
    """Return the size of a value in the page, in bytes."""
    return len(to_script(value).encode())


def to_script(value: Any) -> str:
    r"""Return JSON that cannot end a script element, because <, > and & are written \u003c, \u003e and \u0026."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _cut(text: str, longest: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
