"""Candidates that the processor's cores find.

Q queries, B documents of a block, D dimensions, K documents kept.
"""

import numpy as np

from ragcun.retrieval.topk import EMPTY, Floats, Keys, Rows, pack, unpack

_WAITING = 8


class ProcessorCandidates:
    """The K best documents of a run of queries so far, as keys.

    What reaches the K-th best score is set aside and sorted in now and then, so memory does not grow with the corpus.

    Args:
        queries_QD: the queries.
        exclude_Q: the row of a document that a query shall not find, or -1.
        keys_QK: what has been found before, as `keys` gave it, or else `EMPTY`.
    """

    def __init__(self, queries_QD: Floats, exclude_Q: Rows, keys_QK: Keys) -> None:
        self._queries_QD = queries_QD
        self._exclude_Q = exclude_Q
        self._keys_QK = keys_QK
        self._lowest_Q, _ = unpack(keys_QK.min(axis=1))
        self._waiting: list[tuple[Rows, Keys]] = []

    def show(self, documents_BD: Floats, start: int, id_ranks_B: Rows) -> None:
        """Take in a block of documents: their vectors, the row of the first, and the ranks of their ids."""
        (n_block, n_queries), keep = (len(documents_BD), len(self._queries_QD)), self._keys_QK.shape[1]
        scores_BQ = documents_BD @ self._queries_QD.T
        hidden = np.flatnonzero((self._exclude_Q >= start) & (self._exclude_Q < start + n_block))
        scores_BQ[self._exclude_Q[hidden] - start, hidden] = -np.inf
        lowest_Q = self._lowest_Q
        if n_block > keep and np.isneginf(lowest_Q).all():
            lowest_Q = np.partition(np.ascontiguousarray(scores_BQ.T), n_block - keep, axis=1)[:, n_block - keep]
        document, query = np.divmod(np.flatnonzero(scores_BQ >= lowest_Q), n_queries)
        self._waiting.append((query, pack(scores_BQ[document, query], id_ranks_B[document])))
        if len(self._waiting) == _WAITING or sum(len(keys) for _, keys in self._waiting) > self._keys_QK.size:
            self.keys()

    def keys(self) -> Keys:
        """Keys of the K best documents of each query, (Q, K), in no order."""
        if not self._waiting:
            return self._keys_QK
        n_queries, keep = self._keys_QK.shape
        query = np.concatenate([query for query, _ in self._waiting])
        order = np.argsort(query.astype(np.min_scalar_type(n_queries)), kind="stable")  # 16 bits are sorted fastest
        query, keys = query[order], np.concatenate([keys for _, keys in self._waiting])[order]
        count_Q = np.bincount(query, minlength=n_queries)
        column = np.arange(len(query)) - np.repeat(np.cumsum(count_Q) - count_Q, count_Q)
        wide = np.full((n_queries, keep + count_Q.max()), EMPTY)
        wide[:, :keep] = self._keys_QK
        wide[query, keep + column] = keys
        cut = wide.shape[1] - keep
        wide.partition(cut, axis=1)
        self._keys_QK = wide[:, cut:].copy()
        self._lowest_Q, _ = unpack(self._keys_QK[:, 0])
        self._waiting = []
        return self._keys_QK
