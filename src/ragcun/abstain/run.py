"""One cell of `ragcun eval abstain`: queries with their answers in the corpus, without them, and of other collections.

Files of a cell, besides those of every cell:

result.json      the evaluation of each score, under "abstention"
scores.parquet   each query's contribution to the AUROC of each score, besides the measures of retrieval
evidence.parquet each query's scores with its answers in the corpus (KEY) and without them (KEY:out)
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ragcun.abstain import measures
from ragcun.abstain.evidence import DEEP, Corpus, Doubles
from ragcun.abstain.learned import COMBINED, Logistic
from ragcun.abstain.scores import SCORES, all_scores
from ragcun.console import progress, say
from ragcun.data.collection import Collection
from ragcun.data.texts import Selected
from ragcun.errors import UserError
from ragcun.evaluation.compute import complete, own_documents, run_parts, score_parts
from ragcun.evaluation.endpoint import Compute, Endpoint
from ragcun.evaluation.metrics import DEPTH, MEASURES
from ragcun.evaluation.results import Cell, Result, check_part
from ragcun.evaluation.tasks import Task
from ragcun.files import atomic_path
from ragcun.retrieval.retrievers import HasVectors, Retriever
from ragcun.retrieval.topk import TopK, rank_ids

OTHER_QUERIES = 200  # the maximum number of queries of each other collection
PARTS = "AUROC:"  # the prefix of the columns with each query's contribution to an AUROC
OUT = ":out"
_FITS, _SPLITS = 40, 10  # fits of a learned score, and random splits of the remaining queries for each fit

Values = dict[str, Doubles]


def endpoint(tasks: Sequence[Task]) -> Endpoint:
    """The endpoint of `tasks`, whose queries are also searched in each other's corpora."""
    inputs = {
        "measures": list(MEASURES),
        "depth": DEPTH,
        "scores": [*(score.key for score in SCORES), *COMBINED],
        "level": measures.LEVEL,
        "queries_of": [[task.collection.name, task.data] for task in tasks],
        "other_queries": OTHER_QUERIES,
    }

    def load() -> Compute:
        return partial(compute, tasks=tasks)

    return Endpoint("cells-abstain", inputs, load)


def compute(
    model: str,
    retriever: Retriever,
    collection: Collection,
    split: str,
    cell: Cell,
    inputs: dict[str, Any],
    tasks: Sequence[Task] = (),
) -> Result:
    """Evaluate every confidence score of `retriever` on a split, and complete the cell.

    Raises `UserError` if the retriever has no vectors, or if fewer than 20 queries have an answer in the corpus.
    """
    began = time.perf_counter()
    if not isinstance(retriever, HasVectors):
        raise UserError(f"{retriever.label}: has no vectors; give an encoder or an embeddings API's model")
    qrels, relevant = _answered(collection, split)
    others = [task for task in tasks if task.collection.name != collection.name]
    foreign = {task.collection.name: _sampled(task) for task in others}
    own = own_documents(collection, qrels)
    texts = [*Selected(collection.queries, collection.queries.rows(qrels)), *chain.from_iterable(foreign.values())]
    exclude = np.concatenate([own, np.full(len(texts) - len(own), -1)])
    id_ranks = rank_ids(collection.corpus.ids())
    depth = max(DEPTH, max(map(len, relevant)) + DEEP)
    top = retriever.rank(collection.corpus, texts, depth, id_ranks, exclude)
    described = retriever.describe()
    asked, documents = retriever.vectors(collection.corpus, texts)
    corpus = Corpus(collection.corpus, documents, retriever.similarity, id_ranks)
    words = corpus.rankings(texts, exclude, depth)
    queries_QD, count = asked.block(0, len(texts)), len(own)
    hidden = [np.array([row] if row >= 0 else [], dtype=np.int64) for row in own.tolist()]
    without = [np.concatenate(pair) for pair in zip(hidden, relevant, strict=True)]
    nothing = [np.empty(0, dtype=np.int64)] * (len(texts) - count)
    seen: list[Values] = []
    p_values: dict[str, float] = {}
    with progress("scoring queries", 3, "passes") as bar:
        for rows, out in ((slice(0, count), hidden), (slice(0, count), without), (slice(count, None), nothing)):
            if not out:
                seen.append({})
                continue
            found = corpus.evidence(queries_QD[rows], _part(top, rows), _part(words, rows), out)
            seen.append(all_scores(found))
            if out is without:
                p_values = {
                    score.key: float((score.p_value(found) <= measures.LEVEL).mean())
                    for score in SCORES
                    if score.p_value is not None
                }
            bar.advance()
    parts = partial(run_parts, collection, list(qrels), _part(top, slice(0, count), DEPTH))
    scores = score_parts(qrels, parts())
    places = {name: np.repeat(name, len(some)) for name, some in foreign.items()}
    names = np.concatenate([np.empty(0, dtype=str), *places.values()])
    quality = np.array(scores.values["nDCG@10"])
    assessed, of_queries = _assess(seen[0], seen[1], seen[2], names, quality)
    scores.values.update({PARTS + key: parts_Q.tolist() for key, parts_Q in of_queries.items()})
    for key, share in p_values.items():
        assessed["scores"][key]["p_value_below_level_without_answer"] = share
    evidence = cell.path.with_name("evidence.parquet")
    facts = {"label": retriever.label, "settings": described, "model": model}
    record = {"own_documents_excluded": int((own >= 0).sum()), "abstention": assessed}
    cell.clear()
    _write(evidence, scores.queries, seen[0], seen[1])
    return complete(facts, parts, scores, collection, split, cell, inputs, began, record, [evidence])


