"""Exact search: the k most similar documents of each query.

Candidates are found by float32 matrix products, block by block, so that memory does not grow with the corpus. The k +
32 candidates of each query are then scored again from the vectors in float64. This score, rounded to float32,
determines the ranking and is written to the run, so that equal vectors have equal scores.

In a matrix product, equal vectors may have different scores, because BLAS sums in another order at the edges of a
matrix and of its tiles. If all candidates of a query have the score of the k-th, equal documents may have been missed,
and the query is searched again with k + 1,024 candidates. A run therefore does not depend on the sizes of blocks, the
number of threads or the BLAS, unless more than a thousand documents have equal scores at rank k, or the scores of more
than 32 differ there by less than the rounding error of float32.

Q queries, N documents, D dimensions, K candidates kept.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

import numpy as np

from ragcun.console import progress
from ragcun.errors import UserError
from ragcun.machine import cores
from ragcun.retrieval.candidates.products import InnerProducts, squares
from ragcun.retrieval.matrices import Matrix, as_matrix
from ragcun.retrieval.memory import Portions, Resources, portions
from ragcun.retrieval.rescore import rescored
from ragcun.retrieval.topk import EMPTY, Floats, Keys, Rows, TopK, best, inverse, to_rows, unpack
from ragcun.slices import Slice, slices

SIMILARITIES = ("euclidean", "cosine", "dot")

_MARGIN, _WIDE = 32, 1_024
_DEFAULT = Resources()


class _Candidates(Protocol):
    def show(self, documents_BD: Floats, start: int, id_ranks_B: Rows) -> None: ...

    def keys(self) -> Keys: ...


_Finder = Callable[[Floats, Rows, Keys, int, int, ThreadPoolExecutor], _Candidates]


@dataclass(frozen=True)
class _Task:
    """Everything that determines the result of a search."""

    queries_QD: Floats
    documents: Matrix
    k: int
    similarity: str
    id_ranks: Rows
    exclude: Rows

    def of(self, rows: Rows) -> "_Task":
        """Return the same task for some of the queries."""
        return replace(self, queries_QD=self.queries_QD[rows], exclude=self.exclude[rows])


def search(
    queries: Matrix | Floats,
    documents: Matrix | Floats,
    k: int,
    similarity: str,
    *,
    id_ranks: Rows | None = None,
    exclude: Rows | None = None,
    resources: Resources = _DEFAULT,
) -> TopK:
    """Find the k most similar documents of each query.

    Args:
        queries: the queries' vectors, (Q, D) float32, which are loaded into memory.
        documents: the documents' vectors, (N, D) float32.
        k: the number of documents to return, at least 1; if k is more than N, the rest is empty.
        similarity: "euclidean" (the score is the negative distance), "cosine" (0 for a zero vector) or "dot".
        id_ranks: the order of documents with equal scores, (N,), highest first (see `topk.rank_ids`); None is the row.
        exclude: the row of a document that must not be found for the query, or -1, (Q,).
        resources: the resources of the search, which do not change the result.

    Raises:
        UserError: there is no such similarity, or the queries and their results do not fit into the allowed memory.
        RagcunError: a vector is not finite, or its squared length is not.
    """
    if similarity not in SIMILARITIES:
        raise UserError(f"similarity {similarity!r}: not supported; choose one of {', '.join(SIMILARITIES)}")
    documents = as_matrix(documents)
    n_queries = queries.shape[0]
    queries_QD = as_matrix(queries).block(0, n_queries)
    squares(queries_QD, "query", 0)
    if id_ranks is None:
        id_ranks = np.arange(documents.shape[0])
    if exclude is None:
        exclude = np.full(n_queries, -1)
    task = _Task(queries_QD, documents, k, similarity, id_ranks, exclude)
    top, crowded = _search(task, _MARGIN, resources)
    at_once = max(1, n_queries * (k + _MARGIN) // (2 * (k + _WIDE)))  # needs at most the memory of the first search
    for part in slices(len(crowded), at_once):
        again, _ = _search(task.of(crowded[part]), _WIDE, resources)
        top.scores[crowded[part]], top.rows[crowded[part]] = again.scores, again.rows
    return top


def _search(task: _Task, margin: int, resources: Resources) -> tuple[TopK, Rows]:
    """Return the k best of k + `margin` candidates, and the queries whose candidates all have the k-th score."""
    finder = _finder(resources.device)
    (n_queries, dimension), n_documents = task.queries_QD.shape, task.documents.shape[0]
    keep, threads = min(task.k + margin, n_documents), cores()
    portion = portions(resources, n_queries, n_documents, dimension, keep, threads)
    with ThreadPoolExecutor(threads) as pool:
        return _ranked(task, _candidates(task, keep, portion, resources, pool, finder), portion, pool)


def _finder(device: str | None) -> _Finder:
    """Choose the finder of candidates for the device. It imports torch, whose memory counts, so call it first."""
    if device is None:
        from ragcun.retrieval.candidates.processor import ProcessorCandidates

        return ProcessorCandidates
    from ragcun.retrieval.candidates.device import DeviceCandidates

    return lambda queries_QD, exclude_Q, keys_QK, *_: DeviceCandidates(queries_QD, exclude_Q, keys_QK, device)


def _candidates(
    task: _Task, keep: int, portion: Portions, resources: Resources, pool: ThreadPoolExecutor, finder: _Finder
) -> Keys:
    """Return the keys of each query's `keep` best documents by inner products, (Q, K), unordered."""
    n_queries, n_documents = len(task.queries_QD), task.documents.shape[0]
    products = InnerProducts(task.similarity, task.documents)
    queries_QD = products.queries(task.queries_QD)
    done, keys_QK, checkpoint = 0, np.full((n_queries, keep), EMPTY), None
    if resources.checkpoints is not None:
        settings = f"{task.similarity} {keep} {task.documents.shape}"
        checkpoint = resources.checkpoints.of(settings, task.queries_QD, task.id_ranks, task.exclude)
        done, keys_QK = checkpoint.load(n_queries, keep)
    found = finder(queries_QD, task.exclude, keys_QK, portion.queries, cores(), pool)
    with progress("searching", n_documents - done, "documents") as bar:
        for part, block_BD in _read(products, slices(n_documents, portion.documents, done)):
            found.show(block_BD, part.start, task.id_ranks[part])
            bar.advance(len(block_BD))
            if checkpoint is not None and checkpoint.due():
                checkpoint.save(part.stop, found.keys())
    return found.keys()


