"""One cell of `ragcun eval neighbours`: every index, with every effort, compared with exact search.

result.json     under "neighbours" the curve of each index and the hubness of the documents
scores.parquet  each query's recall at each point of a curve (Found@10:INDEX=VALUE), besides the measures of retrieval
"""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import faiss
import numpy as np

from ragcun.analysis.hubness import k_occurrences, robin_hood, skewness
from ragcun.console import progress
from ragcun.data.collection import Collection
from ragcun.data.texts import Selected
from ragcun.errors import UserError
from ragcun.evaluation.compute import complete, own_documents, run_parts, score_parts
from ragcun.evaluation.endpoint import Compute, Endpoint
from ragcun.evaluation.metrics import DEPTH, MEASURES, Qrels, score
from ragcun.evaluation.results import Cell, Result
from ragcun.neighbours.indexes import INDEXES, Kind
from ragcun.retrieval.approximate import prepared, recalls_of
from ragcun.retrieval.matrices import Matrix
from ragcun.retrieval.rescore import rescored
from ragcun.retrieval.retrievers import HasVectors, Retriever
from ragcun.retrieval.topk import Floats, Rows, TopK, best, rank_ids, to_rows
from ragcun.slices import slices

K = 10
FOUND = "Found@10:"  # the prefix of the columns with each query's recall
_SAMPLE = 5_000  # the maximum number of documents whose hubness is measured
_BLOCK = 8_192
_TRAINED_ON = 10_000
_LEAST = 0.2  # the minimum duration of a measurement of speed, in seconds
_VECTORS = 1_024  # candidates' vectors that one thread reads at a time


def endpoint(_: object = None) -> Endpoint:
    """Return the endpoint."""
    curves = {kind.key: list(kind.values) for kind in INDEXES}
    inputs = {"measures": list(MEASURES), "depth": DEPTH, "curves": curves, "k": K, "hubness_of": _SAMPLE}

    def load() -> Compute:
        return compute

    return Endpoint("cells-neighbours", inputs, load)


def compute(
    model: str, retriever: Retriever, collection: Collection, split: str, cell: Cell, inputs: dict[str, Any]
) -> Result:
    """Measure every index on a split, and complete the cell.

    Speed is measured on this machine, with all threads and one batch of all queries.

    Raises `UserError` if the retriever has no vectors.
    """
    began = time.perf_counter()
    if not isinstance(retriever, HasVectors):
        raise UserError(f"{retriever.label}: has no vectors; give an encoder or an embeddings API's model")
    qrels = collection.qrels(split)
    texts = Selected(collection.queries, collection.queries.rows(qrels))
    own = own_documents(collection, qrels)
    id_ranks = rank_ids(collection.corpus.ids())
    top = retriever.rank(collection.corpus, texts, DEPTH, id_ranks, own)
    described = retriever.describe()
    asked, documents = retriever.vectors(collection.corpus, texts)
    task = _Task(asked.block(0, len(texts)), documents, retriever.similarity, id_ranks, own)
    parts = partial(run_parts, collection, list(qrels), top)
    scores = score_parts(qrels, parts())
    curves: dict[str, Any] = {}
    with progress("building and searching indexes", len(INDEXES), "indexes") as bar:
        for kind in INDEXES:
            bar.note(kind.name)
            curves[kind.key] = _curve(kind, task, top, qrels, collection, scores.values)
            bar.advance()
    found = {"k": K, "curves": curves, "hubness": _hubness(documents)}
    facts = {"label": retriever.label, "settings": described, "model": model}
    record = {"own_documents_excluded": int((own >= 0).sum()), "neighbours": found}
    return complete(facts, parts, scores, collection, split, cell, inputs, began, record)


class _Task:
    def __init__(self, queries_QD: Floats, documents: Matrix, similarity: str, id_ranks: Rows, own: Rows) -> None:
        self.queries_QD = queries_QD
        self.ready_QD = prepared(queries_QD, similarity)
        self.documents = documents
        self.similarity = similarity
        self.id_ranks = id_ranks
        self.own = own
        self.metric = faiss.METRIC_L2 if similarity == "euclidean" else faiss.METRIC_INNER_PRODUCT

    def ranked(self, rows_QC: Rows) -> TopK:
        """Return the k best candidates by their exact scores."""
        rows_QC = np.where(rows_QC == self.own[:, None], -1, rows_QC)
        with ThreadPoolExecutor() as pool:
            keys = rescored(self.queries_QD, self.documents, rows_QC, self.similarity, self.id_ranks, _VECTORS, pool)
        return to_rows(best(keys, K), self.id_ranks)


def _curve(
    kind: Kind, task: _Task, exact: TopK, qrels: Qrels, collection: Collection, columns: dict[str, list[float]]
) -> dict[str, Any]:
    count, dimension = task.documents.shape
    index = kind.build(dimension, count, task.metric)
    began = time.perf_counter()
    if not index.is_trained:
        rows = np.linspace(0, count - 1, min(count, _TRAINED_ON), dtype=np.int64)
        index.train(prepared(task.documents.rows(rows), task.similarity))
    for part in slices(count, _BLOCK):
        index.add(prepared(task.documents.block(part.start, part.stop), task.similarity))
    built = time.perf_counter() - began
    memory = len(faiss.serialize_index(index))
    points = []
    for value in kind.values:
        keep = min(count, K + 1)
        if kind.set is not None:
            kind.set(index, value)
        elif kind.parameter:
            keep = min(count, value * K + 1)
        rows_QC, speed, compared = _searched(index, kind, task.ready_QD, keep)
        if kind.set is None:
            compared = float(count)
        ranked = task.ranked(rows_QC)
        recalls_Q = recalls_of(ranked.rows, exact.rows[:, :K])
        columns[f"{FOUND}{kind.key}={value}"] = recalls_Q.tolist()
        run = {query: found for part in run_parts(collection, list(qrels), ranked) for query, found in part.items()}
        ndcg = score(qrels, run, ["nDCG@10"]).means()["nDCG@10"]
        points.append(
            {
                "value": value,
                "recall": float(recalls_Q.mean()),
                "nDCG@10": ndcg,
                "queries_per_second": speed,
                "compared": compared,
            }
        )
    return {"build_seconds": built, "bytes": memory / count, "points": points}


def _searched(index: Any, kind: Kind, queries_QD: Floats, keep: int) -> tuple[Rows, float, float]:
    """Return candidates, queries per second, and the number of vectors that a query was compared with."""
    counters: Any = faiss.cvar
    stats = {"hnsw": counters.hnsw_stats, "ivf": counters.indexIVF_stats}.get(kind.key)
    if stats is not None:
        stats.reset()
    _, rows_QC = index.search(queries_QD, keep)
    compared = 0.0 if stats is None else stats.ndis / len(queries_QD)
    turns, began = 0, time.perf_counter()
    while (taken := time.perf_counter() - began) < _LEAST:
        index.search(queries_QD, keep)
        turns += 1
    return np.asarray(rows_QC, dtype=np.int64), turns * len(queries_QD) / taken, compared


def _hubness(documents: Matrix) -> dict[str, float]:
    count = documents.shape[0]
    rows = np.sort(np.random.default_rng(0).permutation(count)[:_SAMPLE])
    occurrences_N = k_occurrences(documents.rows(rows).astype(np.float64))
    return {"documents": len(rows), "skewness": skewness(occurrences_N), "robin_hood": robin_hood(occurrences_N)}
