"""Models side by side: each against baselines on every dataset and over them, the seeds of one model as one.

Averages never mix datasets that a model was trained on with others: those are two groups, as its results say.
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

_SEED = re.compile(r"[\s,/_-]*(?<![^\W_])seed[\s=_-]*\d+(?=$| \()")  # a note in brackets may follow

LEVEL = 0.05


@dataclass(frozen=True)
class System:
    """A model: `results` has those of each of its seeds, by dataset and split."""

    label: str
    results: dict[tuple[str, str], list[Result]]


@dataclass(frozen=True)
class Method:
    """How models are compared.

    Attributes:
        measure: the measure.
        test: "randomisation" or "wilcoxon", over queries.
        correction: "holm" or "bh", of all p-values of a family.
        margin: the difference that matters, 0 to 1: within it, models are equivalent.
        seed: of the randomisation and the bootstrap.
    """

    measure: str = "nDCG@10"
    test: str = "randomisation"
    correction: str = "holm"
    margin: float = MARGIN
    seed: int = 0


@dataclass(frozen=True)
class Adjusted:
    """The p-values of a comparison, corrected for all that were made: of the test, across seeds, of equivalence."""

    p_value: float
    p_equivalent: float
    p_across_seeds: float | None


@dataclass(frozen=True)
class Row:
    """A model on a dataset, or over several (`dataset` and `split` None), beside a baseline.

    Attributes:
        baseline: the label of the model that it is compared with; its own for the baseline itself.
        domain: "in-domain" where the model or the baseline was trained on the dataset, "out-of-domain" where neither
            was; None where nothing is known of either.
        over: the datasets of the mean.
        score: the measure's mean, 0 to 1, over `seeds` seeds.
        deviation: the sample's standard deviation over them; None for one.
        against: the comparison with the baseline; None for the baseline itself.
        adjusted: its corrected p-values: single datasets are one family, means over several another.
        differences: (queries,) what was tested: this model less the baseline, each the mean over seeds.
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
        """What is shown at 5 percent: "equivalent within ..." points, "different", or "undecided".

        A difference that is shown but within the margin is "equivalent". With several seeds it has to hold across them.
        """
        if self.against is None or self.adjusted is None:
            return None
        if self.adjusted.p_equivalent < LEVEL:
            return f"equivalent within {100 * self.against.margin:g}"
        across = self.adjusted.p_across_seeds
        return "different" if (self.adjusted.p_value if across is None else across) < LEVEL else "undecided"

    def to_json(self) -> dict[str, Any]:
        """Everything but the single differences."""
        return {name: value for name, value in asdict(self).items() if name != "differences"} | {
            "verdict": self.verdict
        }


def without_seed(label: str) -> str:
    """A label without the seed at its end."""
    return _SEED.sub("", label) or label


def read_systems(sources: Sequence[str], optional: bool = False) -> list[System]:
    """Read the results below each folder; NAME=FOLDER gives all that are below it one name.

    A folder without results is refused unless they are `optional`.

    Results of one model are its seeds: those that were given one name, and those whose labels end in different seeds
    ("seed 1", "-seed=2").

    Raises:
        UserError: there is no such folder or no result below it, or two different results have one label and no seed.
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
    """Compare each model with each baseline: dataset by dataset, then over those that all have.

    `baselines` None is the first model. P-values are corrected over all baselines: those on single datasets as one
    family, those over several as another.

    Raises:
        UserError: no such baseline or measure, or two models have other queries on a dataset.
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
    """A dataset and split of the table; CQADupStack, say, is several collections."""

    dataset: str
    split: str
    parts: tuple[str, ...]

    def of(self, system: System) -> list[list[Result]]:
        """The results of a system, one for each of its seeds, for each part; none where a part is missing."""
        found = [system.results.get((part, self.split), []) for part in self.parts]
        return found if all(found) else []

    def domain(self, *systems: System) -> Domain | None:
        """Whether one of `systems` was trained on the dataset; None where nothing is known of any."""
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
    """The averages over `columns`, two or more at a time, and the systems that each is of, the baseline among them.

    A system that was trained, or whose baseline was, has an average in-domain and one out-of-domain. Those of which
    nothing is known stand beside each; where there are no others, there is one average.
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
    """A row for each of the models that have results on all `columns`; `domain` None is that of a single one."""
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
    """The mean over datasets, their parts and queries for each seed; one, where parts have other numbers of seeds."""
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
    """`rows` with the p-values of their comparisons corrected as one family."""
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
