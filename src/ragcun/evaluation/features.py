"""Features of queries that do not depend on a system, by which results are sliced."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ragcun.data.collection import Collection
from ragcun.retrieval.words import ENGLISH, analyser, tokenize

FEATURES = {
    "words": "Query length (words)",
    "overlap": "Lexical overlap with relevant documents",
    "relevant": "Number of relevant documents",
}


@dataclass(frozen=True)
class Features:
    """Features of the queries of a split, in the order of its judgements.

    Attributes:
        words: the number of words of the query.
        overlap: the share of the query's terms that are in a relevant document, averaged over its relevant documents,
            0 to 1; None for a query without terms or without relevant documents. Terms are stemmed words without stop
            words, as in BM25 for English.
        relevant: the number of documents judged relevant.
    """

    words: list[int]
    overlap: list[float | None]
    relevant: list[int]


def query_features(collection: Collection, qrels: Mapping[str, Mapping[str, int]]) -> Features:
    """Return the features of the queries of `qrels` in `collection`."""
    term = lru_cache(2**16)(analyser(ENGLISH))

    def terms(text: str) -> set[str]:
        return {found for word in tokenize(text) if (found := term(word)) is not None}

    @lru_cache(2**12)
    def of_document(row: int) -> set[str]:
        return terms(collection.corpus[row])

    found = Features([], [], [])
    for asked, judged in zip(collection.queries.rows(qrels).tolist(), qrels.values(), strict=True):
        text = collection.queries[asked]
        relevant = [document for document, grade in judged.items() if grade > 0]
        rows = collection.corpus.rows(relevant).tolist()
        wanted = terms(text)
        found.words.append(len(tokenize(text)))
        found.relevant.append(len(relevant))
        shares = [len(wanted & of_document(row)) / len(wanted) for row in rows if row >= 0] if wanted else []
        found.overlap.append(sum(shares) / len(shares) if shares else None)
    return found
