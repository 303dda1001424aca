"""Scores of a model for its card, with intervals, and next to the scores of its base if this was evaluated."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ragcun.embedding.origin import Origin
from ragcun.embedding.resolve import ResolvedModel, parse_label
from ragcun.errors import UserError
from ragcun.evaluation import statistics
from ragcun.evaluation.compare import sides
from ragcun.evaluation.results import Result, read_results
from ragcun.evaluation.systems import Row, System, compare_systems, read_systems
from ragcun.files import expanded
from ragcun.model.card import CardScore

MEASURE = "nDCG@10"


def card_scores(sources: Sequence[str], model: ResolvedModel, origin: Origin, must: bool) -> list[CardScore]:
    """Return the scores of `model` on single datasets among the results of `sources` (see `read_systems`).

    Raises `UserError` if there are none and `must` is true, and in the cases of `read_systems`.
    """
    if not must and not any(read_results(Path(source)) for source in sources):
        return []
    systems = read_systems(sources)
    ours = next((one for one in systems if _is(one, model)), None)
    if ours is None:
        if not must:
            return []
        labels = ", ".join(system.label for system in systems)
        raise UserError(f"{', '.join(sources)}: has no results of {model.label!r}, only of {labels}")
    base = next((one for one in systems if one.label == origin.name.rpartition("/")[2]), None)
    compared = compare_systems([ours] if base is None else [base, ours])
    single = [row for row in compared if row.dataset is not None]
    theirs = {(row.dataset, row.split): row for row in single if base is not None and row.label == base.label}
    return [_score(row, ours, theirs.get((row.dataset, row.split))) for row in single if row.label == ours.label]


def _is(system: System, model: ResolvedModel) -> bool:
    results = [result for seeds in system.results.values() for result in seeds]
    return system.label == model.label or any(_path(result) in {model.path, model.path.parent} for result in results)


def _path(result: Result) -> Path:
    return expanded(parse_label(result.model)[1]).resolve()


def _score(row: Row, system: System, base: Row | None) -> CardScore:
    parts = [seeds for (dataset, split), seeds in system.results.items() if split == row.split and _of(dataset, row)]
    strata = []
    for seeds in parts:
        scores, _ = sides([seed.scores for seed in seeds], [seeds[0].scores], MEASURE)
        strata.append((scores.mean(axis=0), 1 / len(parts)))
    low, high = statistics.interval(strata, np.random.default_rng(0))
    against, adjusted = row.against, row.adjusted
    return CardScore(
        str(row.dataset),
        str(row.split),
        MEASURE,
        row.score,
        max(low, 0.0),
        high,
        sum(len(values) for values, _ in strata),
        row.domain,
        row.seeds,
        row.deviation,
        None if base is None else base.score,
        None if against is None else (against.difference, against.low, against.high),
        None if adjusted is None else adjusted.p_value,
    )


def _of(dataset: str, row: Row) -> bool:
    return dataset == row.dataset or dataset.startswith(f"{row.dataset}-")
