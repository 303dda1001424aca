"""Exact search: the k most similar documents of each query.

Candidates come from float32 matrix products, block by block, so that memory does not grow with the corpus. The last
word is float64's: k + 32 candidates of each query are scored again from the vectors themselves, and that score, rounded
to float32, is the one that ranks and that the run shows. So equal vectors have equal scores, and neither the sizes of
blocks nor the number of threads nor the BLAS shows in a run.

Q queries, N documents, B documents of a block, D dimensions, K candidates kept, P pairs of query and candidate.
"""

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ragcun.console import progress
from ragcun.errors import RagcunError, UserError
from ragcun.retrieval.topk import EMPTY, Floats, Keys, Rows, TopK, best, inverse, pack, unpack

SIMILARITIES = ("euclidean", "cosine", "dot")

_MARGIN = 32
_AT_ONCE = 1_024
_WAITING = 8

Doubles = npt.NDArray[np.float64]


class Matrix(Protocol):
    """Vectors that need not be in memory, (n, d) float32: `ragcun.embedding.embedder.Vectors`, or an array within."""

    shape: tuple[int, int]

    def block(self, start: int, stop: int, /) -> Floats: ...

    def rows(self, index: Rows, /) -> Floats: ...


def search(
    queries: Matrix | Floats,
    documents: Matrix | Floats,
    k: int,
    similarity: str,
    *,
    places: Rows | None = None,
    exclude: Rows | None = None,
    query_block: int = 1024,
    document_block: int = 2048,
) -> TopK:
    """The k most similar documents of each query.

    Args:
        queries: (Q, D) float32, taken into memory.
        documents: (N, D) float32.
        k: how many to keep, at least 1; where it is more than N, the rest is empty.
        similarity: "euclidean" (the score is the negative distance), "cosine" (a zero vector's is 0) or "dot".
        places: (N,) decides between equal scores, the higher first (see `topk.id_places`); if None, the later row.
        exclude: (Q,) the row of a document that the query shall not find, or -1.
        query_block: queries of one matrix product.
        document_block: documents of one matrix product.

    Raises:
        UserError: there is no such similarity.
        RagcunError: a vector is not finite, or too long for its square to be.
    """
    if similarity not in SIMILARITIES:
        raise UserError(f"similarity {similarity!r}: not supported; one of {', '.join(SIMILARITIES)}")
    documents = _matrix(documents)
    n_queries, n_documents = queries.shape[0], documents.shape[0]
    queries_QD = _matrix(queries).block(0, n_queries)
    _squares(queries_QD, "query", 0)
    if places is None:
        places = np.arange(n_documents)
    if exclude is None:
        exclude = np.full(n_queries, -1)

    keep = min(k + _MARGIN, n_documents)
    blocks = [slice(at, min(at + query_block, n_queries)) for at in range(0, n_queries, query_block)]
    kept = [_Best(block.stop - block.start, keep) for block in blocks]
    buffer = np.empty(min(query_block, n_queries) * min(document_block, n_documents), dtype=np.float32)
    centre_D = centred_QD = None
    with progress("searching", n_documents, "documents") as bar:
        for start in range(0, n_documents, document_block):
            stop = min(start + document_block, n_documents)
            documents_BD = documents.block(start, stop)
            squares_B = _squares(documents_BD, "document", start)
            if similarity == "cosine":
                lengths_B = np.sqrt(np.maximum(squares_B, np.float32(1e-30)))
                documents_BD = np.divide(documents_BD, lengths_B[:, None], dtype=np.float32)
            if centre_D is None:
                centre_D = _centre(documents_BD)
                centred_QD = queries_QD - centre_D if similarity == "euclidean" else queries_QD
            documents_BD = documents_BD - centre_D  # changes no ranking, and what is small is exact
            if similarity == "euclidean":
                squares_B = _squares(documents_BD, "document", start)
            for block, best_of_block in zip(blocks, kept, strict=True):
                scores_BQ = buffer[: (stop - start) * (block.stop - block.start)].reshape(stop - start, -1)
                np.matmul(documents_BD, centred_QD[block].T, out=scores_BQ)
                if similarity == "euclidean":  # ranks as -|q - d|^2 does
                    scores_BQ -= squares_B[:, None] / 2
                hidden = np.flatnonzero((exclude[block] >= start) & (exclude[block] < stop))
                scores_BQ[exclude[block][hidden] - start, hidden] = -np.inf
                best_of_block.add(scores_BQ, places[start:stop])
            bar.advance(stop - start)
    return _exact(queries_QD, documents, np.concatenate([best.settled() for best in kept]), k, similarity, places)


def _centre(documents_BD: Floats) -> Floats:
    """A point near the documents' mean: coarse, so that whole numbers stay so and what is tied exactly stays tied."""
    mean_D = documents_BD.mean(0)
    spread = float(np.sqrt(np.square(documents_BD - mean_D).mean()))
    step = np.float32(2.0 ** math.floor(math.log2(max(spread, 1e-12))))
    return np.asarray(np.round(mean_D / step) * step, dtype=np.float32)


