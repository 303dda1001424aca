"""Reciprocal rank fusion of two retrievers (Cormack, Clarke and Buettcher, SIGIR 2009)."""

from typing import Any

import numpy as np

from ragcun.data.texts import Texts
from ragcun.retrieval.retrievers import Retriever
from ragcun.retrieval.topk import EMPTY, Rows, TopK, best, pack, to_rows

K = 60  # the paper's constant
DEPTH = 1_000  # documents of each ranking that are fused


class ReciprocalRank:
    """A retriever that fuses two rankings: a document's score is the sum of 1 / (60 + rank) over the rankings with it.

    Ranks count from 1. Each retriever returns 1,000 documents, or k if that is more.
    """

    def __init__(self, first: Retriever, second: Retriever, label: str) -> None:
        self.label = label
        self._retrievers = (first, second)

    def rank(self, corpus: Texts, queries: Texts, k: int, id_ranks: Rows, exclude: Rows) -> TopK:
        """Return the k best documents of each query; arguments and result are those of `search.search`."""
        depth = max(k, DEPTH)
        rankings = [one.rank(corpus, queries, depth, id_ranks, exclude).rows for one in self._retrievers]
        gains = 1 / (K + 1 + np.arange(depth, dtype=np.float64))
        keys_QK = np.full((len(queries), k), EMPTY)
        for query, pair in enumerate(zip(*rankings, strict=True)):
            rows = np.concatenate([ranking[ranking >= 0] for ranking in pair])
            gained = np.concatenate([gains[: np.count_nonzero(ranking >= 0)] for ranking in pair])
            documents, which = np.unique(rows, return_inverse=True)
            scores = np.bincount(which, weights=gained).astype(np.float32)
            keys_QK[query] = best(pack(scores, id_ranks[documents])[None], k)[0]
        return to_rows(keys_QK, id_ranks)

    def describe(self) -> dict[str, Any]:
        """Return everything that determines the ranking, as JSON."""
        return {
            "model": "reciprocal-rank fusion",
            "k": K,
            "depth": DEPTH,
            "inputs": [{"label": one.label} | one.describe() for one in self._retrievers],
        }
