"""Candidates found by the processor's cores.

Q queries, B documents of a block, D dimensions, K documents kept.
"""

from concurrent.futures import Executor

import numpy as np
import torch

from ragcun.products import product
from ragcun.retrieval.topk import EMPTY, Floats, Keys, Rows, pack, unpack
from ragcun.slices import slices

_WAITING = 8


class ProcessorCandidates:
    """The K best documents of all queries so far, as keys.

    All cores compute the scores of a few strips of queries, then each core merges the scores of one strip.

    Args:
        queries_QD: the queries' vectors.
        exclude_Q: the row of a document that must not be found for a query, or -1.
        keys_QK: the keys that `keys` returned before, or `EMPTY`.
        strip: the number of queries of a strip.
        threads: the number of strips whose scores are in memory at a time.
        pool: the threads that merge the scores.
    """

    def __init__(
        self, queries_QD: Floats, exclude_Q: Rows, keys_QK: Keys, strip: int, threads: int, pool: Executor
    ) -> None:
        writable_QD = np.require(queries_QD, np.float32, ["C", "W"])  # torch requires writable arrays
        self._together = [torch.from_numpy(writable_QD[some]) for some in slices(len(queries_QD), strip * threads)]
        self._strip, self._threads, self._pool = strip, threads, pool
        self._strips = [_Strip(exclude_Q[some], keys_QK[some]) for some in slices(len(queries_QD), strip)]

    def show(self, documents_BD: Floats, start: int, id_ranks_B: Rows) -> None:
        """Add a block of documents with their vectors, the row of the first, and the ranks of their ids."""
        documents = torch.from_numpy(documents_BD)
        for group, queries_QD in enumerate(self._together):
            scores_BQ = product(documents, queries_QD).numpy()
            strips = self._strips[group * self._threads : (group + 1) * self._threads]
            parts = slices(len(queries_QD), self._strip)
            tasks = [
                self._pool.submit(strip.show, scores_BQ[:, part], start, id_ranks_B)
                for strip, part in zip(strips, parts, strict=True)
            ]
            for task in tasks:
                task.result()

    def keys(self) -> Keys:
        """Return the keys of the K best documents of each query, (Q, K), unordered."""
        return np.concatenate([strip.keys() for strip in self._strips])


class _Strip:
    """The K best documents of some queries so far.

    Documents that reach the K-th best score are collected and merged from time to time, so that memory is limited.
    """

    def __init__(self, exclude_Q: Rows, keys_QK: Keys) -> None:
        self._exclude_Q = exclude_Q
        self._keys_QK = keys_QK
        self._lowest_Q, _ = unpack(keys_QK.min(axis=1))
        self._waiting: list[tuple[Rows, Keys]] = []

    def show(self, scores_BQ: Floats, start: int, id_ranks_B: Rows) -> None:
        (n_block, n_queries), keep = scores_BQ.shape, self._keys_QK.shape[1]
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
        if not self._waiting:
            return self._keys_QK
        n_queries, keep = self._keys_QK.shape
        query = np.concatenate([query for query, _ in self._waiting])
        order = np.argsort(query.astype(np.min_scalar_type(n_queries)), kind="stable")  # radix sort for up to 16 bits
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
