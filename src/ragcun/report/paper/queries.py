"""Analysis of single queries: which features explain a gain, and examples of rankings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from ragcun.analysis.wording import label_in_symbols
from ragcun.evaluation.features import FEATURES
from ragcun.evaluation.results import check_part
from ragcun.evaluation.statistics import Doubles, holm
from ragcun.evaluation.systems import LEVEL, System
from ragcun.report.page.queries import Asked
from ragcun.report.page.texts import find_collection
from ragcun.report.paper.inputs import Inputs
from ragcun.report.paper.scores import Scores, dataset_title, seeds_of
from ragcun.retrieval.runs import read_top
from ragcun.table import Cell, Column, Note, Table, decimals

_BASE = "Score of the baseline"
_DEPTH = 3  # documents of an example
_DATASETS = 3  # with examples; more would not fit on a page
_LONGEST = 90  # characters of a text


@dataclass(frozen=True)
class Paired:
    """The queries of a dataset with the scores of our system and of the baseline.

    Attributes:
        dataset: name of the dataset.
        asked: the queries with scores and rankings.
        ours, base: scores of our system and of the baseline, (Q,), as means over seeds.
        features: values of each feature by its name, (Q,); NaN for queries without a value.
        sources: files that the scores are from.
    """

    dataset: str
    asked: Asked
    ours: Doubles
    base: Doubles
    features: Mapping[str, Doubles]
    sources: tuple[str, ...]

    @property
    def gain(self) -> Doubles:
        """Score of our system minus that of the baseline, (Q,)."""
        return self.ours - self.base


def pair_queries(inputs: Inputs, scores: Scores, ours: System, data_dirs: Sequence[Path]) -> list[Paired]:
    """Return the queries of each dataset with results of both systems, with texts if the collection is found."""
    base = scores.against
    found = []
    for name in scores.datasets if base is not None else ():
        both = [seeds_of(system, name) for system in (ours, base) if system is not None]
        if not all(len(parts) == 1 for parts in both):  # datasets that consist of several collections are left out
            continue
        results = [parts[0] for parts in both]
        asked = Asked.read(results, scores.choice.metric, find_collection(results[0][0], data_dirs))
        values = [one for one in asked.scores if one is not None]
        sources = tuple(inputs.source(result.path) for seeds in results for result in seeds)
        found.append(Paired(name, asked, values[0], values[1], dict(_features(asked, values[1])), sources))
    return found


def _features(asked: Asked, base: Doubles) -> Iterator[tuple[str, Doubles]]:
    if asked.features is not None:
        for key, title in FEATURES.items():
            values = [np.nan if value is None else float(value) for value in getattr(asked.features, key)]
            yield title, np.array(values)
    yield _BASE, base


def helps_table(paired: Sequence[Paired], ours: str, base: str) -> Table:
    """Return a table of Spearman's correlation of the gain with features of queries, with Holm's correction."""
    names = [*FEATURES.values(), _BASE]
    found = {(name, one.dataset): _correlation(one.features.get(name), one.gain) for name in names for one in paired}
    tested = {key: pair for key, pair in found.items() if pair is not None}
    adjusted = dict(zip(tested, holm([p_value for _, p_value in tested.values()]), strict=True))
    rows = [
        [
            Cell(name),
            *(
                Cell(
                    None if (pair := found[name, one.dataset]) is None else pair[0],
                    mark="*" if adjusted.get((name, one.dataset), 1.0) < LEVEL else "",
                    sources=one.sources,
                )
                for one in paired
            ),
        ]
        for name in names
    ]
    shown = [row for row in rows if any(cell.value is not None for cell in row[1:])]
    return Table(
        f"When {label_in_symbols(ours)} helps: Spearman's correlation of its gain over {label_in_symbols(base)} on a "
        "query with features of the query.",
        [Column("Feature"), *(Column(dataset_title(one.dataset), decimals(2, sign=True)) for one in paired)],
        [shown],
        [
            Note(f"p < {LEVEL} after Holm's correction of {len(tested)} tests.", "*"),
            Note(
                "The gain falls with the baseline's score also by chance, because of regression to the mean. Overlap "
                "is the share of the query's stemmed words that occur in a relevant document. A dash means that the "
                "feature is constant or the texts were not found."
            ),
        ],
        "helps",
    )


def _correlation(feature: Doubles | None, gain: Doubles) -> tuple[float, float] | None:
    """Return Spearman's rho and its p-value; None if a variable is constant or has fewer than ten values."""
    if feature is None:
        return None
    known = ~np.isnan(feature)
    if known.sum() < 10 or np.ptp(feature[known]) == 0 or np.ptp(gain[known]) == 0:
        return None
    found = stats.spearmanr(feature[known], gain[known])
    return float(found.statistic), float(found.pvalue)


