"""Tables of evaluation results: scores, comparisons with a baseline, and published scores."""

import json
from collections.abc import Sequence
from dataclasses import replace

from ragcun.errors import UserError
from ragcun.evaluation.compress import Compressed
from ragcun.evaluation.diff import Explained
from ragcun.evaluation.footnotes import footnotes
from ragcun.evaluation.mteb import PublishedScores
from ragcun.evaluation.results import Result
from ragcun.evaluation.systems import LEVEL, Method, Row
from ragcun.evaluation.verify import Verdict
from ragcun.table import Cell, Column, Note, Table, best_marked, cells, count, decimals, letters


def scores_table(results: Sequence[Result], measures: Sequence[str]) -> Table:
    """Make the table of retrievers by measures, with a group of rows for each dataset and split.

    The best value of each group is bold and the second best underlined. Notes state the retrievers' settings.
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
    """Make the table of models by datasets, with scores times 100 and the average over all datasets.

    Each column's best value is bold and its second best underlined; values with equal printed digits share the mark. A
    missing value is an en dash, and so is the average of its row. Models are in the order of `order`, then of
    `results`. Raises `UserError` if a result lacks `metric`.
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


def with_published(
    table: Table, published: Sequence[PublishedScores], results: Sequence[Result], metric: str = "nDCG@10"
) -> Table:
    """Make a `benchmark_table` of `results` with rows of published scores, which are marked and not averaged.

    The published scores form a separate group, are neither bold nor underlined, and have no average, because they may
    differ in data, versions and hardware. Scores on other datasets are left out.
    """
    datasets = sorted({(result.dataset, result.split) for result in results})
    places = {place: number for number, place in enumerate(datasets)}
    marks = iter(letters())
    rows, notes = [], []
    for model, revision in dict.fromkeys((one.model, one.revision) for one in published):
        found = [one for one in published if (one.model, one.revision) == (model, revision)]
        there = [one for one in found if (one.dataset, one.split) in places and metric in one.metrics]
        if not there:
            continue
        mark = next(marks)
        row = [Cell(model, mark=mark), *(Cell(None) for _ in table.columns[1:])]
        for one in there:
            row[1 + places[one.dataset, one.split]] = Cell(one.metrics[metric], mark=mark)
        rows.append(row)
        versions = ", ".join(sorted({str(one.mteb) for one in there}))
        source = f"Published in MTEB's results (mteb {versions}, revision {revision}), not computed here."
        notes.append(Note(source, mark))
    if not rows:
        return table
    headings = [*(table.headings or ["computed here"] * len(table.groups)), "published"]
    return replace(table, groups=[*table.groups, rows], headings=headings, notes=[*table.notes, *notes])


def comparison_table(rows: Sequence[Row], method: Method) -> Table:
    """Make the table of models and baselines, with a group for each dataset and baseline, then the averages."""
    difference, p_value = decimals(2, scale=100, sign=True), decimals(4)
    correction = {"holm": "Holm", "bh": "Benjamini-Hochberg"}[method.correction]
    columns = [
        Column("dataset"),
        Column("split"),
        Column("domain"),
        Column("model"),
        Column("seeds", decimals(0)),
        Column(method.measure, decimals(2, scale=100)),
        Column("difference", difference),
        Column(f"p ({correction})", p_value),
        Column("across seeds", difference),
        Column("p across seeds", p_value),
        Column("d_z", decimals(2, sign=True)),
        Column("won", decimals(0)),
        Column("tied", decimals(0)),
        Column("lost", decimals(0)),
        Column("verdict"),
        Column("power", decimals(2)),
        Column("queries needed", count),
    ]
    baselines = list(dict.fromkeys(row.baseline for row in rows))
    places = dict.fromkeys((row.baseline, row.over, row.split) for row in rows)
    groups = [[row for row in rows if (row.baseline, row.over, row.split) == place] for place in places]
    body = [[_compared(row, len(baselines) > 1) for row in group] for group in groups]
    if not any(row.against is not None and row.against.across_seeds is not None for row in rows):
        columns, body = columns[:8] + columns[10:], [[row[:8] + row[10:] for row in group] for group in body]
    return Table("", columns, body, _notes(baselines, method, correction), "comparison")


def _notes(baselines: Sequence[str], method: Method, correction: str) -> list[Note]:
    margin = f"{100 * method.margin:g}"
    test = {"randomisation": "paired randomisation", "wilcoxon": "Wilcoxon's signed-rank"}[method.test]
    return [
        Note(
            f"The baseline is {' or '.join(baselines)}. Differences and scores are times 100; brackets hold 95% "
            f"bootstrap intervals over queries, and p-values of {test} tests, corrected by {correction}'s method, are "
            f"bold below {LEVEL}. Columns across seeds hold for other seeds too."
        ),
        Note(
            f"Models are equivalent where the difference is shown to be within {margin} points; power is the chance "
            f"that these queries show a difference of {margin} points, and 80% of it takes the queries needed."
        ),
    ]


