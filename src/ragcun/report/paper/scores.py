"""The main table: systems by datasets, means over seeds, marks of corrected tests, and an average if complete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragcun.analysis.wording import label_in_symbols
from ragcun.data.benchmark import datasets, find_dataset
from ragcun.errors import UserError, did_you_mean
from ragcun.evaluation.results import Result, whole_datasets
from ragcun.evaluation.systems import LEVEL, Method, Row, System, compare_systems, corrected
from ragcun.evaluation.verify import published
from ragcun.report.paper.inputs import Inputs
from ragcun.table import Cell, Column, Note, Table, best_marked, decimals, letters

_BEIR13 = (
    *("trec-covid", "nfcorpus", "nq", "hotpotqa", "fiqa", "arguana", "webis-touche2020", "quora", "dbpedia-entity"),
    *("scidocs", "fever", "climate-fever", "scifact"),
)
AVERAGES: dict[str, tuple[str, ...]] = {
    "beir13": _BEIR13,
    "beir14": (*_BEIR13, "cqadupstack"),
    "beir15": (*_BEIR13, "cqadupstack", "msmarco"),
    "beir18": tuple(name for name, one in datasets().items() if not one.nano and name != "msmarco"),
}
_BETTER, _WORSE = "†", "‡"


@dataclass(frozen=True)
class Choice:
    """Choice of the contents of the main table.

    Attributes:
        metric: measure of the scores.
        order: labels that come first in their group.
        datasets: datasets to show, in this order; if empty, all in BEIR's order.
        average: a name of `AVERAGES`, "shown" for the shown datasets without training data, or "none".
        baselines: labels of the systems to test against; if None, all systems that were not trained here.
        published: retrievers whose published scores are shown.
    """

    metric: str = "nDCG@10"
    order: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    average: str = "shown"
    baselines: tuple[str, ...] | None = None
    published: tuple[str, ...] = ()

    def arguments(self, digits: int) -> list[str]:
        """Return the options of `ragcun report paper` for this choice."""
        named = {
            "--metric": self.metric,
            "--digits": str(digits),
            "--order": ",".join(self.order),
            "--datasets": ",".join(self.datasets),
            "--average": self.average,
            "--published": ",".join(self.published),
        }
        return [
            *(word for option, value in named.items() if value for word in (option, value)),
            *(word for label in self.baselines or () for word in ("--baseline", label)),
        ]


@dataclass(frozen=True)
class Scores:
    """The systems in the order of the table, with all comparisons.

    Attributes:
        choice: choice of the contents.
        baselines: systems to compare with.
        ours: systems that are compared with each baseline.
        datasets: names of the datasets in the columns.
        averaged: datasets of the average; empty if there is no average.
        missing: datasets without results, because of which there is no average.
        rows: comparisons of our systems with each baseline, corrected as one family.
    """

    choice: Choice
    baselines: Sequence[System]
    ours: Sequence[System]
    datasets: Sequence[str]
    averaged: Sequence[str]
    missing: Sequence[str]
    rows: Sequence[Row]

    @property
    def against(self) -> System | None:
        """The first baseline, which the analysis of single queries compares with; None if there is none."""
        return self.baselines[0] if self.baselines else None

    def letters(self) -> dict[str, str]:
        """The letter of each baseline."""
        return dict(zip((system.label for system in self.baselines), letters(), strict=False))


def is_trained(system: System) -> bool:
    """Return whether the training data of the system is known, as for systems that ragcun trained."""
    return any(result.domain is not None for results in system.results.values() for result in results)


def find_scores(inputs: Inputs, choice: Choice) -> Scores:
    """Order systems and datasets, and test each of our systems against each baseline.

    Raises `UserError` if a name in `choice` is unknown.
    """
    known = {system.label: system for system in inputs.systems}
    for label in (*choice.order, *(choice.baselines or ())):
        _check("system", label, known)
    _check("average", choice.average, ["shown", "none", *AVERAGES])
    names = _columns(inputs.systems)
    for name in choice.datasets:
        _check("dataset", name, names)
    shown = list(choice.datasets or names)
    kept = [found for system in inputs.systems if (found := _restricted(system, shown)).results]
    known = {system.label: system for system in kept}
    ordered = sorted(kept, key=lambda one: _place(choice.order, one.label))
    if choice.baselines is None:
        baselines = [system for system in ordered if not is_trained(system)]
    else:
        baselines = [known[label] for label in choice.baselines]
    ours = [system for system in ordered if system not in baselines]
    wanted = _averaged(choice.average, shown, ours)
    missing = [name for name in wanted if name not in shown]
    averaged = [] if missing or len(wanted) < 2 else wanted
    rows = _compared(baselines, ours, choice.metric)
    return Scores(choice, baselines, ours, shown, averaged, missing if choice.average in AVERAGES else [], rows)


def main_table(inputs: Inputs, scores: Scores, digits: int = 1) -> Table:
    """Return the table with groups for baselines, our systems and published scores."""
    letter = scores.letters()
    columns = [Column(_title(name, scores.ours), decimals(digits, scale=100)) for name in scores.datasets]
    if scores.averaged:
        columns.append(Column(_average_title(scores), decimals(digits, scale=100)))
    systems = [*scores.baselines, *scores.ours]
    values = [_cells(inputs, system, scores) for system in systems]
    marked = [best_marked(column, found) for column, found in zip(columns, zip(*values, strict=True), strict=True)]
    rows = [
        [Cell(label_in_symbols(system.label), mark=letter.get(system.label, "")), *found]
        for system, found in zip(systems, zip(*marked, strict=True), strict=True)
    ]
    split = len(scores.baselines)
    groups = {"Baselines": rows[:split], "Ours": rows[split:], "Published elsewhere, not computed here": []}
    notes = _notes(scores)
    for retriever in scores.choice.published:
        row, note = _published(retriever, scores)
        groups["Published elsewhere, not computed here"].append([Cell(retriever, mark=note.mark), *row])
        notes.append(note)
    kept = {name: found for name, found in groups.items() if found}
    splits = sorted({split for system in systems for _, split in system.results})
    where = f"the {splits[0]} split" if len(splits) == 1 else "each dataset's own split"
    return Table(
        f"{scores.choice.metric} (×100) on {where}. Best value of each column in bold, second best underlined, with "
        "all ties.",
        [Column("Model"), *columns],
        list(kept.values()),
        notes,
        "main",
        list(kept) if len(kept) > 1 else (),
    )


def compared_table(inputs: Inputs, scores: Scores) -> Table | None:
    """Return a table of differences from each baseline over the averaged datasets: effect, interval, p-value and power.

    Without an average, the table has the differences on each dataset. Returns None if nothing was compared.
    """
    rows = [row for row in scores.rows if row.dataset is None and set(row.over) == set(scores.averaged)]
    rows = rows or [row for row in scores.rows if row.dataset is not None]
    if not rows:
        return None
    difference, margin = decimals(2, scale=100, sign=True), 100 * Method().margin
    columns = [
        *([] if rows[0].dataset is None else [Column("Dataset")]),
        Column("Model"),
        Column("Difference", difference),
        Column("p (Holm)", decimals(3)),
        Column("d_z", decimals(2, sign=True)),
        Column("Won / tied / lost"),
        Column("Power", decimals(2)),
        Column("Verdict"),
    ]
    known = {system.label: system for system in [*scores.baselines, *scores.ours]}
    groups: dict[str, list[list[Cell]]] = {}
    for row in rows:
        found, adjusted = row.against, row.adjusted
        if found is None or adjusted is None:
            continue
        across, p_across = found.across_seeds, adjusted.p_across_seeds
        ends = (found.low, found.high) if across is None else (across.low, across.high)
        sources = tuple(
            inputs.source(one.path)
            for label in (row.label, row.baseline)
            for name in row.over
            for part in seeds_of(known[label], name)
            for one in part
        )
        groups.setdefault(f"Against {label_in_symbols(row.baseline)}", []).append(
            [
                *([] if row.dataset is None else [Cell(dataset_title(row.dataset))]),
                Cell(label_in_symbols(row.label)),
                Cell(found.difference, interval=ends, sources=sources),
                Cell(adjusted.p_value if p_across is None else p_across, sources=sources),
                Cell(found.effect, sources=sources),
                Cell(f"{found.wins} / {found.ties} / {found.losses}"),
                Cell(found.power, sources=sources),
                Cell(row.verdict),
            ]
        )
    over = ", ".join(map(dataset_title, rows[0].over)) if rows[0].dataset is None else "each dataset"
    return Table(
        f"Differences of {scores.choice.metric} (×100) over {over}, with 95% intervals.",
        columns,
        list(groups.values()),
        [
            Note(
                "Intervals and p-values generalise to other queries and, with several seeds, to other seeds. d_z is "
                "the effect size on a single dataset. Power is the probability that these queries detect a difference "
                f"of {margin:g} points. Equivalent means that the difference is significantly smaller than {margin:g} "
                "points."
            )
        ],
        "comparison",
        list(groups),
    )


def dataset_title(name: str) -> str:
    """Return a dataset's name in papers."""
    found = find_dataset(name)
    return name if found is None else found.title


