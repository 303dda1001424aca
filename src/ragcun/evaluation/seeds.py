"""Inference on a mean difference if queries and, where there are several, seeds are random samples.

The difference d of seed s on query q is d = mean + seed + query + residual, a two-way layout of random effects. The
variance of the mean is V = Q + A - E, where Q is the variance of the mean over queries of the seeds' means, A is that
of the mean over seeds, and E is the residual's contribution, which both contain. Each estimate is its true value times
chi² over its degrees of freedom f, so that dividing it by draws of chi²/f gives the generalised distribution of V
(Weerahandi, Journal of the American Statistical Association, 1993; Tsui and Weerahandi, ibid., 1989). Without several
seeds, the result is Student's t.

The method was chosen by simulation (`tests/evaluation/test_compare.py`): with 3 seeds whose standard deviation is 1 to
3 points, the paired test over queries rejects a true null hypothesis in 10 to 35 percent of cases, Satterthwaite's t in
up to 8, a modified large-sample interval in up to 7, and this method in 2 to 4, never more than 5. It has less power:
with 3 seeds, its interval is about a quarter wider than Satterthwaite's, and with 5 seeds hardly wider.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from ragcun.evaluation.statistics import Doubles, Strata, mean, variance

_DRAWS = 4_999
# Quantiles are evenly spaced, so that few draws suffice, in different orders for queries, seeds and the mean.
_QUANTILES = [np.random.default_rng(place).permutation(np.arange(_DRAWS) + 0.5) / _DRAWS for place in range(3)]


@dataclass(frozen=True)
class Spread:
    """A mean difference, and draws from the distribution of its variance; no draws if it is unknown."""

    mean: float
    variances: Doubles

    def interval(self) -> tuple[float, float]:
        """Return the 95 percent interval of the mean, within [-1, 1]."""
        if not len(self.variances):
            return -1.0, 1.0
        half = float(np.quantile(np.abs(special.ndtri(_QUANTILES[2])) * np.sqrt(self.variances), 0.95))
        return max(-1.0, self.mean - half), min(1.0, self.mean + half)

    def p_value(self) -> float:
        """Return the two-sided p-value of the null hypothesis of no difference."""
        return 2 * self._beyond(abs(self.mean))

    def p_equivalent(self, margin: float) -> float:
        """Return the p-value of two one-sided tests that the true mean is within -margin to margin.

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
    """Estimate the mean of `strata` and its variance.

    Args:
        strata: as in `statistics`, with each query's mean difference over seeds.
        seeds: the result of `of_seeds` for each side with several seeds.
    """
    found, freedom = variance(strata)
    if math.isnan(found):
        return Spread(mean(strata), np.empty(0))
    variances = found / _chi2(round(freedom, 3), 0)
    between = np.array([np.var(means, ddof=1) / len(means) for means, _ in seeds])
    if total := float(between.sum()):
        freedom = total**2 / float((between**2 / [len(means) - 1 for means, _ in seeds]).sum())  # Welch's formula
        rest = sum(share for _, share in seeds)
        variances = variances + np.maximum(total / _chi2(round(freedom, 3), 1) - rest, 0)
    return Spread(mean(strata), variances)


def of_seeds(scores: Sequence[tuple[Doubles, float]]) -> tuple[Doubles, float]:
    """Return the mean of each of S seeds, (S,), and the residual's contribution to the variance of their mean (E).

    `scores` has for each stratum one side's scores, (S, n), and the stratum's weight in the mean.
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
    """Return quantiles of chi² over its degrees of freedom, in the order number `place`."""
    return np.asarray(special.gammaincinv(freedom / 2, _QUANTILES[place]) * 2 / freedom, dtype=np.float64)
