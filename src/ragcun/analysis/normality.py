"""Tests of normality: Mardia's, Henze and Zirkler's, and norms against the chi distribution.

The multivariate tests use the coordinates along the first K principal axes, each divided by its standard deviation.
Centred and whitened normal rows are distributed uniformly over all such matrices, independently of their covariance.
Their coordinates along axes that are chosen by the covariance are therefore distributed like those of K-dimensional
normal rows, so that the p-values are valid for the axes with the most variance, as for fixed axes.

Shapes: N rows, K dimensions.
"""

import math
from dataclasses import dataclass

import numpy as np

from ragcun.analysis.isotropy import Floats
from ragcun.slices import slices

MARDIA_DIMENSIONS = 50
HENZE_ZIRKLER_DIMENSIONS = 10  # in more dimensions, its kernel is nearly 0 for all pairs of rows
_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Tested:
    """A statistic and the p-value of normality; 1 if there are too few rows."""

    statistic: float
    p_value: float


def mardia_skewness(whitened_NK: Floats) -> Tested:
    """Return Mardia's skewness, >= 0: the sum of the squared third moments of rows with mean 0 and covariance I (1/N).

    Mardia 1970 (Biometrika 57), equation 2.19; p from chi-squared with K(K+1)(K+2)/6 degrees of freedom, the statistic
    scaled to its exact mean (Mardia 1974, Sankhya B 36).
    """
    from scipy import stats

    n, k = whitened_NK.shape
    first, second = np.triu_indices(k)
    moments_JK = np.zeros((len(first), k))
    for part in slices(n, _ROWS_AT_ONCE):
        rows_BK = whitened_NK[part]
        moments_JK += (rows_BK[:, first] * rows_BK[:, second]).T @ rows_BK
    twice_J = np.where(first == second, 1, 2)  # each pair of coordinates counts for both orders
    skewness = float(twice_J @ np.einsum("jk,jk->j", moments_JK, moments_JK)) / n**2
    mean = k * (k + 2) * ((n + 1) * (k + 1) - 6) / ((n + 1) * (n + 3))
    freedom = k * (k + 1) * (k + 2) / 6
    return Tested(skewness, float(stats.chi2.sf(freedom * skewness / mean, freedom)) if n > k + 1 and mean > 0 else 1.0)


def mardia_kurtosis(whitened_NK: Floats) -> Tested:
    """Return Mardia's kurtosis: the mean of the fourth power of the norms of whitened rows; K(K+2) for normal rows.

    Mardia 1970 (Biometrika 57), equation 3.5; the two-sided p from the normal distribution with the exact mean and
    variance (Mardia 1974, Sankhya B 36).
    """
    from scipy import stats

    n, k = whitened_NK.shape
    kurtosis = float((np.einsum("nk,nk->n", whitened_NK, whitened_NK) ** 2).mean())
    if n <= k + 1 or n <= 3:
        return Tested(kurtosis, 1.0)
    mean = k * (k + 2) * (n - 1) / (n + 1)
    variance = 8 * k * (k + 2) * (n - 3) * (n - k - 1) * (n - k + 1) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    return Tested(kurtosis, float(2 * stats.norm.sf(abs(kurtosis - mean) / math.sqrt(variance))))


def henze_zirkler(whitened_NK: Floats) -> Tested:
    """Return Henze and Zirkler's statistic, >= 0: a weighted distance between characteristic functions.

    Henze and Zirkler 1990 (Communications in Statistics 19), equation 1.3 and theorem 3.2, with p from the log-normal
    distribution that has its limit's mean and variance.
    """
    from scipy import stats

    n, k = whitened_NK.shape
    beta = (n * (2 * k + 1) / 4) ** (1 / (k + 4)) / math.sqrt(2)
    b = beta * beta
    squares_N = np.einsum("nk,nk->n", whitened_NK, whitened_NK)
    pairs = 0.0
    for part in slices(n, _ROWS_AT_ONCE):
        rest = slice(part.start, None)
        squared_BM = squares_N[part, None] + squares_N[rest] - 2 * whitened_NK[part] @ whitened_NK[rest].T
        kernel_BM = np.exp(-b / 2 * np.maximum(squared_BM, 0))
        pairs += 2 * float(kernel_BM.sum()) - float(kernel_BM[:, : len(kernel_BM)].sum())
    singles = float(np.exp(-b / (2 * (1 + b)) * squares_N).sum())
    statistic = pairs / n - 2 * (1 + b) ** (-k / 2) * singles + n * (1 + 2 * b) ** (-k / 2)
    if n <= k + 1:
        return Tested(statistic, 1.0)
    a, w = 1 + 2 * b, (1 + b) * (1 + 3 * b)
    mean = 1 - a ** (-k / 2) * (1 + k * b / a + k * (k + 2) * b**2 / (2 * a**2))
    variance = (
        2 * (1 + 4 * b) ** (-k / 2)
        + 2 * a**-k * (1 + 2 * k * b**2 / a**2 + 3 * k * (k + 2) * b**4 / (4 * a**4))
        - 4 * w ** (-k / 2) * (1 + 3 * k * b**2 / (2 * w) + k * (k + 2) * b**4 / (2 * w**2))
    )
    spread = math.log(1 + variance / mean**2)
    centre = math.log(mean) - spread / 2
    p_value = float(stats.lognorm.sf(statistic, math.sqrt(spread), scale=math.exp(centre)))
    return Tested(statistic, p_value)


def norms_against_chi(norms_N: Floats, dimension: int) -> Tested:
    """Return the Kolmogorov-Smirnov distance, 0 to 1, of norms from the chi distribution with `dimension` degrees."""
    from scipy import stats

    found = stats.kstest(norms_N, stats.chi(dimension).cdf)
    return Tested(float(found.statistic), float(found.pvalue))
