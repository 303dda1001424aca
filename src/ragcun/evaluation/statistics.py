"""The tests and intervals of comparisons, computed from the differences of queries.

A sample is a sequence of strata. A stratum has the differences of a dataset's (or part's) queries, (n,), and its
weight. The statistic is the weighted mean of the strata's means.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ragcun.slices import slices

Doubles = npt.NDArray[np.float64]
Strata = Sequence[tuple[Doubles, float]]

RESAMPLES = 9_999
_AT_ONCE = 2**20  # random numbers that are drawn at a time


def mean(strata: Strata) -> float:
    """Return the weighted mean of the strata's means."""
    return float(sum(share * values.mean() for values, share in strata))


def variance(strata: Strata) -> tuple[float, float]:
    """Return the variance of `mean` and its degrees of freedom (Welch 1947, Satterthwaite 1946).

    Both are NaN if a stratum has only one query, so that its variance is unknown.
    """
    if any(len(values) < 2 for values, _ in strata):
        return math.nan, math.nan
    parts = np.array([share**2 * values.var(ddof=1) / len(values) for values, share in strata])
    freedom = np.array([len(values) - 1 for values, _ in strata])
    total = float(parts.sum())
    return total, total**2 / float((parts**2 / freedom).sum()) if total > 0 else float(freedom.sum())


def interval(strata: Strata, rng: np.random.Generator, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Return the 95 percent interval of `mean` by the symmetric studentised bootstrap (Hall, Ann. Statist., 1988).

    Queries are resampled within their stratum. The ends are within [-1, 1], as differences of measures are; they are -1
    and 1 if too few queries differ for an interval.
    """
    centre = mean(strata)
    spread, _ = variance(strata)
    if math.isnan(spread):
        return -1.0, 1.0
    moved, drawn = np.zeros(resamples), np.zeros(resamples)
    for values, share in strata:
        means, variances = _resampled(values - values.mean(), rng, resamples)
        moved += share * means
        drawn += share**2 * variances / len(values)
    far = np.where(np.abs(moved) > 1e-12, np.inf, 0.0)
    np.divide(np.abs(moved), np.sqrt(drawn), out=far, where=drawn > 0)
    width = float(np.quantile(far, 0.95, method="higher"))
    half = width * math.sqrt(spread) if spread > 0 else 0.0
    return max(-1.0, centre - half), min(1.0, centre + half)


def randomisation(strata: Strata, rng: np.random.Generator) -> float:
    """Return the two-sided p-value of the paired randomisation test (Smucker, Allan and Carterette, CIKM 2007).

    The statistic is `mean`, for 9,999 random swaps of the two sides within queries, or all swaps if there are fewer.
    """
    return _share_of_signs(np.concatenate([values * (share / len(values)) for values, share in strata]), rng)


def wilcoxon(strata: Strata, _: np.random.Generator) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test on queries, or on the means of several strata.

    With several datasets, their means are the sample, as Demšar (JMLR 2006) recommends.
    """
    from scipy import stats

    values = strata[0][0] if len(strata) == 1 else np.array([one.mean() for one, _ in strata])
    return float(stats.wilcoxon(values).pvalue) if values.any() else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of a family of tests, to control the probability of any false rejection.

    Holm, Scandinavian Journal of Statistics, 1979.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of a family of tests, to control the expected share of false discoveries.

    Benjamini and Hochberg, Journal of the Royal Statistical Society B, 1995.
    """
    from scipy import stats

    return list(map(float, stats.false_discovery_control(p_values))) if p_values else []


TESTS: dict[str, Callable[[Strata, np.random.Generator], float]] = {
    "randomisation": randomisation,
    "wilcoxon": wilcoxon,
}
CORRECTIONS: dict[str, Callable[[Sequence[float]], list[float]]] = {"holm": holm, "bh": benjamini_hochberg}


def power(strata: Strata, margin: float) -> tuple[float | None, int | None]:
    """Estimate the power to detect a true difference of `margin`, with the observed standard deviations.

    Returns:
        The power of the two-sided t-test at 5 percent, and the number of queries for a power of 80 percent (Cohen
        1988), if all strata grow in proportion; None if the variance is unknown.
    """
    from scipy import stats

    spread, freedom = variance(strata)
    if math.isnan(spread):
        return None, None
    queries = sum(len(values) for values, _ in strata)
    if spread == 0:
        return 1.0, queries
    needed = queries * spread * ((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) / margin) ** 2
    return power_of_t(margin / math.sqrt(spread), freedom), math.ceil(needed)


def power_of_t(distance: float, freedom: float) -> float:
    """Return the power of the two-sided t-test at 5 percent for a difference of `distance` standard errors."""
    from scipy import stats

    critical = float(stats.t.ppf(0.975, freedom))
    shift = min(distance, 30.0)  # above 30, the power is 1 to the last digit
    above, below = stats.nct.sf(critical, freedom, shift), stats.nct.cdf(-critical, freedom, shift)
    # SciPy returns NaN far in the tails, where the lower tail is empty and the upper one nearly normal
    return float((stats.norm.sf(critical - shift) if math.isnan(above) else above) + np.nan_to_num(below))


def _share_of_signs(values: Doubles, rng: np.random.Generator) -> float:
    """Return the share of patterns of signs, all or random ones, whose sum is at least as far from 0."""
    every = len(values) < math.log2(RESAMPLES)
    patterns, width = 2 ** len(values) if every else RESAMPLES, -(-len(values) // 8)
    found = abs(values.sum()) * (1 - 1e-12)  # tolerates rounding differences between equal sums
    extreme = 0
    for part in slices(patterns, _rows_at_once(8 * width)):
        if every:
            packed = np.arange(part.start, part.stop, dtype="<u4").view(np.uint8).reshape(-1, 4)[:, :width]
        else:
            packed = np.frombuffer(rng.bytes((part.stop - part.start) * width), np.uint8).reshape(-1, width)
        kept_BN = np.unpackbits(packed, axis=1, count=len(values), bitorder="little")
        sums_B = 2 * (kept_BN @ values) - values.sum()
        extreme += int((np.abs(sums_B) >= found).sum())
    return extreme / patterns if every else (extreme + 1) / (patterns + 1)


def _resampled(centred: Doubles, rng: np.random.Generator, resamples: int) -> tuple[Doubles, Doubles]:
    """Return the means and variances of bootstrap samples of values with mean 0."""
    count = len(centred)
    means, squares = np.empty(resamples), np.empty(resamples)
    for part in slices(resamples, _rows_at_once(count)):
        drawn_BN = centred[rng.integers(count, size=(part.stop - part.start, count), dtype=np.int32)]
        means[part] = drawn_BN.mean(axis=1)
        squares[part] = np.einsum("bn,bn->b", drawn_BN, drawn_BN)
    return means, np.maximum(squares - count * means**2, 0) / (count - 1)


def _rows_at_once(width: int) -> int:
    return max(1, _AT_ONCE // width)
