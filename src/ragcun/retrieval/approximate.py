"""Approximate search with FAISS' indexes, and its recall of the results of exact search.

hnsw     a graph of neighbours (Malkov and Yashunin, arXiv 1603.09320) over the vectors themselves, in memory
ivfpq    inverted lists of product-quantised vectors (Jegou et al., TPAMI 2011): dimension / 4 bytes per document

The index only proposes candidates. Their scores and their order are computed exactly.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import psutil

from ragcun.console import progress, say
from ragcun.errors import UserError
from ragcun.retrieval.matrices import Matrix
from ragcun.retrieval.memory import Resources
from ragcun.retrieval.rescore import rescored
from ragcun.retrieval.retrievers import IndexKind
from ragcun.retrieval.search import search
from ragcun.retrieval.topk import Floats, Rows, TopK, best, to_rows
from ragcun.slices import slices

_BLOCK = 8_192
_SHALLOW = 10  # recall is also reported at this depth
_SAMPLE = 200  # queries on which recall is measured
_NEIGHBOURS, _EFFORT = 32, 100  # HNSW's M and efConstruction
_PROBES = 64  # inverted lists that are searched for a query
_TO_TRAIN = 39  # training vectors per centroid, below which FAISS warns
_CANDIDATES = {"hnsw": 1, "ivfpq": 4}  # candidates per document of the result
_QUERIES = 256  # queries per search of the index
_VECTORS = 1_024  # candidates' vectors that one thread reads at a time


@dataclass(frozen=True)
class Index:
    """An index and its recall; `vars` of it is JSON.

    Attributes:
        kind: the kind of index, "hnsw" or "ivfpq".
        parameters: the parameters, with FAISS' names.
        documents: the number of documents in the index.
        recall: for each depth, the share of exact search's top documents that were found, averaged over `queries`.
        queries: the number of queries that were also searched exactly.
    """

    kind: str
    parameters: dict[str, int]
    documents: int
    recall: dict[str, float]
    queries: int


def search_index(
    kind: IndexKind,
    queries: Matrix,
    documents: Matrix,
    k: int,
    similarity: str,
    *,
    id_ranks: Rows,
    exclude: Rows,
    resources: Resources,
) -> tuple[TopK, Index]:
    """Search with an approximate index; return the result and the index' description. See `search.search`.

    Raises:
        UserError: the index does not fit into the allowed memory or, if that is None, into the free memory.
    """
    (n_queries, dimension), n_documents = queries.shape, documents.shape[0]
    keep = min(_CANDIDATES[kind] * k + 1, n_documents)
    index, parameters = _empty(kind, dimension, n_documents, keep, similarity)
    _refuse_too_large(kind, index, dimension, n_documents, resources.memory)
    if not index.is_trained:
        rows = np.linspace(0, n_documents - 1, max(2, min(n_documents, _sample(parameters["nlist"]))), dtype=np.int64)
        index.train(prepared(documents.rows(rows), similarity))
    with progress(f"indexing ({kind})", n_documents, "documents") as bar:
        for part in slices(n_documents, _BLOCK):
            block = documents.block(part.start, part.stop)
            index.add(prepared(block, similarity))
            bar.advance(len(block))
    queries_QD = queries.block(0, n_queries)
    best_keys = []
    with ThreadPoolExecutor() as pool, progress(f"searching ({kind})", n_queries, "queries") as bar:
        for some in slices(n_queries, _QUERIES):
            _, rows_QK = index.search(prepared(queries_QD[some], similarity), keep)
            rows_QK[rows_QK == exclude[some, None]] = -1
            keys_QK = rescored(queries_QD[some], documents, rows_QK, similarity, id_ranks, _VECTORS, pool)
            best_keys.append(best(keys_QK, k))
            bar.advance(len(rows_QK))
    top = to_rows(np.concatenate(best_keys), id_ranks)
    asked = np.linspace(0, n_queries - 1, min(n_queries, _SAMPLE), dtype=np.int64)
    exact = search(
        queries_QD[asked], documents, k, similarity, id_ranks=id_ranks, exclude=exclude[asked], resources=resources
    )
    recall = {
        str(depth): round(recall_of(top.rows[asked, :depth], exact.rows[:, :depth]), 4)
        for depth in sorted({min(_SHALLOW, k), k})
    }
    found = Index(kind, parameters, n_documents, recall, len(asked))
    shown = ", ".join(f"recall@{depth} {value:.4f}" for depth, value in recall.items())
    say(f"{kind}: {shown} against exact search, on {len(asked)} queries")
    return top, found


def recall_of(found: Rows, exact: Rows) -> float:
    """Return the mean over queries of `recalls_of`."""
    return float(recalls_of(found, exact).mean())


def recalls_of(found: Rows, exact: Rows) -> npt.NDArray[np.float64]:
    """Return the share of each query's `exact` rows, (Q, k), that are in `found`, (Q,); -1 marks an absent row."""
    shares = []
    for mine, every in zip(found, exact, strict=True):
        wanted = every[every >= 0]
        shares.append(np.isin(wanted, mine).mean() if len(wanted) else 1.0)
    return np.array(shares, dtype=np.float64)


def _empty(kind: IndexKind, dimension: int, n_documents: int, keep: int, similarity: str) -> tuple[Any, dict[str, int]]:
    metric = faiss.METRIC_L2 if similarity == "euclidean" else faiss.METRIC_INNER_PRODUCT
    if kind == "hnsw":
        graph: Any = faiss.IndexHNSWFlat(dimension, _NEIGHBOURS, metric)
        graph.hnsw.efConstruction = _EFFORT
        graph.hnsw.efSearch = max(_EFFORT, keep)
        return graph, {"M": _NEIGHBOURS, "efConstruction": _EFFORT, "efSearch": graph.hnsw.efSearch}
    lists = max(1, min(int(4 * math.sqrt(n_documents)), n_documents // _TO_TRAIN))
    bits = max(1, min(8, int(math.log2(max(2, n_documents / _TO_TRAIN)))))
    parts = max(part for part in range(1, max(1, dimension // 4) + 1) if dimension % part == 0)
    inverted: Any = faiss.index_factory(dimension, f"IVF{lists},PQ{parts}x{bits}", metric)
    inverted.nprobe = min(_PROBES, lists)
    inverted.do_polysemous_training = False  # it takes minutes, for a search method that is not used
    return inverted, {"nlist": lists, "m": parts, "nbits": bits, "nprobe": inverted.nprobe}


def _sample(lists: int) -> int:
    """Return the number of training vectors, enough for the lists and for the quantiser's 256 centroids."""
    return _TO_TRAIN * max(lists, 256)


def _refuse_too_large(kind: str, index: Any, dimension: int, n_documents: int, memory: int | None) -> None:
    if kind == "hnsw":
        needed = n_documents * (4 * dimension + 8 * _NEIGHBOURS + 16)
    else:
        needed = n_documents * (index.code_size + 8) + 4 * dimension * min(n_documents, _sample(index.nlist))
    free = psutil.virtual_memory().available if memory is None else memory - psutil.Process().memory_info().rss
    if needed > free:
        raise UserError(
            f"--index {kind}: an index of {n_documents:,} documents takes {needed / 2**20:,.0f} MiB, "
            f"and {max(0, free) / 2**20:,.0f} MiB are allowed; exact search needs less"
        )


def prepared(vectors: Floats, similarity: str) -> Floats:
    """Return vectors as FAISS compares them: with length 1 for cosine similarity."""
    if similarity != "cosine":
        return np.ascontiguousarray(vectors)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0))