def _ranked(task: _Task, keys_QK: Keys, portion: Portions, pool: ThreadPoolExecutor) -> tuple[TopK, Rows]:
    """Return the k best candidates by exact scores, and the queries whose candidates all have the k-th score."""
    complete = keys_QK.shape[1] == task.documents.shape[0]
    row_of_id_rank = inverse(task.id_ranks)
    top, crowded = [], []
    for part in slices(len(keys_QK), portion.rescored):
        rough_QK, id_ranks_QK = unpack(keys_QK[part])
        rows_QK = np.where(np.isneginf(rough_QK), -1, row_of_id_rank[id_ranks_QK])
        exact_QK = rescored(
            task.queries_QD[part], task.documents, rows_QK, task.similarity, task.id_ranks, portion.vectors, pool
        )
        top.append(best(exact_QK, task.k))
        lowest, last = (unpack(keys_Q)[0] for keys_Q in (exact_QK.min(axis=1), top[-1][:, -1]))
        if not complete:
            crowded.append(part.start + np.flatnonzero((lowest == last) & np.isfinite(last)))
    return to_rows(np.concatenate(top), task.id_ranks), np.concatenate([np.empty(0, np.int64), *crowded])


def _read(products: InnerProducts, parts: Iterable[Slice]) -> Iterator[tuple[Slice, Floats]]:
    """Yield the documents in blocks, with their rows and vectors. A thread reads one block ahead."""
    waiting = iter(parts)
    with ThreadPoolExecutor(1) as reader:
        ahead = [(part, reader.submit(products.documents, part.start, part.stop)) for part in islice(waiting, 1)]
        while ahead:
            part, read = ahead.pop()
            block_BD = read.result()
            ahead = [
                (next_, reader.submit(products.documents, next_.start, next_.stop)) for next_ in islice(waiting, 1)
            ]
            yield part, block_BD