def seeds_of(system: System, name: str) -> list[list[Result]]:
    """Return a system's results on each part of a dataset, one for each seed; empty if a part is missing."""
    for split in sorted({split for _, split in system.results}):
        parts = whole_datasets(dataset for dataset, its in system.results if its == split).get(name)
        if parts:
            return [system.results[part, split] for part in parts]
    return []


def _check(kind: str, name: str, known: Sequence[str] | Mapping[str, object]) -> None:
    if name not in known:
        raise UserError(f"{kind} {name!r}: unknown{did_you_mean(name, known)}; choose from {', '.join(known)}")


def _columns(systems: Sequence[System]) -> list[str]:
    """Return names of datasets in the order of BEIR's paper; other datasets follow in alphabetical order."""
    found = {name for system in systems for name in whole_datasets(dataset for dataset, _ in system.results)}
    known = [name for name in datasets() if name in found]
    return [*known, *sorted(found.difference(known))]


def _restricted(system: System, shown: Sequence[str]) -> System:
    """Return the system with only its results on the shown datasets."""
    whole = {part: name for name, parts in whole_datasets(name for name, _ in system.results).items() for part in parts}
    return System(system.label, {key: found for key, found in system.results.items() if whole[key[0]] in shown})


def _place(order: Sequence[str], label: str) -> int:
    return order.index(label) if label in order else len(order)


