"""Is one retriever better than another? Paired tests on the scores of each query.

Sources stand at each method in `statistics` and `seeds`; Cohen's d of paired differences, d_z, is Lakens' (Frontiers in
Psychology, 2013).
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
    """Inference that also holds for other seeds, which are treated as a sample like queries: 95 percent interval and
    p-value."""

    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """`a` against `b`, query by query, on one dataset or over several.

    Attributes:
        measure: the measure, 0 to 1.
        difference: mean of a - b; over several datasets the mean of their means.
        low, high: ends of its 95 percent bootstrap interval, over queries.
        p_value: two-sided, of the paired test over queries, for these seeds.
        effect: d_z, the mean over the standard deviation of a - b; None over several datasets or parts, or without
            deviation.
        wins, ties, losses: queries on which a is better, equal, worse.
        margin: the difference that matters, 0 to 1.
        p_equivalent: of the test that the difference is within the margin (two one-sided tests), for other seeds too.
        power: the chance that these queries show a difference of `margin`; None where it is unknown.
        queries_needed: the queries that would show it in 80 percent of cases; None where it is unknown.
        across_seeds: None where no side has several seeds.
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
    """`compare_sides` of differences a - b, (n,), of models with one seed each."""
    alone = [[(one[None], np.zeros((1, len(one)))) for one in parts] for parts in differences]
    return compare_sides(alone, measure, seed, test, margin)


def compare_sides(
    scores: Sequence[Sequence[Sides]],
    measure: str,
    seed: int = 0,
    test: str = "randomisation",
    margin: float = MARGIN,
) -> Comparison:
    """Test the scores of queries: a sequence of datasets, each a sequence of its parts, mostly one.

    Each dataset weighs the same, and each part of a dataset, however many queries they have. Queries are swapped, and
    drawn again for the interval, within their part. What is tested is each query's mean over the seeds.

    Args:
        scores: of each part the scores of both sides.
        measure: what they are.
        seed: of the randomisation and the bootstrap.
        test: "randomisation" or "wilcoxon".
        margin: the difference that matters.
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
    """The mean difference of `compare_sides` and its distribution, where queries are a sample, and seeds if several."""
    weighed = _weighed(scores)
    several = [[(pair[side], share) for pair, share in weighed] for side in _several(weighed)]
    return spread(_differences(weighed), [of_seeds(one) for one in several])


def _weighed(scores: Sequence[Sequence[Sides]]) -> list[tuple[Sides, float]]:
    return [(pair, 1 / (len(scores) * len(parts))) for parts in scores for pair in parts]


def _differences(weighed: Sequence[tuple[Sides, float]]) -> list[tuple[Doubles, float]]:
    return [(a.mean(axis=0) - b.mean(axis=0), share) for (a, b), share in weighed]


def _several(weighed: Sequence[tuple[Sides, float]]) -> list[int]:
    """The sides, 0 and 1, that have several seeds."""
    return [side for side in (0, 1) if _seeds(weighed, side) > 1]


def _seeds(weighed: Sequence[tuple[Sides, float]], side: int) -> int:
    """How many seeds a side has; 1, their mean's, where its parts have other numbers of them."""
    counts = {len(pair[side]) for pair, _ in weighed}
    return counts.pop() if len(counts) == 1 else 1


def sides(a: Sequence[Path], b: Sequence[Path], measure: str) -> Sides:
    """The scores of each query, by query id, of both sides; each side has a file for each of its seeds.

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
    """The score of each query, by its id. Raises as `sides` does."""
    check_part(path)
    table = pq.read_table(path)
    if measure not in table.column_names:
        raise UserError(f"{path}: has no metric {measure!r}, only {', '.join(table.column_names[1:])}")
    return dict(zip(table["query_id"].to_pylist(), table[measure].to_pylist(), strict=True))
