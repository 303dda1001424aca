"""Exact search: the k most similar documents of each query.

Candidates come from float32 matrix products, block by block, so that memory does not grow with the corpus. The last
word is float64's: k + 32 candidates of each query are scored again from the vectors themselves, and that score, rounded
to float32, is the one that ranks and that the run shows. So equal vectors have equal scores.

In a matrix product they need not: BLAS adds up otherwise at the edges of a matrix and of its tiles. Where all
candidates of a query turn out to be as good as its k-th, more that are equal may have been missed, and it is searched
for again with k + 1,024 candidates. So neither the sizes of blocks nor the number of threads nor the BLAS shows in a
run, unless more than a thousand documents are equal at the cut, or more than 32 differ there by less than float32's
rounding.

Q queries, N documents, D dimensions, K candidates kept.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Protocol

import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from ragcun.console import progress
from ragcun.errors import UserError
from ragcun.machine import cores
from ragcun.retrieval.checkpoint import Checkpoint, Checkpoints
from ragcun.retrieval.matrices import Matrix, as_matrix
from ragcun.retrieval.memory import Portions, portions
from ragcun.retrieval.products import InnerProducts, squares
from ragcun.retrieval.rescore import rescored
from ragcun.retrieval.shortlist import Shortlist
from ragcun.retrieval.topk import EMPTY, Floats, Keys, Rows, TopK, best, inverse, to_rows, unpack

SIMILARITIES = ("euclidean", "cosine", "dot")

_MARGIN, _WIDE = 32, 1_024


class _Shortlist(Protocol):
    def show(self, documents_BD: Floats, start: int, places_B: Rows) -> None: ...

    def keys(self) -> Keys: ...


def search(
    queries: Matrix | Floats,
    documents: Matrix | Floats,
    k: int,
    similarity: str,
    *,
    places: Rows | None = None,
    exclude: Rows | None = None,
    memory: int | None = None,
    checkpoints: Checkpoints | None = None,
    device: str | None = None,
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
        memory: bytes that the process may hold meanwhile; None: 4 GiB more than it holds now, if that is enough.
        checkpoints: where it is kept what has been found, and looked for; None: nowhere.
        device: that blocks go through, as torch names it; None: the processor's cores.
        query_block: queries of one matrix product, at most.
        document_block: documents of one matrix product, at most.

    Raises:
        UserError: there is no such similarity, or `memory` does not hold the queries and their results.
        RagcunError: a vector is not finite, or too long for its square to be.
    """
    if similarity not in SIMILARITIES:
        raise UserError(f"similarity {similarity!r}: not supported; one of {', '.join(SIMILARITIES)}")
    documents = as_matrix(documents)
    n_queries, n_documents = queries.shape[0], documents.shape[0]
    queries_QD = as_matrix(queries).block(0, n_queries)
    squares(queries_QD, "query", 0)
    if places is None:
        places = np.arange(n_documents)
    if exclude is None:
        exclude = np.full(n_queries, -1)

    def found(some: Rows | slice, margin: int) -> tuple[TopK, Rows]:
        asked_QD, own = queries_QD[some], exclude[some]
        keep, threads = min(k + margin, n_documents), cores()
        portion = portions(
            memory, len(asked_QD), n_documents, asked_QD.shape[1], keep, threads, query_block, document_block
        )
        return _search(asked_QD, documents, k, keep, similarity, places, own, portion, threads, checkpoints, device)

    top, crowded = found(slice(None), _MARGIN)
    at_once = max(1, n_queries * (k + _MARGIN) // (2 * (k + _WIDE)))  # which takes no more memory than all had taken
    for at, end in _spans(0, len(crowded), at_once):
        again, _ = found(crowded[at:end], _WIDE)
        top.scores[crowded[at:end]], top.rows[crowded[at:end]] = again.scores, again.rows
    return top


def _search(
    queries_QD: Floats,
    documents: Matrix,
    k: int,
    keep: int,
    similarity: str,
    places: Rows,
    exclude: Rows,
    portion: Portions,
    threads: int,
    checkpoints: Checkpoints | None,
    device: str | None,
) -> tuple[TopK, Rows]:
    """The k best of `keep` candidates of each query, and the queries whose candidates are all as good as the k-th."""
    n_queries, n_documents = len(queries_QD), documents.shape[0]
    products = InnerProducts(similarity, documents)
    moved = products.queries(queries_QD)
    done, keys_QK, checkpoint = 0, np.full((n_queries, keep), EMPTY), None
    if checkpoints is not None:
        checkpoint = checkpoints.of(f"{similarity} {keep} {documents.shape}", queries_QD, places, exclude)
        done, keys_QK = checkpoint.load(n_queries, keep)
    shortlists: list[_Shortlist]
    if device is None:
        strips = [slice(*span) for span in _spans(0, n_queries, portion.queries)]
        shortlists = [Shortlist(moved[strip], exclude[strip], keys_QK[strip]) for strip in strips]
    else:
        from ragcun.retrieval.device import DeviceShortlist

        shortlists = [DeviceShortlist(moved, exclude, keys_QK, device)]
    blocks = list(_spans(done, n_documents, portion.documents))
    with ThreadPoolExecutor(threads) as pool:
        keys_QK = _candidates(products, blocks, shortlists, places, pool, checkpoint)
        row_of_place = inverse(places)
        top, crowded = [], []
        for at, end in _spans(0, n_queries, portion.rescored):
            rough_QK, place_QK = unpack(keys_QK[at:end])
            rows_QK = np.where(np.isneginf(rough_QK), -1, row_of_place[place_QK])
            exact_QK = rescored(queries_QD[at:end], documents, rows_QK, similarity, places, portion.vectors, pool)
            top.append(best(exact_QK, k))
            lowest, last = (unpack(keys_Q)[0] for keys_Q in (exact_QK.min(axis=1), top[-1][:, -1]))
            crowded.append(at + np.flatnonzero((lowest == last) & np.isfinite(last) & (keep < n_documents)))
    return to_rows(np.concatenate(top), places), np.concatenate(crowded)


def _candidates(
    products: InnerProducts,
    blocks: list[tuple[int, int]],
    shortlists: list[_Shortlist],
    places: Rows,
    pool: ThreadPoolExecutor,
    checkpoint: Checkpoint | None,
) -> Keys:
    """Show blocks of documents to all shortlists."""

    def found() -> Keys:
        return np.concatenate([shortlist.keys() for shortlist in shortlists])

    total = sum(stop - start for start, stop in blocks)
    one_thread = ThreadpoolController().limit(limits=1, user_api="blas")  # a strip of queries a thread, instead
    with progress("searching", total, "documents") as bar, one_thread:
        for start, stop, block in _read(products, blocks):
            tasks = [pool.submit(one.show, block, start, places[start:stop]) for one in shortlists]
            for task in tasks:
                task.result()
            bar.advance(stop - start)
            if checkpoint is not None and checkpoint.due():
                checkpoint.save(stop, found())
    return found()


def _read(products: InnerProducts, blocks: list[tuple[int, int]]) -> Iterator[tuple[int, int, Floats]]:
    """The first document of each block, the one after its last, and the vectors. A thread reads one block ahead."""
    spans = iter(blocks)
    with ThreadPoolExecutor(1) as reader:
        ahead = [(span, reader.submit(products.documents, *span)) for span in islice(spans, 1)]
        while ahead:
            (start, stop), read = ahead.pop()
            block = read.result()
            ahead = [(span, reader.submit(products.documents, *span)) for span in islice(spans, 1)]
            yield start, stop, block


def _spans(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    return ((at, min(at + size, stop)) for at in range(start, stop, size))