class _Best:
    """The K best documents of each of Q queries by float32 scores, as keys."""

    def __init__(self, queries: int, keep: int) -> None:
        self._keys_QK = np.full((queries, keep), EMPTY)
        self._lowest_Q = np.full(queries, -np.inf, dtype=np.float32)
        self._queries: list[Rows] = []
        self._keys: list[Keys] = []

    def add(self, scores_BQ: Floats, places_B: Rows) -> None:
        """Take in a block of documents."""
        (n_block, n_queries), keep = scores_BQ.shape, self._keys_QK.shape[1]
        lowest_Q = self._lowest_Q
        if n_block > keep and np.isneginf(lowest_Q).all():
            lowest_Q = np.partition(np.ascontiguousarray(scores_BQ.T), n_block - keep, axis=1)[:, n_block - keep]
        flat = np.flatnonzero(scores_BQ >= lowest_Q)
        document, query = np.divmod(flat, n_queries)
        self._queries.append(query)
        self._keys.append(pack(scores_BQ.ravel()[flat], places_B[document]))
        if len(self._keys) == _WAITING or sum(map(len, self._keys)) > self._keys_QK.size:
            self.settled()

    def settled(self) -> Keys:
        """The keys, (Q, K) in no order."""
        n_queries, keep = self._keys_QK.shape
        query = np.concatenate([np.empty(0, np.int64), *self._queries]).astype(np.min_scalar_type(n_queries))
        key = np.concatenate([np.empty(0, np.int64), *self._keys])
        order = np.argsort(query, kind="stable")
        query, key = query[order], key[order]
        count_Q = np.bincount(query, minlength=n_queries)
        column = np.arange(len(query)) - np.repeat(np.cumsum(count_Q) - count_Q, count_Q)
        wide = np.full((n_queries, keep + count_Q.max()), EMPTY)
        wide[:, :keep] = self._keys_QK
        wide[query, keep + column] = key
        cut = wide.shape[1] - keep
        wide.partition(cut, axis=1)
        self._keys_QK = wide[:, cut:].copy()
        self._lowest_Q, _ = unpack(self._keys_QK[:, 0])
        self._queries, self._keys = [], []
        return self._keys_QK


def _exact(queries_QD: Floats, documents: Matrix, keys_QK: Keys, k: int, similarity: str, places: Rows) -> TopK:
    """Score the candidates from float64, reading each document once, and keep the best k."""
    row_of_place = inverse(places)
    rough_QK, place_QK = unpack(keys_QK)
    rows_QK = np.where(np.isneginf(rough_QK), -1, row_of_place[place_QK])
    query_P, slot_P = np.nonzero(rows_QK >= 0)
    order = np.argsort(rows_QK[query_P, slot_P], kind="stable")
    query_P, slot_P = query_P[order], slot_P[order]
    rows_P = rows_QK[query_P, slot_P]
    exact_QK = np.full(rows_QK.shape, EMPTY)
    for start in range(0, len(rows_P), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        wanted, inside = np.unique(rows_P[part], return_inverse=True)
        documents_PD = documents.rows(wanted)[inside]
        scores_P = _similarity(queries_QD[query_P[part]], documents_PD, similarity)
        exact_QK[query_P[part], slot_P[part]] = pack(scores_P.astype(np.float32), places[rows_P[part]])
    scores, kept = unpack(best(exact_QK, k))
    return TopK(scores, np.where(kept < 0, -1, row_of_place[kept]))


def _similarity(a: Floats, b: Floats, similarity: str) -> Doubles:
    a_PD, b_PD = a.astype(np.float64), b.astype(np.float64)
    if similarity == "euclidean":
        difference = a_PD - b_PD
        return -np.sqrt(_dot(difference, difference))
    if similarity == "dot":
        return _dot(a_PD, b_PD)
    lengths = np.sqrt(_dot(a_PD, a_PD) * _dot(b_PD, b_PD))
    return np.divide(_dot(a_PD, b_PD), lengths, out=np.zeros(len(a_PD)), where=lengths > 0)


def _dot(a_PD: Doubles, b_PD: Doubles) -> Doubles:
    return np.asarray(np.einsum("pd,pd->p", a_PD, b_PD))


def _squares(vectors_BD: Floats, kind: str, start: int) -> Floats:
    """Squared lengths; where one is not finite, a `RagcunError` names the row."""
    squares_B = np.asarray(np.einsum("bd,bd->b", vectors_BD, vectors_BD), dtype=np.float32)
    wrong = np.flatnonzero(~np.isfinite(squares_B))
    if len(wrong):
        raise RagcunError(f"{kind} row {start + wrong[0]}: its vector is NaN, infinite or too long to be compared")
    return squares_B


class _Array:
    """An array as a `Matrix`."""

    def __init__(self, array: Floats) -> None:
        self._array = np.ascontiguousarray(array, dtype=np.float32)
        self.shape: tuple[int, int] = (self._array.shape[0], self._array.shape[1])

    def block(self, start: int, stop: int, /) -> Floats:
        return self._array[start:stop]

    def rows(self, index: Rows, /) -> Floats:
        return self._array[index]


def _matrix(vectors: Matrix | Floats) -> Matrix:
    return _Array(vectors) if isinstance(vectors, np.ndarray) else vectors
