"""Inference on a mean difference where queries, and seeds where there are several, are samples.

With d the difference of seed s on query q, d = mean + seed + query + rest: a two-way layout of random effects. The
variance of the mean is V = Q + A - E: Q that of the mean over queries of the seeds' means, A that of the mean over
seeds, E the rest's share, which both hold. Each estimate is its true value times chi² over its degrees of freedom f, so
dividing it by draws of chi²/f gives V's generalised distribution (Weerahandi, Journal of the American Statistical
Association, 1993; Tsui and Weerahandi, ibid., 1989). Without seeds it is Student's t.

Why not another: with 3 seeds of a deviation of 1 to 3 points, the paired test over queries rejects a true null
hypothesis in 10 to 35 percent of cases, Satterthwaite's t in up to 8, a modified large-sample interval in up to 7, and
this one in 2 to 4, never more than 5 (`tests/evaluation/test_compare.py`). Its price is power: the interval is about a
quarter wider than Satterthwaite's with 3 seeds, and hardly with 5.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from ragcun.evaluation.statistics import Doubles, Strata, mean, variance

_DRAWS = 4_999
# Evenly spaced, so that few draws are exact, and in an order of its own for queries, seeds and the mean.
_QUANTILES = [np.random.default_rng(place).permutation(np.arange(_DRAWS) + 0.5) / _DRAWS for place in range(3)]


@dataclass(frozen=True)
class Spread:
    """A mean difference, and draws from the distribution of its variance; none where that is unknown."""

    mean: float
    variances: Doubles

    def interval(self) -> tuple[float, float]:
        """The 95 percent interval of the mean, within [-1, 1]."""
        if not len(self.variances):
            return -1.0, 1.0
        half = float(np.quantile(np.abs(special.ndtri(_QUANTILES[2])) * np.sqrt(self.variances), 0.95))
        return max(-1.0, self.mean - half), min(1.0, self.mean + half)

    def p_value(self) -> float:
        """The two-sided p-value of no difference."""
        return 2 * self._beyond(abs(self.mean))

    def p_equivalent(self, margin: float) -> float:
        """The p-value of two one-sided tests: low where the true mean is within -margin to margin.

        Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics, 1987.
        """
        return self._beyond(margin - abs(self.mean))

    def _beyond(self, distance: float) -> float:
        if not len(self.variances):
            return 0.5 if distance >= 0 else 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.nan_to_num(-distance / np.sqrt(self.variances), nan=0.0)
        return float(special.ndtr(ratios).mean())


def spread(strata: Strata, seeds: Sequence[tuple[Doubles, float]] = ()) -> Spread:
    """The mean of `strata` and the estimate of its variance.

    Args:
        strata: as in `statistics`: of each query the difference, the mean over seeds.
        seeds: for each side that has several, from `of_seeds`.
    """
    found, freedom = variance(strata)
    if math.isnan(found):
        return Spread(mean(strata), np.empty(0))
    variances = found / _chi2(round(freedom, 3), 0)
    between = np.array([np.var(means, ddof=1) / len(means) for means, _ in seeds])
    if total := float(between.sum()):
        freedom = total**2 / float((between**2 / [len(means) - 1 for means, _ in seeds]).sum())  # Welch's
        rest = sum(share for _, share in seeds)
        variances = variances + np.maximum(total / _chi2(round(freedom, 3), 1) - rest, 0)
    return Spread(mean(strata), variances)


def of_seeds(scores: Sequence[tuple[Doubles, float]]) -> tuple[Doubles, float]:
    """The mean of each of S seeds, (S,), and the share of queries in the variance of their mean (E above).

    `scores` has for each stratum one side's scores, (S, n), and the stratum's share of the mean.
    """
    means = sum((share * values.mean(axis=1) for values, share in scores), np.zeros(len(scores[0][0])))
    rest = 0.0
    for values, share in scores:
        seeds, queries = values.shape
        if queries > 1:
            residuals = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
            rest += share**2 * float((residuals**2).sum()) / ((seeds - 1) * (queries - 1) * seeds * queries)
    return means, rest


@lru_cache(maxsize=64)
def _chi2(freedom: float, place: int) -> Doubles:
    """Chi² over its degrees of freedom at the quantiles of a `place`."""
    return np.asarray(special.gammaincinv(freedom / 2, _QUANTILES[place]) * 2 / freedom, dtype=np.float64)
