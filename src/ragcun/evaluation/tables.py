"""Results of evaluation as tables: scores, comparisons with a baseline, and published scores beside one's own."""

from collections.abc import Sequence

from ragcun.errors import UserError
from ragcun.evaluation.footnotes import footnotes
from ragcun.evaluation.results import Result
from ragcun.evaluation.systems import Row
from ragcun.evaluation.verify import Verdict
from ragcun.table import Cell, Column, Note, Table, best_marked, cells, decimals

_SIGNIFICANT = 0.05


def scores_table(results: Sequence[Result], measures: Sequence[str]) -> Table:
    """Return a table of retrievers by measures, a group of rows for each dataset and split.

    The best value of each group is bold and the second best underlined. What determines the rankings stands below.
    """
    columns = [Column(measure, decimals(2, scale=100)) for measure in measures]
    groups = []
    for dataset, split in dict.fromkeys((result.dataset, result.split) for result in results):
        rows = [result for result in results if (result.dataset, result.split) == (dataset, split)]
        scores = [[Cell(result.metrics.get(column.name)) for result in rows] for column in columns]
        if len(rows) > 1:
            scores = [best_marked(column, found) for column, found in zip(columns, scores, strict=True)]
        groups.append([[*cells(dataset, split, row.label), *found] for row, *found in zip(rows, *scores, strict=True)])
    return Table(
        "Scores (×100). Best value of each dataset in bold, second best underlined.",
        [Column("dataset"), Column("split"), Column("model"), *columns],
        groups,
        _settings(results),
        "scores",
    )


def benchmark_table(
    results: Sequence[Result], metric: str = "nDCG@10", digits: int = 1, order: Sequence[str] = ()
) -> Table:
    """Return a table of models by datasets, scores times 100, with the average over all datasets.

    Each column's best value is bold and its second best underlined, with all ties of the printed digits. A missing cell
    is an en dash, and so is the average of its row. Models come in the order of `order`, then of `results`. Raises
    `UserError` where a result lacks `metric`.
    """
    for result in results:
        if metric not in result.metrics:
            known = ", ".join(result.metrics)
            raise UserError(f"{result.label} on {result.dataset} has no {metric!r}, only {known}; choose with --metric")
    found = list(dict.fromkeys(result.label for result in results))
    labels = [label for label in dict.fromkeys(order) if label in found]
    labels += [label for label in found if label not in labels]
    datasets = sorted({(result.dataset, result.split) for result in results})
    scores = {(r.label, (r.dataset, r.split)): r.metrics[metric] for r in results}
    rows = [[scores.get((label, dataset)) for dataset in datasets] for label in labels]
    splits = sorted({split for _, split in datasets})
    headers = [dataset if len(splits) == 1 else f"{dataset} ({split})" for dataset, split in datasets]
    if len(datasets) > 1:
        headers.append("Average")
        rows = [[*row, _average(row)] for row in rows]
    columns = [Column(header, decimals(digits, scale=100)) for header in headers]
    marked = [
        best_marked(column, [Cell(score) for score in found])
        for column, found in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    where = f"the {splits[0]} split" if len(splits) == 1 else "the splits named"
    return Table(
        f"{metric} (×100) on {where}. Best value of each column in bold, second best underlined.",
        [Column("Model"), *columns],
        [[[Cell(label), *row] for label, row in zip(labels, zip(*marked, strict=True), strict=True)]],
        _settings(results),
        "beir",
    )


def comparison_table(rows: Sequence[Row], metric: str, baseline: str) -> Table:
    """Return a table of models against the baseline: a group for each dataset, and one over all of them."""
    difference = decimals(2, scale=100, sign=True)
    columns = [
        Column("dataset"),
        Column("split"),
        Column("model"),
        Column("seeds", decimals(0)),
        Column(metric, decimals(2, scale=100)),
        Column("difference", difference),
        Column("p (Holm)", decimals(4)),
        Column("d_z", decimals(2, sign=True)),
        Column("won", decimals(0)),
        Column("tied", decimals(0)),
        Column("lost", decimals(0)),
    ]
    places = dict.fromkeys((row.dataset, row.split) for row in rows)
    groups = [[_compared(row) for row in rows if (row.dataset, row.split) == place] for place in places]
    note = Note(
        f"The baseline is {baseline}. Differences and scores are times 100; brackets hold 95% bootstrap intervals, and "
        f"p-values of paired randomisation tests below {_SIGNIFICANT} are bold."
    )
    return Table("", columns, groups, [note], "comparison")


def verification_table(verdicts: Sequence[Verdict]) -> Table:
    """Return a table of published scores beside those obtained, with the sources of the published ones below it.

    The last column says whether BEIR's own evaluator gives the same nDCG@10 to the run.
    """
    rows = []
    for verdict in verdicts:
        one = verdict.published
        difference = None if verdict.obtained is None else verdict.obtained - one.score
        judged = {
            None: Cell("not run", tone="muted"),
            True: Cell("agrees"),
            False: Cell(f"differs by more than {100 * one.tolerance:g}", bold=True, tone="bad"),
        }[verdict.agrees]
        evaluators = {
            None: Cell(""),
            True: Cell("agrees"),
            False: Cell(f"gives {verdict.evaluator_difference or 0:+.5f} more", bold=True, tone="bad"),
        }[verdict.evaluators_agree]
        named = cells(one.retriever, one.dataset, one.measure, one.score, verdict.obtained, difference)
        rows.append([*named, judged, evaluators])
    notes = [f"{verdict.published.retriever} was not run: {verdict.reason}." for verdict in verdicts if verdict.reason]
    notes += [f"{one.published.retriever} was published in {one.published.source}." for one in verdicts]
    score = decimals(2, scale=100)
    columns = [
        Column("retriever"),
        Column("dataset"),
        Column("measure"),
        Column("published", score),
        Column("obtained", score),
        Column("difference", decimals(2, scale=100, sign=True)),
        Column("verdict"),
        Column("BEIR's evaluator"),
    ]
    return Table("", columns, [rows], [Note(text) for text in dict.fromkeys(notes)], "verification")


def _compared(row: Row) -> list[Cell]:
    named = cells(row.dataset or "all", row.split or "", row.label, row.seeds)
    score = Cell(row.score, row.deviation)
    found = row.against
    if found is None or row.p_holm is None:
        return [*named, score, *cells("", "", "", "", "", "")]
    return [
        *named,
        score,
        Cell(found.difference, interval=(found.low, found.high)),
        Cell(row.p_holm, bold=row.p_holm < _SIGNIFICANT),
        *cells(found.effect, found.wins, found.ties, found.losses),
    ]


def _average(row: Sequence[float | None]) -> float | None:
    known = [score for score in row if score is not None]
    return sum(known) / len(known) if len(known) == len(row) else None


def _settings(results: Sequence[Result]) -> list[Note]:
    return [
        Note(f"{'; '.join(labels)}: {text}.")
        for labels, text in footnotes((result.label, result.settings) for result in results)
    ]
