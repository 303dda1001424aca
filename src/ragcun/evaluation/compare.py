"""Comparison of two retrievers by paired tests on the scores of each query.

The methods in `statistics` and `seeds` state their sources. Cohen's d of paired differences, d_z, is from Lakens
(Frontiers in Psychology, 2013).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ragcun.errors import UserError
from ragcun.evaluation import statistics
from ragcun.evaluation.results import check_part
from ragcun.evaluation.seeds import Spread, of_seeds, spread
from ragcun.evaluation.statistics import Doubles

Sides = tuple[Doubles, Doubles]  # scores of the same n queries: (seeds of a, n) and (seeds of b, n)

MARGIN = 0.005


@dataclass(frozen=True)
class AcrossSeeds:
    """The 95 percent interval and p-value if seeds are a random sample, too, so that they also hold for other seeds."""

    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """The paired comparison of `a` with `b` on one dataset or over several.

    Attributes:
        measure: the measure, 0 to 1.
        difference: the mean of a - b; over several datasets, the mean of their means.
        low, high: the ends of the 95 percent bootstrap interval over queries.
        p_value: the two-sided p-value of the paired test over queries, for these seeds.
        effect: d_z, the mean divided by the standard deviation of a - b; None over several datasets or parts, or if the
            standard deviation is 0.
        wins, ties, losses: the numbers of queries on which a is better, equal and worse.
        margin: the largest difference that counts as equivalent, 0 to 1.
        p_equivalent: the p-value of two one-sided tests that the difference is within the margin, also for other seeds.
        power: the probability that these queries show a difference of `margin`; None if it is unknown.
        queries_needed: the number of queries for a power of 80 percent; None if it is unknown.
        across_seeds: the inference across seeds; None if no side has several seeds.
    """

    measure: str
    difference: float
    low: float
    high: float
    p_value: float
    effect: float | None
    wins: int
    ties: int
    losses: int
    margin: float
    p_equivalent: float
    power: float | None
    queries_needed: int | None
    across_seeds: AcrossSeeds | None


def compare(a: Path, b: Path, measure: str = "nDCG@10", seed: int = 0) -> Comparison:
    """Compare two files of per-query scores (`scores.parquet`) on the same queries.

    Raises:
        UserError: a file lacks the measure, or the files' queries differ.
    """
    return compare_sides([[sides([a], [b], measure)]], measure, seed)


def compare_queries(
    differences: Sequence[Sequence[Doubles]],
    measure: str,
    seed: int = 0,
    test: str = "randomisation",
    margin: float = MARGIN,
) -> Comparison:
    """As `compare_sides`, for differences a - b, (n,), of models with one seed each."""
    alone = [[(one[None], np.zeros((1, len(one)))) for one in parts] for parts in differences]
    return compare_sides(alone, measure, seed, test, margin)


def compare_sides(
    scores: Sequence[Sequence[Sides]],
    measure: str,
    seed: int = 0,
    test: str = "randomisation",
    margin: float = MARGIN,
) -> Comparison:
    """Compare the scores of queries on datasets, each of which has one or more parts.

    All datasets have the same weight, and all parts of a dataset, independent of their numbers of queries. Queries are
    swapped and resampled within their part. The tests use each query's mean over the seeds.

    Args:
        scores: for each dataset and part, the scores of both sides.
        measure: the measure of the scores.
        seed: the seed of the randomisation and the bootstrap.
        test: the test, "randomisation" or "wilcoxon".
        margin: the largest difference that counts as equivalent.
    """
    weighed = _weighed(scores)
    strata = _differences(weighed)
    rng = np.random.default_rng(seed)
    pooled = np.concatenate([values for values, _ in strata])
    difference = statistics.mean(strata)
    p_value = statistics.TESTS[test](strata, rng) if pooled.any() else 1.0
    low, high = statistics.interval(strata, rng)
    across = spread_of(scores)
    power, needed = statistics.power(strata, margin)
    deviation = float(pooled.std(ddof=1)) if len(strata) == 1 and len(pooled) > 1 else 0.0
    return Comparison(
        measure,
        difference,
        low,
        high,
        p_value,
        effect=difference / deviation if deviation > 1e-12 * abs(difference) else None,
        wins=int((pooled > 0).sum()),
        ties=int((pooled == 0).sum()),
        losses=int((pooled < 0).sum()),
        margin=margin,
        p_equivalent=across.p_equivalent(margin),
        power=power,
        queries_needed=needed,
        across_seeds=AcrossSeeds(*across.interval(), across.p_value()) if _several(weighed) else None,
    )


def spread_of(scores: Sequence[Sequence[Sides]]) -> Spread:
    """Return the mean difference of `compare_sides` and its distribution over queries and, if several, seeds."""
    weighed = _weighed(scores)
    several = [[(pair[side], share) for pair, share in weighed] for side in _several(weighed)]
    return spread(_differences(weighed), [of_seeds(one) for one in several])


def _weighed(scores: Sequence[Sequence[Sides]]) -> list[tuple[Sides, float]]:
    return [(pair, 1 / (len(scores) * len(parts))) for parts in scores for pair in parts]


def _differences(weighed: Sequence[tuple[Sides, float]]) -> list[tuple[Doubles, float]]:
    return [(a.mean(axis=0) - b.mean(axis=0), share) for (a, b), share in weighed]


def _several(weighed: Sequence[tuple[Sides, float]]) -> list[int]:
    """List the sides, 0 and 1, that have several seeds."""
    return [side for side in (0, 1) if _seeds(weighed, side) > 1]


def _seeds(weighed: Sequence[tuple[Sides, float]], side: int) -> int:
    """Return a side's number of seeds; 1, for their mean, if the parts have different numbers."""
    counts = {len(pair[side]) for pair, _ in weighed}
    return counts.pop() if len(counts) == 1 else 1


def sides(a: Sequence[Path], b: Sequence[Path], measure: str) -> Sides:
    """Read the scores of each query, sorted by query id, of both sides, which have a file for each seed.

    Raises:
        UserError: a file lacks the measure, or the files' queries differ.
    """
    read = [[query_scores(path, measure) for path in paths] for paths in (a, b)]
    queries = sorted(read[0][0])
    for path, values in zip([*a, *b], read[0] + read[1], strict=True):
        if sorted(values) != queries:
            raise UserError(f"{a[0]} and {path} have different queries; compare runs of the same split")
    of_a, of_b = (np.array([[values[query] for query in queries] for values in side]) for side in read)
    return of_a, of_b


def query_scores(path: Path, measure: str) -> dict[str, float]:
    """Read the score of each query, by its id. Raises as `sides` does."""
    check_part(path)
    table = pq.read_table(path)
    if measure not in table.column_names:
        raise UserError(f"{path}: has no metric {measure!r}, only {', '.join(table.column_names[1:])}")
    return dict(zip(table["query_id"].to_pylist(), table[measure].to_pylist(), strict=True))