def _answered(collection: Collection, split: str) -> tuple[dict[str, dict[str, int]], list[Any]]:
    """Return the queries with an answer that is in the corpus but not the whole corpus, and the answers' rows."""
    qrels = collection.qrels(split)
    chosen, relevant = {}, []
    for query, judged in qrels.items():
        rows = collection.corpus.rows([document for document, grade in judged.items() if grade > 0])
        rows = np.asarray(rows)[np.asarray(rows) >= 0]
        if 0 < len(rows) <= len(collection.corpus) - 2:
            chosen[query] = judged
            relevant.append(rows)
    if len(chosen) < len(qrels):
        say(f"{collection.name}: {len(qrels) - len(chosen):,} of {len(qrels):,} queries have no answer in the corpus")
    if len(chosen) < 20:
        raise UserError(
            f"{collection.name}: {len(chosen)} queries have an answer in the corpus; at least 20 are needed"
        )
    return chosen, relevant


def _sampled(task: Task) -> list[str]:
    rows = np.asarray(task.collection.queries.rows(task.collection.qrels(task.split)))
    kept = np.sort(np.random.default_rng(0).permutation(len(rows))[:OTHER_QUERIES])
    return list(Selected(task.collection.queries, rows[kept]))


def _part(top: TopK, rows: "slice[Any, Any, None]", depth: int | None = None) -> TopK:
    return TopK(top.scores[rows, :depth], top.rows[rows, :depth])


