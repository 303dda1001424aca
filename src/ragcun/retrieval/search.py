"""Exact search: the k most similar documents of each query.

Candidates come from float32 matrix products, block by block, so that memory does not grow with the corpus. The last
word is float64's: k + 32 candidates of each query are scored again from the vectors themselves, and that score, rounded
to float32, is the one that ranks and that the run shows. So equal vectors have equal scores, and neither the sizes of
blocks nor the number of threads nor the BLAS shows in a run.

Q queries, N documents, B documents of a block, D dimensions, K candidates kept, P pairs of query and candidate.
"""

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from ragcun.console import progress
from ragcun.errors import RagcunError, UserError
from ragcun.retrieval.shortlist import Shortlist
from ragcun.retrieval.topk import EMPTY, Floats, Keys, Rows, TopK, best, inverse, pack, unpack

SIMILARITIES = ("euclidean", "cosine", "dot")

_MARGIN = 32
_PAIRS = 1_024  # candidates that one thread scores again at a time

Doubles = npt.NDArray[np.float64]


class Matrix(Protocol):
    """Vectors that need not be in memory, (n, d) float32, such as `Vectors`. `rows` is called from several threads."""

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
    query_block: int = 512,
    document_block: int = 4096,
) -> TopK:
    """The k most similar documents of each query.

    Args:
        queries: (Q, D) float32, taken into memory.
        documents: (N, D) float32.
        k: how many to keep, at least 1; where it is more than N, the rest is empty.
        similarity: "euclidean" (the score is the negative distance), "cosine" (a zero vector's is 0) or "dot".
        places: (N,) decides between equal scores, the higher first (see `topk.id_places`); if None, the later row.
        exclude: (Q,) the row of a document that the query shall not find, or -1.
        query_block: queries of one matrix product, at most.
        document_block: documents of one matrix product, at most.

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
    products = _InnerProducts(similarity, documents.block(0, min(document_block, n_documents)))
    moved = products.queries(queries_QD)
    keep, threads = min(k + _MARGIN, n_documents), _cores()
    strip = min(query_block, math.ceil(n_queries / threads))
    shortlists = [Shortlist(moved[at:end], exclude[at:end], keep) for at, end in _spans(n_queries, strip)]
    blas = ThreadpoolController()
    with ThreadPoolExecutor(threads) as pool, progress("searching", n_documents, "documents") as bar:
        for start, stop in _spans(n_documents, document_block):
            block = products.documents(documents.block(start, stop), start)
            with blas.limit(limits=1, user_api="blas"):  # a strip of queries a thread, instead
                tasks = [pool.submit(one.show, block, start, places[start:stop]) for one in shortlists]
                for task in tasks:
                    task.result()
            bar.advance(stop - start)
        keys_QK = np.concatenate([shortlist.keys() for shortlist in shortlists])
        return _exact(queries_QD, documents, keys_QK, k, similarity, places, pool)


class _InnerProducts:
    """Vectors whose inner products rank the documents of a query as `similarity` does.

    A point near the documents' mean is taken from every document: that takes the same from all scores of a query, and
    what is small is exact. The point is coarse, so that whole numbers stay whole and exact ties stay exact.
    """

    def __init__(self, similarity: str, sample_BD: Floats) -> None:
        self._similarity = similarity
        sample_BD = self._scaled(sample_BD, 0)
        mean_D = sample_BD.mean(0)
        spread = float(np.sqrt(np.square(sample_BD - mean_D).mean()))
        step = 2.0 ** math.floor(math.log2(max(spread, 1e-12)))
        self._centre_D = (np.round(mean_D / step) * step).astype(np.float32)

    def queries(self, queries_QD: Floats) -> Floats:
        if self._similarity != "euclidean":
            return queries_QD
        return np.pad(queries_QD - self._centre_D, ((0, 0), (0, 1)), constant_values=1)

    def documents(self, documents_BD: Floats, start: int) -> Floats:
        documents_BD = self._scaled(documents_BD, start) - self._centre_D
        if self._similarity != "euclidean":
            return documents_BD
        return np.column_stack([documents_BD, -_squares(documents_BD, "document", start) / 2])  # q.d - |d|^2 / 2

    def _scaled(self, documents_BD: Floats, start: int) -> Floats:
        squares_B = _squares(documents_BD, "document", start)
        if self._similarity != "cosine":
            return documents_BD
        return np.divide(documents_BD, np.sqrt(np.maximum(squares_B, np.float32(1e-30)))[:, None], dtype=np.float32)


def _exact(
    queries_QD: Floats,
    documents: Matrix,
    keys_QK: Keys,
    k: int,
    similarity: str,
    places: Rows,
    pool: ThreadPoolExecutor,
) -> TopK:
    """Score the candidates from float64, in the order of the corpus, and keep the best k."""
    row_of_place = inverse(places)
    rough_QK, place_QK = unpack(keys_QK)
    rows_QK = np.where(np.isneginf(rough_QK), -1, row_of_place[place_QK])
    query_P, slot_P = np.nonzero(rows_QK >= 0)
    order = np.argsort(rows_QK[query_P, slot_P], kind="stable")
    query_P, slot_P = query_P[order], slot_P[order]
    rows_P = rows_QK[query_P, slot_P]

    def scores(span: tuple[int, int]) -> Floats:
        wanted, inside = np.unique(rows_P[slice(*span)], return_inverse=True)
        return _similarity(queries_QD[query_P[slice(*span)]], documents.rows(wanted)[inside], similarity)

    exact_P = np.concatenate([np.empty(0, np.float32), *pool.map(scores, _spans(len(rows_P), _PAIRS))])
    exact_QK = np.full(rows_QK.shape, EMPTY)
    exact_QK[query_P, slot_P] = pack(exact_P, places[rows_P])
    scores_QK, kept = unpack(best(exact_QK, k))
    return TopK(scores_QK, np.where(kept < 0, -1, row_of_place[kept]))


def _similarity(a: Floats, b: Floats, similarity: str) -> Floats:
    a_PD, b_PD = a.astype(np.float64), b.astype(np.float64)
    if similarity == "euclidean":
        a_PD -= b_PD
        scores_P = -np.sqrt(_dot(a_PD, a_PD))
    elif similarity == "dot":
        scores_P = _dot(a_PD, b_PD)
    else:
        lengths_P = np.sqrt(_dot(a_PD, a_PD) * _dot(b_PD, b_PD))
        scores_P = np.divide(_dot(a_PD, b_PD), lengths_P, out=np.zeros(len(a_PD)), where=lengths_P > 0)
    return scores_P.astype(np.float32)


def _dot(a_PD: Doubles, b_PD: Doubles) -> Doubles:
    return np.asarray(np.einsum("pd,pd->p", a_PD, b_PD))


def _squares(vectors_BD: Floats, kind: str, start: int) -> Floats:
    """Squared lengths; where one is not finite, a `RagcunError` names the row."""
    squares_B = np.asarray(np.einsum("bd,bd->b", vectors_BD, vectors_BD), dtype=np.float32)
    wrong = np.flatnonzero(~np.isfinite(squares_B))
    if len(wrong):
        raise RagcunError(f"{kind} row {start + wrong[0]}: its vector is NaN, infinite or too long to be compared")
    return squares_B


def _spans(stop: int, size: int) -> Iterator[tuple[int, int]]:
    return ((at, min(at + size, stop)) for at in range(0, stop, size))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