def examples_table(paired: Sequence[Paired], ours: str, base: str) -> Table | None:
    """Return the queries with the largest gain and the largest loss, for the first datasets with texts.

    Ties go to the first query in the order of ids. Returns None if no query differs or no texts were found.
    """
    groups: list[list[list[Cell]]] = []
    headings: list[str] = []
    for one in [one for one in paired if one.asked.collection is not None][:_DATASETS]:
        for place in _extremes(one):
            if (rows := _example(one, place)) is not None:
                won = "won" if one.gain[place] > 0 else "lost"
                query = _short(one.asked.collection.queries[_row(one, place)]) if one.asked.collection else ""
                headings.append(
                    f"{dataset_title(one.dataset)}, {won} ({100 * one.ours[place]:.0f} against "
                    f"{100 * one.base[place]:.0f}): {query}"
                )
                groups.append(rows)
    if not groups:
        return None
    return Table(
        f"Queries with the largest gain and loss of {label_in_symbols(ours)} over {label_in_symbols(base)}, and the "
        f"first {_DEPTH} documents of both (those of the first seed).",
        [Column(""), Column(label_in_symbols(ours)), Column(label_in_symbols(base))],
        groups,
        [Note("The document is judged relevant.", "+")],
        "examples",
        headings,
    )


def _extremes(one: Paired) -> list[int]:
    order = sorted(range(len(one.gain)), key=lambda place: (one.gain[place], one.asked.queries[place]))
    best = min((place for place in order if one.gain[place] == one.gain[order[-1]]), default=None)
    return [place for place in (best, order[0]) if place is not None and one.gain[place] != 0]


def _row(one: Paired, place: int) -> int:
    collection = one.asked.collection
    return -1 if collection is None else int(collection.queries.rows([one.asked.queries[place]])[0])


def _example(one: Paired, place: int) -> list[list[Cell]] | None:
    collection, qrels = one.asked.collection, one.asked.qrels
    for run in one.asked.runs:
        if run is not None:
            check_part(run.run)
    runs = [run for run in one.asked.runs if run is not None and run.run.is_file()]
    if collection is None or qrels is None or len(runs) != 2:
        return None
    query = one.asked.queries[place]
    tops = [read_top(run.run, _DEPTH).get(query, []) for run in runs]
    rows = []
    for rank in range(_DEPTH):
        cells = [Cell(str(rank + 1))]
        for top in tops:
            document = top[rank] if rank < len(top) else None
            row = -1 if document is None else int(collection.corpus.rows([document])[0])
            text = "" if row < 0 else _short(collection.corpus[row])
            cells.append(Cell(text, mark="+" if document is not None and qrels[query].get(document, 0) > 0 else ""))
        rows.append(cells)
    return rows


def _short(text: str) -> str:
    """Return a text, cut between words if it is long."""
    joined = " ".join(text.split())
    return joined if len(joined) <= _LONGEST else joined[:_LONGEST].rpartition(" ")[0] + " …"
