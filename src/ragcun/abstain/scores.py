"""The registry of confidence scores. A higher score means that the corpus more probably has an answer.

To add a score, add one entry to `SCORES`: a key, a name, a function of `Evidence`, and its source.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ragcun.abstain.evidence import NEAR, Doubles, Evidence


@dataclass(frozen=True)
class Score:
    """A confidence score of queries.

    Attributes:
        key: the score's name in files and options.
        name: the score's name in tables.
        of: computes the score from the statistics of the rankings, (Q,).
        source: the publication of the score, or its definition in words.
        words: whether the score uses BM25's ranking.
        p_value: computes p-values, (Q,), under the score's null hypothesis that no document is an answer; None if the
            score implies none.
    """

    key: str
    name: str
    of: Callable[[Evidence], Doubles]
    source: str
    words: bool = False
    p_value: Callable[[Evidence], Doubles] | None = None


def _z(seen: Evidence) -> Doubles:
    return np.asarray((seen.top_QK[:, 0] - seen.mean_Q) / seen.deviation_Q)


def _hub_corrected(seen: Evidence) -> Doubles:
    """CSLS (arXiv 1710.04087, equation 3): 2 s(q, d) - r(d) - r(q), where r is the mean similarity to neighbours."""
    return np.asarray(2 * seen.top_QK[:, 0] - seen.crowd_QK[:, 0] - seen.top_QK[:, :NEAR].mean(1))


def _reranked(seen: Evidence) -> Doubles:
    return np.asarray((2 * seen.top_QK[:, :NEAR] - seen.crowd_QK).max(1))


def _entropy(seen: Evidence) -> Doubles:
    """Minus the entropy of a softmax over the ranking. The temperature is half the query's standard deviation."""
    logits_QK = (seen.top_QK - seen.top_QK[:, :1]) / (0.5 * seen.deviation_Q[:, None])
    weights_QK = np.exp(logits_QK)
    shares_QK = weights_QK / weights_QK.sum(1, keepdims=True)
    return np.asarray((shares_QK * np.log(shares_QK + 1e-30)).sum(1))


def _of_the_best(log_tail_Q: Doubles, documents: int) -> Doubles:
    """Return the p-value of the best of `documents` independent documents, each with this tail probability."""
    return np.asarray(-np.expm1(documents * np.log1p(-np.exp(np.minimum(log_tail_Q, -1e-16)))))


def _gamma_tail(seen: Evidence) -> Doubles:
    """Log probability of a similarity above the top one, under a gamma distribution with the query's three moments."""
    from scipy import stats

    skewness_Q = np.where(np.abs(seen.skewness_Q) < 1e-3, 1e-3, seen.skewness_Q)
    tail_Q = stats.pearson3.sf(_z(seen), skewness_Q)
    return np.asarray(np.log(np.maximum(tail_Q, 1e-300)))


def _gaussian_tail(seen: Evidence) -> Doubles:
    """Log probability of so small a distance between two samples of N(0, I): half its square is chi-squared."""
    from scipy import stats

    return np.asarray(stats.chi2.logcdf(seen.squared_Q / 2, seen.dimension))


SCORES = (
    Score("top", "top similarity", lambda seen: seen.top_QK[:, 0], "Hendrycks and Gimpel (2017), 1610.02136"),
    Score(
        "margin", "margin to the second", lambda seen: seen.top_QK[:, 0] - seen.top_QK[:, 1], "Scheffer et al. (2001)"
    ),
    Score(
        "margin10",
        "margin to the next ten",
        lambda seen: seen.top_QK[:, 0] - seen.top_QK[:, 1:11].mean(1),
        "margin, of ten documents",
    ),
    Score(
        "drop20",
        "drop to the 20th",
        lambda seen: seen.top_QK[:, 0] - seen.top_QK[:, 19],
        "margin, of a deeper document",
    ),
    Score("z", "z over the corpus", _z, "the query's own mean and deviation"),
    Score(
        "gamma",
        "gamma of the query's moments",
        lambda seen: -_gamma_tail(seen),
        "Pearson's type III by mean, variance and skewness",
        p_value=lambda seen: _of_the_best(_gamma_tail(seen), seen.documents),
    ),
    Score(
        "gaussian",
        "p-value under N(0, I)",
        lambda seen: -_gaussian_tail(seen),
        "half the squared distance is chi-squared with d degrees of freedom",
        p_value=lambda seen: _of_the_best(_gaussian_tail(seen), seen.documents),
    ),
    Score("hub", "hub-corrected", _hub_corrected, "Conneau et al. (2018), 1710.04087, CSLS"),
    Score("reranked", "hub-corrected, best of ten", _reranked, "CSLS, ranked again by it"),
    Score("entropy", "entropy of the ranking", _entropy, "Hendrycks and Gimpel (2017), of retrieval's softmax"),
    Score(
        "nearest",
        "similarity minus that of the document's nearest neighbour",
        lambda seen: seen.top_QK[:, 0] - seen.neighbour_Q,
        "nearest-neighbour distance ratio, Lowe (2004)",
    ),
    Score(
        "coherence",
        "similarity of the top documents",
        lambda seen: seen.pairs_Q,
        "Diaz (2007), spatial autocorrelation",
    ),
    Score("second", "similarity of the top two", lambda seen: seen.second_Q, "coherence, of two documents"),
    Score("mean", "mean of the corpus", lambda seen: seen.mean_Q, "the background alone"),
    Score("deviation", "deviation over the corpus", lambda seen: seen.deviation_Q, "the background alone"),
    Score("words", "BM25's top score", lambda seen: seen.words_QW[:, 0], "Robertson and Zaragoza (2009)", words=True),
    Score(
        "words_margin",
        "BM25's margin",
        lambda seen: seen.words_QW[:, 0] - seen.words_QW[:, 1],
        "Robertson and Zaragoza (2009)",
        words=True,
    ),
    Score(
        "words_share",
        "BM25's margin over its top score",
        lambda seen: (seen.words_QW[:, 0] - seen.words_QW[:, 1]) / (seen.words_QW[:, 0] + 1e-3),
        "Robertson and Zaragoza (2009)",
        words=True,
    ),
    Score(
        "words_of_top",
        "BM25's score of the top document",
        lambda seen: seen.words_top_Q,
        "agreement in words",
        words=True,
    ),
    Score(
        "words_of_top_share",
        "BM25's score of the top document, over its best",
        lambda seen: seen.words_top_Q / (seen.words_QW[:, 0] + 1e-3),
        "agreement in words",
        words=True,
    ),
    Score(
        "words_of_top_margin",
        "BM25's score of the top document, less its fifth",
        lambda seen: seen.words_top_Q - seen.words_QW[:, 4],
        "agreement in words",
        words=True,
    ),
    Score(
        "words_place",
        "rank of the top document in BM25's ranking",
        lambda seen: -np.log1p(seen.words_place_Q),
        "agreement in words",
        words=True,
    ),
    Score("shared", "overlap with BM25's ten best", lambda seen: seen.shared_Q, "overlap of rankings", words=True),
)


def all_scores(seen: Evidence) -> dict[str, Doubles]:
    """Compute every score of the registry, by its key."""
    return {score.key: score.of(seen) for score in SCORES}