def _trained_on(name: str, ours: Sequence[System]) -> bool:
    return any(one.domain == "in-domain" for system in ours for part in seeds_of(system, name) for one in part)


def _averaged(average: str, shown: Sequence[str], ours: Sequence[System]) -> list[str]:
    if average == "none":
        return []
    if average in AVERAGES:
        return list(AVERAGES[average])
    return [name for name in shown if not _trained_on(name, ours)]


def _average_title(scores: Scores) -> str:
    if scores.choice.average in AVERAGES:
        return f"Avg. {scores.choice.average.upper().replace('BEIR', 'BEIR-')}"
    return "Average" if len(scores.averaged) == len(scores.datasets) else "Avg. out-of-domain"


def _title(name: str, ours: Sequence[System]) -> str:
    return dataset_title(name) + (" (in-domain)" if _trained_on(name, ours) else "")


def _compared(baselines: Sequence[System], ours: Sequence[System], metric: str) -> list[Row]:
    method = Method(metric)
    rows = [
        row
        for baseline in baselines
        for row in (compare_systems([baseline, *ours], baseline.label, method) if ours else [])
        if row.against is not None
    ]
    single = [row for row in rows if row.dataset is not None]
    averages = [row for row in rows if row.dataset is None]
    return corrected(single, method.correction) + corrected(averages, method.correction)


def _cells(inputs: Inputs, system: System, scores: Scores) -> list[Cell]:
    found = [_cell(inputs, system, [name], scores) for name in scores.datasets]
    return [*found, _cell(inputs, system, scores.averaged, scores)] if scores.averaged else found


