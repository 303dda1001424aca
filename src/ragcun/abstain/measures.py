"""Measures of how well a score separates answerable from unanswerable queries, and of thresholds on the score.

Shapes: P answerable queries, M unanswerable queries, Q queries that are both, B resamples.
"""

import math
from dataclasses import dataclass

import numpy as np

from ragcun.abstain.evidence import Doubles

LEVEL = 0.1  # the nominal false-alarm rate of a threshold
HALVINGS = 200
RESAMPLES = 400
COVERAGES = tuple(np.round(np.arange(0.05, 1.001, 0.05), 2).tolist())


def placements(within_P: Doubles, without_M: Doubles) -> tuple[Doubles, Doubles]:
    """For each answerable query, the share of unanswerable ones below it, (P,); for each unanswerable, above it, (M,).

    A tie counts as a half. The mean of either is the AUROC (DeLong, DeLong and Clarke-Pearson, Biometrics 1988).
    """
    from scipy import stats

    ranks = stats.rankdata(np.concatenate([within_P, without_M]))
    above_P = (ranks[: len(within_P)] - stats.rankdata(within_P)) / len(without_M)
    above_M = 1 - (ranks[len(within_P) :] - stats.rankdata(without_M)) / len(within_P)
    return above_P, above_M


def auroc(within_P: Doubles, without_M: Doubles) -> tuple[float, tuple[float, float]]:
    """Return the area under the ROC curve of two samples of different queries, with DeLong's 95 percent interval."""
    above_P, above_M = placements(within_P, without_M)
    area = float(above_P.mean())
    spread = math.sqrt(_of_mean(above_P) + _of_mean(above_M))
    return area, _within(area, spread)


def paired_auroc(within_Q: Doubles, without_Q: Doubles) -> Doubles:
    """Return each query's contribution to the AUROC of the same queries with and without their answers, (Q,).

    The mean is the AUROC, and the variance of the mean is DeLong's, with a query's two scores as one observation.
    """
    above_Q, below_Q = placements(within_Q, without_Q)
    return np.asarray(above_Q + below_Q - above_Q.mean())


def interval_of(parts_Q: Doubles) -> tuple[float, float]:
    """Return the 95 percent interval of the mean of `paired_auroc`."""
    return _within(float(parts_Q.mean()), math.sqrt(_of_mean(parts_Q)))


def _of_mean(values: Doubles) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 1.0


def _within(area: float, spread: float) -> tuple[float, float]:
    return max(0.0, area - 1.96 * spread), min(1.0, area + 1.96 * spread)


def nauc(scores_Q: Doubles, quality_Q: Doubles, seed: int = 0) -> tuple[float, tuple[float, float]]:
    """Return the normalised area under the curve of quality by coverage, with its 95 percent bootstrap interval.

    An oracle that knows the quality has 1, random abstention 0 (Gisserot-Boukhlef et al. 2024, arXiv 2402.12997,
    as MTEB reports it). The bootstrap resamples queries.
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
    """Return the mean, over all coverages, of the quality of the queries with the highest scores."""
    order = np.argsort(-scores_Q, kind="stable")
    weights_BQ = counts_BQ[:, order]
    answered_BQ = np.maximum(weights_BQ.cumsum(1), 1e-12)
    quality_BQ = (weights_BQ * quality_Q[order]).cumsum(1) / answered_BQ
    return np.asarray((quality_BQ * weights_BQ).sum(1) / weights_BQ.sum(1))


def risks(scores_Q: Doubles, quality_Q: Doubles) -> list[float]:
    """Return the risk, 1 - mean quality, of the queries with the highest scores, at each of `COVERAGES`."""
    order = np.argsort(-scores_Q, kind="stable")
    means_Q = quality_Q[order].cumsum() / np.arange(1, len(order) + 1)
    return [float(1 - means_Q[max(1, round(share * len(order))) - 1]) for share in COVERAGES]


def threshold(within_P: Doubles, level: float = LEVEL) -> float:
    """Return the score below which to abstain, so that at most `level` of the answerable queries are lost.

    The threshold is the floor(level (n + 1))-th smallest score of n answerable queries. For further queries of the same
    distribution, the share below it is at most `level` on average over samples (split conformal prediction; Vovk,
    Gammerman and Shafer 2005). With too few queries, it is minus infinity.
    """
    place = math.floor(level * (len(within_P) + 1) + 1e-9)
    return float(np.partition(within_P, place - 1)[place - 1]) if place >= 1 else -math.inf


@dataclass(frozen=True)
class Validity:
    """The rates at which a threshold from one part of the queries abstains on the other part, over many random splits.

    Attributes:
        false_alarms: the mean share of answerable queries below the threshold, 0 to 1.
        low, high: the 5th and 95th percentile of this share, as single thresholds may have it.
        detected: the mean share of unanswerable queries below the threshold, 0 to 1.
    """

    false_alarms: float
    low: float
    high: float
    detected: float


def validity(rates: Doubles) -> Validity:
    """Summarise the rates of false alarms and detections, (2, splits)."""
    low, high = np.quantile(rates[0], [0.05, 0.95])
    return Validity(float(rates[0].mean()), float(low), float(high), float(rates[1].mean()))
