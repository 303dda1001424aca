"""Comparison of models with baselines, on each dataset and over several, with several seeds per model.

In-domain and out-of-domain datasets are averaged separately.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ragcun.console import warn
from ragcun.data.provenance import DOMAINS, Domain
from ragcun.embedding.resolve import parse_label
from ragcun.errors import UserError
from ragcun.evaluation.compare import MARGIN, Comparison, compare_sides, sides
from ragcun.evaluation.results import Result, read_results, whole_datasets
from ragcun.evaluation.statistics import CORRECTIONS, Doubles

_SEED = re.compile(r"[\s,/_-]*(?<![^\W_])seed[\s=_-]*\d+(?=$| \()")  # a note in parentheses may follow

LEVEL = 0.05


@dataclass(frozen=True)
class System:
    """A model with the results of each of its seeds, by dataset and split."""

    label: str
    results: dict[tuple[str, str], list[Result]]


@dataclass(frozen=True)
class Method:
    """The method of comparing models.

    Attributes:
        measure: the measure.
        test: the test over queries, "randomisation" or "wilcoxon".
        correction: the correction of the p-values of a family, "holm" or "bh".
        margin: the largest difference that counts as equivalent, 0 to 1.
        seed: the seed of the randomisation and the bootstrap.
    """

    measure: str = "nDCG@10"
    test: str = "randomisation"
    correction: str = "holm"
    margin: float = MARGIN
    seed: int = 0


@dataclass(frozen=True)
class Adjusted:
    """The corrected p-values of a comparison: of the test over queries, across seeds, and of equivalence."""

    p_value: float
    p_equivalent: float
    p_across_seeds: float | None


@dataclass(frozen=True)
class Row:
    """A model on a dataset, or over several (`dataset` and `split` are None), compared with a baseline.

    Attributes:
        baseline: the label of the baseline; the model's own label for the baseline itself.
        domain: "in-domain" if the model or the baseline was trained on the dataset, "out-of-domain" if neither was;
            None if nothing is known of both.
        over: the datasets of the mean.
        score: the mean of the measure, 0 to 1, over `seeds` seeds.
        deviation: the sample standard deviation over seeds; None for one seed.
        against: the comparison with the baseline; None for the baseline itself.
        adjusted: the corrected p-values; single datasets are one family, and means over several are another.
        differences: the tested differences from the baseline, each the mean over seeds, (queries,).
    """

    dataset: str | None
    split: str | None
    label: str
    baseline: str
    domain: Domain | None
    over: tuple[str, ...]
    score: float
    deviation: float | None
    seeds: int
    against: Comparison | None = None
    adjusted: Adjusted | None = None
    differences: Doubles | None = field(default=None, repr=False, compare=False)

    @property
    def verdict(self) -> str | None:
        """The verdict at 5 percent: "equivalent within ..." points, "different", or "undecided".

        A significant difference within the margin is "equivalent". With several seeds, the inference is across seeds.
        """
        if self.against is None or self.adjusted is None:
            return None
        if self.adjusted.p_equivalent < LEVEL:
            return f"equivalent within {100 * self.against.margin:g}"
        across = self.adjusted.p_across_seeds
        return "different" if (self.adjusted.p_value if across is None else across) < LEVEL else "undecided"

    def to_json(self) -> dict[str, Any]:
        """Return everything except the differences of single queries, as JSON."""
        return {name: value for name, value in asdict(self).items() if name != "differences"} | {
            "verdict": self.verdict
        }


def without_seed(label: str) -> str:
    """Return a label without the seed at its end."""
    return _SEED.sub("", label) or label


def read_systems(sources: Sequence[str], optional: bool = False) -> list[System]:
    """Read the results in each folder; NAME=FOLDER gives all results in a folder the same name.

    A folder without results is refused unless they are `optional`. Results with the same given name, and results whose
    labels end in different seeds ("seed 1", "-seed=2"), are seeds of one model.

    Raises:
        UserError: there is no such folder or it has no result, or two results have the same label and no seed.
    """
    found: dict[str, dict[tuple[str, str], list[Result]]] = {}
    for source in sources:
        name, folder = _named(source)
        results = read_results(folder)
        if not results and not optional:
            raise UserError(f"{folder}: has no result.json; run `ragcun eval beir --output {folder}` first")
        for result in results:
            seeds = found.setdefault(name or without_seed(result.label), {})
            runs = seeds.setdefault((result.dataset, result.split), [])
            twice = next((other for other in runs if other.label == result.label), None)
            if twice is None or (name is not None and twice.path.parent != result.path.parent):
                runs.append(result)
            elif twice != result:
                raise UserError(
                    f"{twice.path} and {result.path} are both of {result.label!r} on {result.dataset}; "
                    "name the folders (NAME=FOLDER), with the same name if they are seeds of one model"
                )
    return [System(label, results) for label, results in found.items()]


def compare_systems(
    systems: Sequence[System], baselines: str | Sequence[str] | None = None, method: Method | None = None
) -> list[Row]:
    """Compare each model with each baseline, on each dataset, then over the datasets that all models have.

    `baselines` None is the first model. P-values are corrected over all baselines; those on single datasets are one
    family, and those over several are another.

    Raises:
        UserError: there is no such baseline or measure, or two models have different queries on a dataset.
    """
    method = method or Method()
    known = {system.label: system for system in systems}
    named = [systems[0].label] if baselines is None else [baselines] if isinstance(baselines, str) else baselines
    for name in named:
        if name not in known:
            raise UserError(f"baseline {name!r}: has no results; choose from {', '.join(known)}")
    columns = _columns(systems)
    common = [column for column in columns if all(column.of(system) for system in systems)]
    if missing := [column.dataset for column in columns if column not in common]:
        warn(f"the average leaves out {', '.join(missing)}, because not every model has results there")
    _tell_guards(systems)
    single: list[Row] = []
    averages: list[Row] = []
    for name in dict.fromkeys(named):
        base = known[name]
        for column in columns:
            single += _rows(systems, base, [column], None, method)
        for (domain, of), members in _groups(systems, base, common).items():
            averages += _rows(members, base, of, domain, method)
    return corrected(single, method.correction) + corrected(averages, method.correction)


def _tell_guards(systems: Sequence[System]) -> None:
    for system in systems:
        guards = [dataset for (dataset, _), of in system.results.items() if any(one.domain == "guard" for one in of)]
        if guards:
            warn(
                f"{system.label}: its weights were chosen with held-out queries of {', '.join(guards)}, which "
                "counts as out-of-domain here"
            )


@dataclass(frozen=True)
class _Column:
    """A dataset and split of the table, which may consist of several collections, as CQADupStack does."""

    dataset: str
    split: str
    parts: tuple[str, ...]

    def of(self, system: System) -> list[list[Result]]:
        """Return the results of a system for each part and seed; empty if a part is missing."""
        found = [system.results.get((part, self.split), []) for part in self.parts]
        return found if all(found) else []

    def domain(self, *systems: System) -> Domain | None:
        """Return the domain of the dataset for `systems`; None if nothing is known of all of them."""
        found = {result.domain for system in systems for seeds in self.of(system) for result in seeds}
        return "in-domain" if "in-domain" in found else "out-of-domain" if found - {None} else None


def _columns(systems: Sequence[System]) -> list[_Column]:
    names: dict[str, dict[str, None]] = {}
    for system in systems:
        for dataset, split in system.results:
            names.setdefault(split, {})[dataset] = None
    return [
        _Column(name, split, tuple(parts))
        for split, datasets in names.items()
        for name, parts in whole_datasets(datasets).items()
    ]


def _groups(
    systems: Sequence[System], base: System, columns: Sequence[_Column]
) -> dict[tuple[Domain | None, tuple[_Column, ...]], list[System]]:
    """Choose the averages over at least two of `columns`, with the systems of each, including the baseline.

    A system that was trained, or whose baseline was, has an in-domain and an out-of-domain average. Systems of unknown
    training appear next to each of them; without other systems, there is one average.
    """
    groups: dict[tuple[Domain | None, tuple[_Column, ...]], set[str]] = {}
    unknown = {base.label}
    for system in systems:
        domains = {column: column.domain(system, base) for column in columns}
        if system is base or not any(domains.values()):
            unknown.add(system.label)
            continue
        for domain in DOMAINS:
            of = tuple(column for column in columns if (domains[column] or "out-of-domain") == domain)
            if len(of) > 1:
                groups.setdefault((domain, of), set()).add(system.label)
    if not groups and len(columns) > 1 and len(unknown) == len(systems):
        groups[None, tuple(columns)] = set()
    return {
        group: [system for system in systems if system.label in members | unknown] for group, members in groups.items()
    }


def _rows(
    systems: Sequence[System], base: System, columns: Sequence[_Column], domain: Domain | None, method: Method
) -> Iterator[Row]:
    """Make a row for each model with results on all `columns`; `domain` None is that of a single column."""
    one = columns[0] if len(columns) == 1 else None
    over = tuple(column.dataset for column in columns)
    theirs = [column.of(base) for column in columns]
    for system in systems:
        ours = [column.of(system) for column in columns]
        if not all(ours):
            continue
        means = _means(ours, method.measure)
        row = Row(
            None if one is None else one.dataset,
            None if one is None else one.split,
            system.label,
            base.label,
            domain if one is None else one.domain(system, base),
            over,
            float(means.mean()),
            float(means.std(ddof=1)) if len(means) > 1 else None,
            len(means),
        )
        if system is not base and all(theirs):
            found = [
                [sides(_scores(a), _scores(b), method.measure) for a, b in zip(*parts, strict=True)]
                for parts in zip(ours, theirs, strict=True)
            ]
            pooled = np.concatenate([a.mean(axis=0) - b.mean(axis=0) for parts in found for a, b in parts])
            against = compare_sides(found, method.measure, method.seed, method.test, method.margin)
            row = replace(row, against=against, differences=pooled)
        yield row


def _means(results: Sequence[Sequence[Sequence[Result]]], measure: str) -> Doubles:
    """Return the mean over datasets, parts and queries for each seed; one mean if numbers of seeds differ."""
    flat = [result for parts in results for seeds in parts for result in seeds]
    for result in flat:
        if measure not in result.metrics:
            raise UserError(f"{result.path}: has no metric {measure!r}, only {', '.join(result.metrics)}")
    seeds = {len(found) for parts in results for found in parts}
    values = [[np.array([result.metrics[measure] for result in found]) for found in parts] for parts in results]
    if len(seeds) > 1:
        values = [[found.mean(keepdims=True) for found in parts] for parts in values]
    return np.asarray(np.mean([np.mean(parts, axis=0) for parts in values], axis=0), dtype=np.float64)


def _scores(seeds: Sequence[Result]) -> list[Path]:
    return [result.scores for result in seeds]


def corrected(rows: Sequence[Row], correction: str) -> list[Row]:
    """Return `rows` with the p-values of their comparisons corrected as one family."""
    tested = [row.against for row in rows if row.against is not None]
    correct = CORRECTIONS[correction]
    across = iter(correct([one.across_seeds.p_value for one in tested if one.across_seeds is not None]))
    adjusted = iter(
        Adjusted(p_value, p_equivalent, None if one.across_seeds is None else next(across))
        for one, p_value, p_equivalent in zip(
            tested,
            correct([one.p_value for one in tested]),
            correct([one.p_equivalent for one in tested]),
            strict=True,
        )
    )
    return [row if row.against is None else replace(row, adjusted=next(adjusted)) for row in rows]


def _named(source: str) -> tuple[str | None, Path]:
    name, folder = parse_label(source)
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder; give a folder with results of `ragcun eval`")
    return name, Path(folder)