def _cell(inputs: Inputs, system: System, names: Sequence[str], scores: Scores) -> Cell:
    """Return the mean over datasets and seeds, with the deviation over seeds and the marks of tests."""
    parts = [seeds_of(system, name) for name in names]
    if not all(parts):
        return Cell(None)
    metric = scores.choice.metric
    flat = [result for part in parts for seeds in part for result in seeds]
    if missing := next((one for one in flat if metric not in one.metrics), None):
        known = ", ".join(missing.metrics)
        raise UserError(f"{missing.label} on {missing.dataset} has no {metric!r}, only {known}; choose with --metric")
    values = [[np.array([one.metrics[metric] for one in seeds]) for seeds in part] for part in parts]
    if len({len(seeds) for part in values for seeds in part}) > 1:
        values = [[seeds.mean(keepdims=True) for seeds in part] for part in values]
    means = np.mean([np.mean(part, axis=0) for part in values], axis=0)
    deviation = float(means.std(ddof=1)) if len(means) > 1 else None
    sources = tuple(inputs.source(one.path) for one in flat)
    return Cell(float(means.mean()), deviation, mark=_mark(system, names, scores), sources=sources)


def _mark(system: System, names: Sequence[str], scores: Scores) -> str:
    letter = scores.letters()
    better: list[str] = []
    worse: list[str] = []
    for row in scores.rows:
        if row.label != system.label or row.adjusted is None or row.against is None:
            continue
        if set(row.over) != set(names) or (row.dataset is None) != (len(names) > 1):
            continue
        across = row.adjusted.p_across_seeds
        if (row.adjusted.p_value if across is None else across) < LEVEL:
            (better if row.against.difference > 0 else worse).append(letter[row.baseline])
    return (_BETTER + "".join(better) if better else "") + (_WORSE + "".join(worse) if worse else "")


def _notes(scores: Scores) -> list[Note]:
    notes = []
    tests = sum(row.dataset is not None for row in scores.rows)
    if tests:
        notes.append(
            Note(
                f"{_BETTER} and {_WORSE} mark scores significantly better and worse than the baselines with these "
                "letters (paired randomisation test over queries; with several seeds, a test that also generalises "
                f"to other seeds; p < {LEVEL} after Holm's correction of {tests} tests, averages separately)."
            )
        )
    if any(len(part) > 1 for system in scores.ours for part in system.results.values()):
        notes.append(Note("Scores are means over seeds; ± is the standard deviation over seeds."))
    if scores.missing:
        names = ", ".join(map(dataset_title, scores.missing))
        notes.append(
            Note(f"The average {scores.choice.average} is not shown, because these datasets have no results: {names}.")
        )
    return notes


def _published(retriever: str, scores: Scores) -> tuple[list[Cell], Note]:
    """Return a row of published scores, which are neither tested nor marked as best."""
    found = [one for one in published() if one.retriever == retriever and one.measure == scores.choice.metric]
    if not found:
        names = dict.fromkeys(one.retriever for one in published())
        _check("--published", retriever, list(names))
        raise UserError(f"--published {retriever}: ragcun knows no published {scores.choice.metric} of this retriever")
    by_name = {one.dataset: one.score for one in found}
    source = f"published: {found[0].source}"
    values = [Cell(by_name.get(name), sources=(source,)) for name in scores.datasets]
    if scores.averaged:
        known = [by_name[name] for name in scores.averaged if name in by_name]
        complete = len(known) == len(scores.averaged)
        values.append(Cell(float(np.mean(known)) if complete else None, sources=(source,)))
    mark = f"p{1 + scores.choice.published.index(retriever)}"
    return values, Note(f"As published in {found[0].source}.", mark)


def with_sources(table: Table, sources: Sequence[str]) -> Table:
    """Return `table` with `sources` as the sources of all values that have none."""
    groups = [
        [
            [
                replace(cell, sources=tuple(sources))
                if isinstance(cell.value, float | int) and not cell.sources
                else cell
                for cell in row
            ]
            for row in group
        ]
        for group in table.groups
    ]
    return replace(table, groups=groups)
