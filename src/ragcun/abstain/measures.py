"""How well a score separates answered queries from others, and what a threshold on it achieves.

P answered queries, M others, B resamples.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ragcun.abstain.evidence import Doubles

LEVEL = 0.1  # nominal share of false alarms
HALVINGS = 200
RESAMPLES = 400
COVERAGES = tuple(np.round(np.arange(0.05, 1.001, 0.05), 2).tolist())


def placements(within_P: Doubles, without_M: Doubles) -> tuple[Doubles, Doubles]:
    """The share of the others that each answered query is above, (P,), and of answered ones above each other, (M,).

    Ties count a half. The mean of either is the AUROC (DeLong, DeLong and Clarke-Pearson, Biometrics 1988).
    """
    ranks = stats.rankdata(np.concatenate([within_P, without_M]))
    above_P = (ranks[: len(within_P)] - stats.rankdata(within_P)) / len(without_M)
    above_M = 1 - (ranks[len(within_P) :] - stats.rankdata(without_M)) / len(within_P)
    return above_P, above_M


def auroc(within_P: Doubles, without_M: Doubles) -> tuple[float, tuple[float, float]]:
    """The area under the ROC curve of two samples of different queries, with DeLong's 95 percent interval."""
    above_P, above_M = placements(within_P, without_M)
    area = float(above_P.mean())
    spread = math.sqrt(_of_mean(above_P) + _of_mean(above_M))
    return area, _within(area, spread)


def paired_auroc(within_Q: Doubles, without_Q: Doubles) -> Doubles:
    """Each query's part in the AUROC of the same queries with and without their answers, (Q,).

    Its mean is the AUROC, and the variance of its mean is DeLong's, with both places of a query as one observation.
    """
    above_Q, below_Q = placements(within_Q, without_Q)
    return np.asarray(above_Q + below_Q - above_Q.mean())


def interval_of(parts_Q: Doubles) -> tuple[float, float]:
    """The 95 percent interval of the mean of `paired_auroc`."""
    return _within(float(parts_Q.mean()), math.sqrt(_of_mean(parts_Q)))


def _of_mean(values: Doubles) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 1.0


def _within(area: float, spread: float) -> tuple[float, float]:
    return max(0.0, area - 1.96 * spread), min(1.0, area + 1.96 * spread)


def nauc(scores_Q: Doubles, quality_Q: Doubles, seed: int = 0) -> tuple[float, tuple[float, float]]:
    """The normalised area under the curve of quality over the share of queries answered, with its 95 percent interval.

    1 is what an oracle that knows the quality reaches, 0 what a coin does (Gisserot-Boukhlef et al. 2024,
    arXiv 2402.12997, as MTEB reports it). The interval is of bootstrap resamples of queries.
    """
    generator = np.random.default_rng(seed)
    ones = np.ones((1, len(scores_Q)))
    drawn_BQ = generator.multinomial(len(scores_Q), np.full(len(scores_Q), 1 / len(scores_Q)), RESAMPLES)
    found = _nauc(scores_Q, quality_Q, ones)[0]
    low, high = np.quantile(_nauc(scores_Q, quality_Q, drawn_BQ.astype(np.float64)), [0.025, 0.975])
    return float(found), (float(low), float(high))


def _nauc(scores_Q: Doubles, quality_Q: Doubles, counts_BQ: Doubles) -> Doubles:
    mean_B = counts_BQ @ quality_Q / counts_BQ.sum(1)
    gained_B = _area(scores_Q, quality_Q, counts_BQ) - mean_B
    possible_B = _area(quality_Q, quality_Q, counts_BQ) - mean_B
    return np.asarray(np.divide(gained_B, possible_B, out=np.zeros_like(gained_B), where=possible_B > 1e-12))


def _area(scores_Q: Doubles, quality_Q: Doubles, counts_BQ: Doubles) -> Doubles:
    """The mean, over all shares of queries answered, of the quality of those with the highest scores."""
    order = np.argsort(-scores_Q, kind="stable")
    weights_BQ = counts_BQ[:, order]
    answered_BQ = np.maximum(weights_BQ.cumsum(1), 1e-12)
    quality_BQ = (weights_BQ * quality_Q[order]).cumsum(1) / answered_BQ
    return np.asarray((quality_BQ * weights_BQ).sum(1) / weights_BQ.sum(1))


def risks(scores_Q: Doubles, quality_Q: Doubles) -> list[float]:
    """The risk, 1 - mean quality, of the share of queries answered first, at each of `COVERAGES`."""
    order = np.argsort(-scores_Q, kind="stable")
    means_Q = quality_Q[order].cumsum() / np.arange(1, len(order) + 1)
    return [float(1 - means_Q[max(1, round(share * len(order))) - 1]) for share in COVERAGES]


def threshold(within_P: Doubles, level: float = LEVEL) -> float:
    """The score below which to abstain, so that at most `level` of answered queries are lost.

    It is the floor(level (n + 1))-th smallest of n answered queries: for further queries of the same kind, the share
    below it is at most `level` on average over samples (Vovk, Gammerman and Shafer 2005; split conformal prediction).
    With too few queries for that it is minus infinity.
    """
    place = math.floor(level * (len(within_P) + 1) + 1e-9)
    return float(np.partition(within_P, place - 1)[place - 1]) if place >= 1 else -math.inf


@dataclass(frozen=True)
class Validity:
    """What thresholds of one part of the queries do on the other, over many halvings; shares from 0 to 1.

    Attributes:
        false_alarms: answered queries on which it abstains, the mean.
        low, high: the 5th and 95th percentile over halvings: what a single threshold may do.
        detected: queries without an answer on which it abstains, the mean.
    """

    false_alarms: float
    low: float
    high: float
    detected: float


def validity(rates: Doubles) -> Validity:
    """Sum up false alarms and detections, (2, halvings)."""
    low, high = np.quantile(rates[0], [0.05, 0.95])
    return Validity(float(rates[0].mean()), float(low), float(high), float(rates[1].mean()))
