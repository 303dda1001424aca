"""Models side by side: each against a baseline on every dataset and over them, the seeds of one model as one."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ragcun.console import warn
from ragcun.embedding.resolve import parse_label
from ragcun.errors import UserError
from ragcun.evaluation.compare import Comparison, Doubles, compare_queries, differences, holm
from ragcun.evaluation.results import Result, read_results, whole_datasets

_SEED = re.compile(r"[\s,/_-]*(?<![^\W_])seed[\s=_-]*\d+$")


@dataclass(frozen=True)
class System:
    """A model: `results` has those of each of its seeds, by dataset and split."""

    label: str
    results: dict[tuple[str, str], list[Result]]


@dataclass(frozen=True)
class Row:
    """A model on a dataset, or over all (`dataset` and `split` None).

    Attributes:
        score: the measure's mean, 0 to 1, over `seeds` seeds.
        deviation: the sample's standard deviation over them; None for one.
        against: the comparison with the baseline; None for the baseline itself.
        p_holm: its p-value, corrected for all models and datasets that were compared.
        differences: (queries,) what was tested: this model less the baseline, each the mean over seeds.
    """

    dataset: str | None
    split: str | None
    label: str
    score: float
    deviation: float | None
    seeds: int
    against: Comparison | None = None
    p_holm: float | None = None
    differences: Doubles | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Everything but the single differences."""
        return {name: value for name, value in asdict(self).items() if name != "differences"}


def read_systems(sources: Sequence[str]) -> list[System]:
    """Read the results below each folder; NAME=FOLDER gives all that are below it one name.

    Results of one model are its seeds: those that were given one name, and those whose labels end in different seeds
    ("seed 1", "-seed=2").

    Raises:
        UserError: there is no such folder or no result below it, or two results have one label and no seed.
    """
    found: dict[str, dict[tuple[str, str], list[Result]]] = {}
    for source in sources:
        name, folder = _named(source)
        results = read_results(folder)
        if not results:
            raise UserError(f"{folder}: no result.json below it; run `ragcun eval beir --output {folder}` first")
        for result in results:
            seeds = found.setdefault(name or _SEED.sub("", result.label) or result.label, {})
            runs = seeds.setdefault((result.dataset, result.split), [])
            twice = next((other for other in runs if other.label == result.label), None)
            if twice is None or (name is not None and twice.path.parent != result.path.parent):
                runs.append(result)
            elif twice.path.resolve() != result.path.resolve():
                raise UserError(
                    f"{twice.path} and {result.path} are both of {result.label!r} on {result.dataset}; "
                    "name the folders (NAME=FOLDER), with one name where they are seeds of one model"
                )
    return [System(label, results) for label, results in found.items()]


def compare_systems(
    systems: Sequence[System], baseline: str | None = None, measure: str = "nDCG@10", seed: int = 0
) -> list[Row]:
    """Compare each model with the baseline, the first where None: dataset by dataset, then over those that all have.

    P-values are corrected by Holm's method: those on single datasets as one family, those over all as another.

    Raises:
        UserError: no such baseline or measure, or two models have no dataset or other queries in common.
    """
    known = {system.label: system for system in systems}
    base = known.get(baseline) if baseline is not None else systems[0]
    if base is None:
        raise UserError(f"baseline {baseline!r}: not among the results; they have {', '.join(known)}")
    columns = _columns(systems)
    common = [column for column in columns if all(column.of(system) for system in systems)]
    rows = _corrected([row for column in columns for row in _rows(systems, base, [column], measure, seed)])
    if missing := [column.dataset for column in columns if column not in common]:
        warn(f"not every model has results on {', '.join(missing)}: left out of the average")
    if len(common) > 1:
        rows += _corrected(list(_rows(systems, base, common, measure, seed)))
    return rows


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


def _rows(
    systems: Sequence[System], base: System, columns: Sequence[_Column], measure: str, seed: int
) -> Iterator[Row]:
    """A row for each of the models that have results on all `columns`."""
    dataset, split = (columns[0].dataset, columns[0].split) if len(columns) == 1 else (None, None)
    theirs = [column.of(base) for column in columns]
    for system in systems:
        ours = [column.of(system) for column in columns]
        if not all(ours):
            continue
        means = _means(ours, measure)
        deviation = float(means.std(ddof=1)) if len(means) > 1 else None
        row = Row(dataset, split, system.label, float(means.mean()), deviation, len(means))
        if system is not base and all(theirs):
            found = [
                [differences(_scores(a), _scores(b), measure) for a, b in zip(*parts, strict=True)]
                for parts in zip(ours, theirs, strict=True)
            ]
            pooled = np.concatenate([one for parts in found for one in parts])
            row = replace(row, against=compare_queries(found, measure, seed), differences=pooled)
        yield row


def _means(results: Sequence[Sequence[Sequence[Result]]], measure: str) -> Doubles:
    """The mean over datasets, their parts and queries for each seed; one, where parts have other numbers of seeds."""
    flat = [result for parts in results for seeds in parts for result in seeds]
    for result in flat:
        if measure not in result.metrics:
            raise UserError(f"{result.path}: no measure {measure!r}; it has {', '.join(result.metrics)}")
    seeds = {len(found) for parts in results for found in parts}
    values = [[np.array([result.metrics[measure] for result in found]) for found in parts] for parts in results]
    if len(seeds) > 1:
        values = [[found.mean(keepdims=True) for found in parts] for parts in values]
    return np.asarray(np.mean([np.mean(parts, axis=0) for parts in values], axis=0), dtype=np.float64)


def _scores(seeds: Sequence[Result]) -> list[Path]:
    return [result.scores for result in seeds]


def _corrected(rows: list[Row]) -> list[Row]:
    tested = [row for row in rows if row.against is not None]
    adjusted = iter(holm([row.against.p_value for row in tested if row.against is not None]))
    return [row if row.against is None else replace(row, p_holm=next(adjusted)) for row in rows]


def _named(source: str) -> tuple[str | None, Path]:
    name, folder = parse_label(source)
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder; give a folder with results of `ragcun eval`")
    return name, Path(folder)
