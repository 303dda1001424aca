"""The paired tests and intervals: exact where that can be counted, and as often right as they say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from ragcun.errors import UserError
from ragcun.evaluation.compare import compare, compare_queries, compare_sides
from ragcun.evaluation.seeds import of_seeds, spread
from ragcun.evaluation.statistics import Doubles, benjamini_hochberg, interval, power, wilcoxon

M = "nDCG@10"


def scores(path: Path, values: list[float], first: int = 0) -> Path:
    queries = [f"q{first + i}" for i in range(len(values))]
    pq.write_table(pa.table({"query_id": queries, M: values}), path)
    return path


def test_p_value_of_all_wins_is_the_share_of_sign_patterns(tmp_path: Path) -> None:
    a, b = scores(tmp_path / "a", [0.5] * 6), scores(tmp_path / "b", [0.25] * 6)

    found = compare(a, b)

    assert found.p_value == pytest.approx(2 / 2**6), "two of 64 equally likely patterns are as extreme"
    assert found.difference == found.low == found.high == pytest.approx(0.25)
    assert (found.wins, found.ties, found.losses) == (6, 0, 0)


def test_swapping_the_retrievers_swaps_signs_only(tmp_path: Path) -> None:
    a = scores(tmp_path / "a", [0.1, 0.9, 0.4, 0.7, 0.3, 0.8])
    b = scores(tmp_path / "b", [0.2, 0.5, 0.4, 0.1, 0.6, 0.1])

    one, other = compare(a, b), compare(b, a)

    assert one.difference == pytest.approx(-other.difference)
    assert one.p_value == pytest.approx(other.p_value)
    assert one.p_equivalent == pytest.approx(other.p_equivalent)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins) == (3, 1, 2)
    assert one.low < one.difference < one.high


def test_equal_scores_differ_in_nothing_and_are_equivalent(tmp_path: Path) -> None:
    found = compare(scores(tmp_path / "a", [0.1, 0.2]), scores(tmp_path / "b", [0.1, 0.2]))

    assert (found.difference, found.low, found.high, found.p_value, found.ties) == (0.0, 0.0, 0.0, 1.0, 2)
    assert found.p_equivalent == 0.0


def test_other_queries_or_measures_are_refused(tmp_path: Path) -> None:
    a, b = scores(tmp_path / "a", [0.1, 0.2]), scores(tmp_path / "b", [0.1, 0.2], first=1)
    with pytest.raises(UserError, match="different queries"):
        compare(a, b)
    with pytest.raises(UserError, match=r"has no metric 'MRR@10', only nDCG@10"):
        compare(a, a, "MRR@10")


def _of_ranks(rng: np.random.Generator, n: int) -> Doubles:
    """One relevant document a query: nDCG@10 is 1 / log2(rank + 1), and 0 beyond rank 10."""
    hard = rng.normal(1.2, 1.2, n)
    a, b = (np.ceil(np.exp(hard + shift + rng.normal(0, 0.6, n))) for shift in (0.0, 0.1))
    return np.where(a <= 10, 1 / np.log2(a + 1), 0) - np.where(b <= 10, 1 / np.log2(b + 1), 0)


def _skewed(rng: np.random.Generator, n: int) -> Doubles:
    """A quarter of the queries gain much, a quarter lose a little, the others tie."""
    kind = rng.random(n)
    gained, lost = 1 / np.log2(rng.integers(2, 9, n)), -0.1 * rng.random(n)
    return np.where(kind < 0.25, gained, np.where(kind < 0.5, lost, 0.0))


@pytest.mark.parametrize("queries", [10, 30, 50])
@pytest.mark.parametrize("drawn", [_of_ranks, _skewed, lambda rng, n: rng.normal(0.02, 0.2, n)])
def test_intervals_cover_the_truth_as_often_as_they_say(
    drawn: Callable[[np.random.Generator, int], Doubles], queries: int
) -> None:
    rng, repeats = np.random.default_rng(0), 800
    truth = float(drawn(rng, 500_000).mean())
    found = [interval([(drawn(rng, queries), 1.0)], rng, resamples=399) for _ in range(repeats)]
    covered = float(np.mean([low <= truth <= high for low, high in found]))
    assert 0.93 <= covered <= 0.985
    assert np.mean([high - low for low, high in found]) < 2, "an interval that is always everything says nothing"


def test_an_interval_over_strata_covers_too_and_one_query_leaves_all_open() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        strata = [(rng.normal(0.1, 0.3, 12), 0.5), (rng.normal(-0.1, 0.1, 40), 0.5)]
        low, high = interval(strata, rng, resamples=399)
        covered += low <= 0 <= high
    assert 0.92 <= covered / 400 <= 0.985
    assert interval([(np.array([0.3]), 0.5), (rng.normal(size=20), 0.5)], rng) == (-1.0, 1.0)
    assert compare_queries([[np.array([0.3])]], M).power is None


def _rejections(seeds: int, seed_deviation: float, queries: int, repeats: int = 250) -> tuple[float, float]:
    """How often a true null hypothesis is rejected at 5 percent: taking the seeds as given, and as a sample."""
    rng = np.random.default_rng(2)
    given = sample = 0
    for _ in range(repeats):
        moved = seed_deviation * rng.normal(size=(seeds, 1)) + 0.1 * rng.normal(size=queries)
        a = moved + 0.1 * rng.normal(size=(seeds, queries))
        strata = [(a.mean(axis=0), 1.0)]
        given += spread(strata).p_value() < 0.05
        sample += spread(strata, [of_seeds([(a, 1.0)])]).p_value() < 0.05
    return given / repeats, sample / repeats


def test_other_seeds_would_not_say_otherwise_more_often_than_in_5_percent() -> None:
    given, sample = _rejections(seeds=3, seed_deviation=0.01, queries=700)
    assert given > 0.15, "what is guarded against"
    assert sample <= 0.06
    given, sample = _rejections(seeds=3, seed_deviation=0.0, queries=100)
    assert given <= 0.09
    assert 0 < sample <= 0.06
    assert 0 < _rejections(seeds=5, seed_deviation=0.03, queries=100)[1] <= 0.07


def test_seeds_count_on_either_side_and_over_datasets_and_their_order_does_not() -> None:
    rng = np.random.default_rng(3)
    a, b = (0.02 * rng.normal(size=(count, 1)) + rng.random((count, 60)) for count in (3, 4))

    both, turned = compare_sides([[(a, b)]], M).across_seeds, compare_sides([[(a[::-1], b)]], M).across_seeds
    assert both is not None and turned is not None
    assert turned.p_value == pytest.approx(both.p_value)
    assert compare_sides([[(a, b[:1])]], M).across_seeds is not None
    assert compare_sides([[(a[:1], b[:1])]], M).across_seeds is None
    found, other = compare_sides([[(a, b)], [(a / 2, b / 2)]], M), compare_sides([[(b, a)], [(b / 2, a / 2)]], M)
    assert found.across_seeds is not None and other.across_seeds is not None
    assert found.across_seeds.low < found.difference < found.across_seeds.high
    assert found.across_seeds.p_value == pytest.approx(other.across_seeds.p_value)


def test_without_seeds_the_spread_is_students_t() -> None:
    values = np.random.default_rng(4).normal(0.05, 0.2, 15)
    found, expected = spread([(values, 1.0)]), stats.ttest_1samp(values, 0)
    assert found.p_value() == pytest.approx(expected.pvalue, rel=1e-3)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval()), abs=2e-3)
    sided = max(
        stats.ttest_1samp(values, 0.1, alternative="less").pvalue,
        stats.ttest_1samp(values, -0.1, alternative="greater").pvalue,
    )
    assert found.p_equivalent(0.1) == pytest.approx(sided, rel=1e-3)


def test_equivalence_is_shown_by_data_and_not_by_their_lack() -> None:
    rng = np.random.default_rng(5)
    many, few = rng.normal(0, 0.05, 2_000), rng.normal(0, 0.05, 20)
    assert compare_queries([[many]], M).p_equivalent < 0.01
    assert compare_queries([[few]], M).p_equivalent > 0.05
    assert compare_queries([[many + 0.02]], M).p_equivalent > 0.95
    rejected = [spread([(rng.normal(0.005, 0.1, 50), 1.0)]).p_equivalent(0.005) < 0.05 for _ in range(300)]
    assert np.mean(rejected) <= 0.07, "at the margin itself, equivalence is found in 5 percent at most"


def test_power_is_that_of_simulated_tests() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(0, 0.1, 80)
    values *= 0.1 / values.std(ddof=1)
    expected, needed = power([(values, 1.0)], 0.03)
    simulated = stats.ttest_1samp(rng.normal(0.03, 0.1, (4_000, 80)), 0, axis=1).pvalue < 0.05
    assert expected == pytest.approx(simulated.mean(), abs=0.03)
    assert needed is not None
    enough = rng.normal(0, 0.1, needed)
    assert power([(enough * 0.1 / enough.std(ddof=1), 1.0)], 0.03)[0] == pytest.approx(0.8, abs=0.02)
    assert power([(values, 1.0)], 0.5) == (1.0, 1)


def test_power_is_a_number_where_the_noncentral_t_has_none() -> None:
    rng = np.random.default_rng(8)
    for size, deviation in ((500, 0.004), (1_190, 0.02), (5_000, 0.001), (12, 1e-5)):
        found, _ = power([(rng.normal(0, deviation, size), 1.0)], 0.005)
        assert found == pytest.approx(1.0, abs=1e-9)


def test_wilcoxon_is_over_queries_or_over_datasets() -> None:
    rng = np.random.default_rng(7)
    values = rng.normal(0.1, 0.2, 30)
    assert wilcoxon([(values, 1.0)], rng) == stats.wilcoxon(values).pvalue
    assert compare_queries([[values]], M, test="wilcoxon").p_value == stats.wilcoxon(values).pvalue
    datasets = [[np.full(5, gain)] for gain in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]
    assert compare_queries(datasets, M, test="wilcoxon").p_value == pytest.approx(2 / 2**6)


def test_benjamini_hochberg_by_hand() -> None:
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert benjamini_hochberg([]) == []
