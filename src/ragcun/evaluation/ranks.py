"""Confidence sets for the ranks of systems.

The method is that of Mogstad, Romano, Shaikh and Wilhelm (Review of Economic Studies, 2024). A system's rank is bounded
by the systems that are significantly better and by those that are significantly worse, with simultaneous comparisons.
"""

from dataclasses import dataclass

import numpy as np

from ragcun.evaluation.statistics import Doubles, Strata
from ragcun.slices import slices

RESAMPLES = 1_999
_AT_ONCE = 2**20  # random numbers that are drawn at a time


@dataclass(frozen=True)
class Rank:
    """The rank of a system by its mean score, where 1 is the best, and ties have the lower number.

    Attributes:
        rank: the rank by the observed scores.
        best, worst: the ends of the 95 percent confidence set over queries.
    """

    rank: int
    best: int
    worst: int


def rank_intervals(strata: Strata, seed: int = 0, resamples: int = RESAMPLES) -> list[Rank]:
    """Return the rank of each system by its weighted mean over datasets.

    Args:
        strata: for each dataset the scores, (systems, queries), and its weight in the mean; systems in the same order.
        seed: the seed of the bootstrap, which resamples queries within their dataset.
        resamples: the number of bootstrap samples.
    """
    rng = np.random.default_rng(seed)
    means_S = np.sum([share * scores.mean(axis=1) for scores, share in strata], axis=0)
    drawn_RS = np.sum([share * _resampled(scores, rng, resamples) for scores, share in strata], axis=0)
    found = []
    for system, mean in enumerate(means_S):
        ahead_S = means_S - mean
        moved_RS = drawn_RS - drawn_RS[:, [system]] - ahead_S
        error_S = moved_RS.std(axis=0, ddof=1)
        same_S = error_S <= 1e-12  # the system itself, and systems with a constant difference
        error_S[same_S] = 1.0
        critical = float(np.quantile(np.abs(moved_RS / error_S).max(axis=1), 0.95, method="higher"))
        shown_S = np.where(same_S, np.abs(ahead_S) > 1e-12, np.abs(ahead_S) / error_S > critical)
        better, worse = int((shown_S & (ahead_S > 0)).sum()), int((shown_S & (ahead_S < 0)).sum())
        found.append(Rank(1 + int((ahead_S > 1e-12).sum()), 1 + better, len(means_S) - worse))
    return found


def _resampled(scores_SQ: Doubles, rng: np.random.Generator, resamples: int) -> Doubles:
    """Return the means of the systems on resampled queries, (resamples, systems)."""
    count = scores_SQ.shape[1]
    means_RS = np.empty((resamples, len(scores_SQ)))
    for part in slices(resamples, max(1, _AT_ONCE // count)):
        rows = part.stop - part.start
        drawn_BQ = rng.integers(count, size=(rows, count)) + np.arange(rows)[:, None] * count
        times_BQ = np.bincount(drawn_BQ.ravel(), minlength=rows * count).reshape(rows, count)
        means_RS[part] = times_BQ @ scores_SQ.T / count
    return means_RS
