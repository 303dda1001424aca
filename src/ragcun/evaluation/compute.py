"""One cell: rank, write the run, score it, write the scores, then the result."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ragcun.data.collection import Collection
from ragcun.data.texts import Selected
from ragcun.evaluation.cells import Cell, CellResult
from ragcun.evaluation.metrics import DEPTH, Scores, score
from ragcun.files import atomic_path
from ragcun.manifest import environment
from ragcun.retrieval.retrievers import Retriever
from ragcun.retrieval.runs import write_run
from ragcun.retrieval.topk import Rows, TopK, id_places


def compute(
    model: str,
    retriever: Retriever,
    collection: Collection,
    split: str,
    output: Path,
    cell: Cell,
    inputs: dict[str, Any],
) -> CellResult:
    """Score `retriever`, which the user named `model`, on a split, and complete the cell. Errors leave it as it was."""
    began = time.perf_counter()
    qrels = collection.qrels(split)
    queries = Selected(collection.queries, collection.queries.rows(qrels))
    exclude = own_documents(collection, qrels)
    places = id_places(collection.corpus.ids())
    run = _run(collection, list(qrels), retriever.rank(collection.corpus, queries, DEPTH, places, exclude))
    scores = score(qrels, run)
    result = CellResult(
        model=model,
        label=retriever.label,
        dataset=collection.name,
        split=split,
        metrics=scores.means(),
        queries=len(qrels),
        documents=len(collection.corpus),
        seconds=round(time.perf_counter() - began, 3),
        run=str(cell.run.relative_to(output)),
        scores=str(cell.scores.relative_to(output)),
        settings=retriever.describe(),
    )
    record = {
        "own_documents_excluded": int((exclude >= 0).sum()),
        "problems": collection.problems.to_json(),
        "environment": environment(),
    }
    cell.clear()
    write_run(cell.run, run, tag=retriever.label)
    _write_scores(cell.scores, scores)
    cell.write(result, inputs, record)
    return result


def own_documents(collection: Collection, qrels: Mapping[str, Mapping[str, int]]) -> Rows:
    """The row of the document that has the query's own id, which the query shall not find; -1 where there is none.

    So BEIR has it (`ignore_identical_ids`), for collections whose queries are documents of the corpus, as ArguAna's.
    Unlike there, a document that is judged relevant to the query of its id stays: the two merely share a number.
    """
    rows = collection.corpus.rows(qrels)
    relevant = [judged.get(query, 0) > 0 for query, judged in qrels.items()]
    return np.where(relevant, -1, rows)


def _run(collection: Collection, queries: list[str], top: TopK) -> dict[str, dict[str, float]]:
    ids = {row: collection.corpus.id(row) for row in np.unique(top.rows).tolist() if row >= 0}
    return {
        query: {ids[row]: score for row, score in zip(rows, scores, strict=True) if row >= 0}
        for query, rows, scores in zip(queries, top.rows.tolist(), top.scores.tolist(), strict=True)
    }


def _write_scores(path: Path, scores: Scores) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(pa.table({"query_id": scores.queries, **scores.values}), temporary)