def _write(path: Path, queries: Sequence[str], within: Values, without: Values) -> None:
    columns = within | {key + OUT: values for key, values in without.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        pq.write_table(pa.table({"query_id": queries, **columns}), temporary)


def _assess(
    within: Values, without: Values, foreign: Values, names: "np.ndarray[Any, Any]", quality_Q: Doubles
) -> tuple[dict[str, Any], Values]:
    """Evaluate every score. Returns the evaluation (JSON), and each query's contributions to the AUROCs."""
    count = len(quality_Q)
    halves = np.array_split(np.random.default_rng(0).permutation(count), 2)
    found: dict[str, Any] = {}
    of_queries: Values = {}
    for score in SCORES:
        key = score.key
        of_queries[key] = measures.paired_auroc(within[key], without[key])
        rates = _rates(within[key], without[key])
        found[key] = _row(within[key], without[key], foreign.get(key), names, quality_Q, of_queries[key], rates)
        found[key]["threshold"] = measures.threshold(within[key])
    for key, (_, features) in COMBINED.items():
        of_queries[key] = np.empty(count)
        scored = [np.empty(count), np.empty(count)]
        elsewhere = []
        for fitted, tested in (halves, halves[::-1]):
            logistic = Logistic.fit(features, _rows(within, fitted), _rows(without, fitted))
            for side, values in zip(scored, (within, without), strict=True):
                side[tested] = logistic(_rows(values, tested))
            of_queries[key][tested] = measures.paired_auroc(scored[0][tested], scored[1][tested])
            if foreign:
                elsewhere.append(logistic(foreign))
        mean = np.mean(elsewhere, axis=0) if elsewhere else None
        rates = _learnt_rates(features, within, without)
        found[key] = _row(scored[0], scored[1], mean, names, quality_Q, of_queries[key], rates)
        # The last regression, which is kept, was fitted on the second half and scored the first.
        found[key]["threshold"] = measures.threshold(scored[0][halves[0]])
        found[key]["logistic"] = {name: np.asarray(value).tolist() for name, value in asdict(logistic).items()}
    return {"level": measures.LEVEL, "coverages": list(measures.COVERAGES), "scores": found}, of_queries


def _row(
    within_Q: Doubles,
    without_Q: Doubles,
    foreign: Doubles | None,
    names: "np.ndarray[Any, Any]",
    quality_Q: Doubles,
    parts_Q: Doubles,
    rates: Doubles,
) -> dict[str, Any]:
    area, ends = measures.nauc(within_Q, quality_Q)
    mixed = measures.risks(np.concatenate([within_Q, without_Q]), np.concatenate([quality_Q, np.zeros_like(quality_Q)]))
    others = {}
    if foreign is not None:
        for name in dict.fromkeys(names.tolist()):
            value, interval = measures.auroc(within_Q, foreign[names == name])
            others[name] = {"auroc": value, "interval": list(interval)}
    return {
        "auroc": float(parts_Q.mean()),
        "auroc_interval": list(measures.interval_of(parts_Q)),
        "nauc": area,
        "nauc_interval": list(ends),
        "risks": measures.risks(within_Q, quality_Q),
        "risks_with_unanswerable": mixed,
        "others_queries": others,
        "same_collection": asdict(measures.validity(rates)),
    }


def _rates(within_Q: Doubles, without_Q: Doubles) -> Doubles:
    """Return the rates of false alarms and detections, (2, splits), of the threshold of one half on the other half."""
    generator = np.random.default_rng(1)
    rates = np.empty((2, measures.HALVINGS))
    for turn in range(measures.HALVINGS):
        fitted, tested = np.array_split(generator.permutation(len(within_Q)), 2)
        cut = measures.threshold(within_Q[fitted])
        rates[:, turn] = (within_Q[tested] < cut).mean(), (without_Q[tested] < cut).mean()
    return rates


def _learnt_rates(features: Sequence[str], within: Values, without: Values) -> Doubles:
    """As `_rates` for a learned score: the score, its threshold and its test have a third of the queries each."""
    generator = np.random.default_rng(1)
    rates = np.empty((2, _FITS * _SPLITS))
    for turn in range(_FITS):
        learnt, *others = np.array_split(generator.permutation(len(within[features[0]])), 3)
        left = np.concatenate(others)
        logistic = Logistic.fit(features, _rows(within, learnt), _rows(without, learnt))
        within_Q, without_Q = (logistic(_rows(values, left)) for values in (within, without))
        for place in range(turn * _SPLITS, (turn + 1) * _SPLITS):
            fitted, tested = np.array_split(generator.permutation(len(left)), 2)
            cut = measures.threshold(within_Q[fitted])
            rates[:, place] = (within_Q[tested] < cut).mean(), (without_Q[tested] < cut).mean()
    return rates


def _rows(values: Mapping[str, Doubles], rows: "np.ndarray[Any, Any]") -> Values:
    return {key: one[rows] for key, one in values.items()}


def read_evidence(result: Result) -> Values:
    """Read the scores of each query with its answers in the corpus, by the key of the score; raises as `check_part`."""
    path = result.path.with_name("evidence.parquet")
    check_part(path)
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names if name != "query_id"}


def of_key(key: str, assessed: Mapping[str, Any], values: Values) -> Doubles:
    """Compute the score `key` from the other scores, `values`, with the regression that was saved in `assessed`."""
    fitted = assessed["scores"][key].get("logistic")
    if fitted is None:
        return values[key]
    arrays = {name: np.array(fitted[name]) for name in ("mean", "deviation", "weights")}
    return Logistic(tuple(fitted["keys"]), **arrays)(values)
