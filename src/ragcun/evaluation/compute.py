"""Computation of one cell: the run, the scores of each query, and the result."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ragcun.console import say
from ragcun.data.benchmark import find_dataset
from ragcun.data.collection import Collection
from ragcun.data.texts import Selected
from ragcun.evaluation.metrics import DEPTH, MEASURES, Qrels, Scores, score
from ragcun.evaluation.results import Cell, Result
from ragcun.files import atomic_path
from ragcun.manifest import environment
from ragcun.retrieval.foreign import read_foreign
from ragcun.retrieval.retrievers import Retriever
from ragcun.retrieval.runs import Run, write_run
from ragcun.retrieval.topk import Rows, TopK, rank_ids
from ragcun.slices import slices

_QUERIES = 1_000  # queries whose rankings are Python objects at a time


def compute(
    model: str,
    retriever: Retriever,
    collection: Collection,
    split: str,
    cell: Cell,
    inputs: dict[str, Any],
) -> Result:
    """Score `retriever`, which the user called `model`, on a split, and complete the cell.

    After an error, the cell has no result, or its former one.
    """
    began = time.perf_counter()
    qrels = collection.qrels(split)
    queries = Selected(collection.queries, collection.queries.rows(qrels))
    exclude = own_documents(collection, qrels)
    if own := int((exclude >= 0).sum()):
        say(f"{collection.name}: {own:,} of {len(qrels):,} queries are also documents, which their rankings leave out")
    id_ranks = rank_ids(collection.corpus.ids())
    top = retriever.rank(collection.corpus, queries, DEPTH, id_ranks, exclude)
    facts = {"label": retriever.label, "settings": retriever.describe(), "model": model}
    parts = partial(run_parts, collection, list(qrels), top)
    scores = score_parts(qrels, parts())
    return complete(facts, parts, scores, collection, split, cell, inputs, began, {"own_documents_excluded": own})


def compute_foreign(
    model: str, label: str, path: Path, collection: Collection, split: str, cell: Cell, inputs: dict[str, Any]
) -> Result:
    """Score the run of another system at `path`, which the user called `model`, and complete the cell.

    Raises as `read_foreign` does; the cell then has no result, or its former one.
    """
    began = time.perf_counter()
    qrels = collection.qrels(split)
    rows = own_documents(collection, qrels)
    own = {query: collection.corpus.id(row) for query, row in zip(qrels, rows.tolist(), strict=True) if row >= 0}
    found = read_foreign(path, collection, split, own, DEPTH)
    for remark in found.remarks():
        say(f"{path}: {remark}")
    settings = {"run": path.name, "sha256": inputs["retriever"]["run"], "read": found.facts}
    ranking = {query: found.run.get(query, {}) for query in qrels}
    facts = {"label": label, "settings": settings, "model": model}
    scores = score(qrels, ranking)
    excluded = {"own_documents_excluded": len(own)}
    return complete(facts, lambda: iter([ranking]), scores, collection, split, cell, inputs, began, excluded)


def complete(
    facts: dict[str, Any],
    parts: Callable[[], Iterator[Run]],
    scores: Scores,
    collection: Collection,
    split: str,
    cell: Cell,
    inputs: dict[str, Any],
    began: float,
    record: dict[str, Any],
    files: Sequence[Path] = (),
) -> Result:
    """Write a run that is given in `parts`, its scores, and the result with the `facts`.

    `files` are further files of the cell.
    """
    result = Result(
        **facts,
        dataset=collection.name,
        split=split,
        metrics=scores.means(),
        path=cell.path,
        queries=len(scores.queries),
        documents=len(collection.corpus),
        seconds=round(time.perf_counter() - began, 3),
        domain=inputs["domain"],
    )
    cell.clear()
    write_run(result.run, parts(), tag=result.label)
    _write_scores(result.scores, scores)
    record = {**record, "problems": collection.problems.to_json(), "environment": environment()}
    cell.write(result, inputs, record, files)
    return result


def score_parts(qrels: Qrels, parts: Iterator[Run]) -> Scores:
    """Score a run that is given in `parts`."""
    scores = Scores([], {name: [] for name in MEASURES})
    for part in parts:
        scores.extend(score({query: qrels[query] for query in part}, part))
    return scores


def own_documents(collection: Collection, qrels: Qrels) -> Rows:
    """Return the row of the document that is the query itself and must not be found, or -1.

    If the benchmark requires it, as for ArguAna, this is the document with the query's id (BEIR's
    `ignore_identical_ids`). Otherwise equal ids may be a coincidence, so the document's text, with or without its
    title, must also be that of the query. A document that is judged relevant to the query is not excluded.
    """
    dataset = find_dataset(collection.name)
    by_id = dataset is not None and dataset.own_document
    rows = collection.corpus.rows(qrels)
    asked = collection.queries.rows(qrels)
    for place, (query, judged) in enumerate(qrels.items()):
        row = int(rows[place])
        if row < 0:
            continue
        document, text = collection.corpus[row].strip(), collection.queries[int(asked[place])].strip()
        same = by_id or document == text or (bool(text) and document.endswith(f" {text}"))
        if judged.get(query, 0) > 0 or not same:
            rows[place] = -1
    return rows


def run_parts(collection: Collection, asked: Sequence[str], top: TopK) -> Iterator[Run]:
    """Yield the run of the queries with these ids in parts, so that few rankings are Python objects at a time."""
    for part in slices(len(asked), _QUERIES):
        ids = {row: collection.corpus.id(row) for row in np.unique(top.rows[part]).tolist() if row >= 0}
        yield {
            query: {ids[row]: score for row, score in zip(rows, values, strict=True) if row >= 0}
            for query, rows, values in zip(asked[part], top.rows[part].tolist(), top.scores[part].tolist(), strict=True)
        }


def _write_scores(path: Path, scores: Scores) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(pa.table({"query_id": scores.queries, **scores.values}), temporary)
