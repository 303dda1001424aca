"""Scores of a run by ir_measures, with trec_eval's own code (pytrec_eval)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ir_measures

from ragcun.errors import UserError
from ragcun.retrieval.runs import Run, ranked

Qrels = Mapping[str, Mapping[str, int]]

MEASURES = (
    *("nDCG@1", "nDCG@3", "nDCG@5", "nDCG@10", "nDCG@100"),
    "MRR@10",
    *("Recall@10", "Recall@100", "Recall@1000"),
    *("MAP@10", "MAP@100"),
    "P@10",
)
MAIN = ("nDCG@10", "MRR@10", "Recall@100", "MAP@100")  # the measures that fit on a terminal
DEPTH = 1_000  # the number of documents per query that the measures need


@dataclass(frozen=True)
class Scores:
    """The values of measures for each query, 0 to 1.

    Attributes:
        queries: the judged queries, in the order of the judgements.
        values: for each measure one value per query, in the order of `queries`.
    """

    queries: list[str]
    values: dict[str, list[float]]

    def means(self) -> dict[str, float]:
        """Return the mean of each measure over all judged queries."""
        return {name: sum(values) / len(values) for name, values in self.values.items()}

    def extend(self, others: "Scores") -> None:
        """Add other queries, scored by the same measures."""
        self.queries.extend(others.queries)
        for name, values in others.values.items():
            self.values[name].extend(values)


def score(qrels: Qrels, run: Run, measures: Sequence[str] = MEASURES) -> Scores:
    """Score each query of a run as trec_eval does.

    A judged query scores 0 if the run has no results for it, or if no document is judged relevant to it. Queries
    without judgements are left out. The engines of ir_measures break ties in different ways (MRR@10 by ascending
    document id, the others by descending), so they get trec_eval's ranking with distinct scores.

    Args:
        qrels: query id -> document id -> grade; a grade of 1 or more is relevant, and is the gain in nDCG.
        run: query id -> document id -> score, higher is better.
        measures: the measures' names in ir_measures.

    Raises:
        UserError: ir_measures has no such measure.
    """
    parsed = {_parse(name): name for name in measures}
    qrels = {query: _not_negative(grades) for query, grades in qrels.items()}
    untied = {query: _untied(documents) for query, documents in run.items() if query in qrels}
    values: dict[str, dict[str, float]] = {name: dict.fromkeys(qrels, 0.0) for name in measures}
    for metric in ir_measures.iter_calc(list(parsed), qrels, untied):
        values[parsed[metric.measure]][metric.query_id] = float(metric.value)
    return Scores(list(qrels), {name: list(found.values()) for name, found in values.items()})


def mean_scores(qrels: Qrels, run: Run, measures: Sequence[str] = MEASURES) -> dict[str, float]:
    """Return the means over queries; arguments and errors are those of `score`."""
    return score(qrels, run, measures).means()


def _not_negative(grades: Mapping[str, int]) -> Mapping[str, int]:
    """Grades below 0 as 0, which counts alike here: for -2 or less, pytrec_eval writes beyond its memory."""
    return {document: max(0, grade) for document, grade in grades.items()} if min(grades.values()) < 0 else grades


def _untied(scores: Mapping[str, float]) -> dict[str, float]:
    return {document: float(-rank) for rank, (document, _) in enumerate(ranked(scores))}


def _parse(name: str) -> Any:
    try:
        return ir_measures.parse_measure(name)
    except (NameError, ValueError):
        raise UserError(f"measure {name!r}: unknown; known are, for example, {', '.join(MAIN)}") from None