def compression_table(rows: Sequence[Compressed]) -> Table:
    """Make the table of codecs, with a group for each model and dataset, then the means over datasets."""
    difference = decimals(2, scale=100, sign=True)
    columns = [
        Column("model"),
        Column("dataset"),
        Column("codec"),
        Column("bytes", count),
        Column("nDCG@10", decimals(2, scale=100)),
        Column("difference", difference),
        Column("p (Holm)", decimals(4)),
        Column("ties"),
    ]
    places = dict.fromkeys((row.model, row.row.over, row.row.dataset) for row in rows)
    groups = [[_coded(row) for row in rows if (row.model, row.row.over, row.row.dataset) == place] for place in places]
    notes = [
        Note(
            "Scores and differences from fp32 are times 100. Brackets contain 95% bootstrap intervals over queries, "
            f"and p-values are from paired randomisation tests, corrected by Holm's method, and bold below {LEVEL}. "
            "Bytes are those of one document's vector, without what all share. Queries have full precision, except "
            "with binary."
        ),
        Note("Ties are the lowest and highest nDCG@10 over all orders of tied documents, which are ordered by id."),
    ]
    return Table("", columns, groups, notes, "compression")


def _coded(one: Compressed) -> list[Cell]:
    row, against, adjusted = one.row, one.row.against, one.row.adjusted
    dataset = row.dataset or f"mean of {len(row.over)} {row.domain + ' ' if row.domain else ''}datasets"
    low, high = (f"{100 * end:.2f}" for end in one.ties)
    compared = [Cell(""), Cell("")]
    if against is not None and adjusted is not None:
        compared = [
            Cell(against.difference, interval=(against.low, against.high)),
            _significance(adjusted.p_value),
        ]
    named = [*cells(one.model, dataset, str(one.codec), one.bytes), Cell(row.score)]
    return [*named, *compared, Cell("none" if low == high else f"{low} to {high}")]


def verification_table(verdicts: Sequence[Verdict]) -> Table:
    """Make the table of published scores and those obtained, with the sources of the published ones in notes.

    The last column states whether BEIR's own evaluator gives the same nDCG@10 for the run.
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


def _compared(row: Row, several_baselines: bool) -> list[Cell]:
    averaged = f"over {len(row.over)} {row.domain + ' ' if row.domain else ''}datasets"
    label = row.label
    if several_baselines and row.against is not None:
        label += f" against {row.baseline}"
    named = cells(row.dataset or averaged, row.split or "", row.domain or "", label, row.seeds)
    score = Cell(row.score, row.deviation)
    found, adjusted = row.against, row.adjusted
    if found is None or adjusted is None:
        return [*named, score, *cells(*[""] * 11)]
    across = found.across_seeds
    return [
        *named,
        score,
        Cell(found.difference, interval=(found.low, found.high)),
        _significance(adjusted.p_value),
        Cell("") if across is None else Cell(found.difference, interval=(across.low, across.high)),
        Cell("") if adjusted.p_across_seeds is None else _significance(adjusted.p_across_seeds),
        *cells(found.effect, found.wins, found.ties, found.losses, row.verdict, found.power, found.queries_needed),
    ]


def _significance(p_value: float) -> Cell:
    return Cell(p_value, bold=p_value < LEVEL)


def _average(row: Sequence[float | None]) -> float | None:
    known = [score for score in row if score is not None]
    return sum(known) / len(known) if len(known) == len(row) else None


def _settings(results: Sequence[Result]) -> list[Note]:
    return [
        Note(f"{'; '.join(labels)}: {text}.")
        for labels, text in footnotes((result.label, result.settings) for result in results)
    ]


def difference_table(found: Explained) -> Table:
    """Make the table of the differences between two records and of the evaluations; a note states the cause."""
    columns = [Column("factor"), Column("what"), Column("A"), Column("B")]
    rows = [[*cells(one.kind, one.name), Cell(_said(one.a)), Cell(_said(one.b))] for one in found.differences]
    scores = [cells("score", found.measure, f"{100 * found.ours:.2f}", f"{100 * found.theirs:.2f}")]
    again = [
        [
            *cells("again", "as A" if not step.changed else f"{' and '.join(step.changed)} of B"),
            Cell(f"{100 * step.score:.2f}", bold=step.explains),
            Cell("as B" if step.explains else ""),
        ]
        for step in found.steps
    ]
    notes = [found.cause]
    if found.queries is not None:
        notes.append(f"{found.queries[0]:,} of {found.queries[1]:,} queries have different scores.")
    if found.ties is not None:
        ends = [" to ".join(f"{100 * end:.2f}" for end in ends) for ends in found.ties]
        notes.append(f"Over all orders of tied documents, A scores {ends[0]}, and B scores {ends[1]}.")
    groups = [group for group in (scores, rows, again) if group]
    return Table("", columns, groups, [Note(text) for text in notes], "difference")


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
