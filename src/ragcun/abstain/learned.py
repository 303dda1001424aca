"""Combinations of the confidence scores by a small logistic regression, fitted on one part of the queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragcun.abstain.evidence import Doubles
from ragcun.abstain.scores import SCORES

RIDGE = 10.0  # chosen on the dev splits of NFCorpus, TLDR and MedQuAD, like the use of squared features
_FAR = 4.0  # standard deviations at which a feature is clipped
_STEPS = 50

COMBINED = {
    "learned": ("learned from the vectors", tuple(one.key for one in SCORES if not one.words)),
    "learned_words": ("learned from vectors and words", tuple(one.key for one in SCORES)),
}


@dataclass(frozen=True)
class Logistic:
    """A logistic regression on features and their squares, with an L2 penalty.

    Attributes:
        keys: the keys of the scores that are the F features.
        mean, deviation: the features' means and standard deviations, (F,).
        weights: the coefficients of features and squares, and the intercept, (2 F + 1,).
    """

    keys: tuple[str, ...]
    mean: Doubles
    deviation: Doubles
    weights: Doubles

    @classmethod
    def fit(cls, keys: Sequence[str], within: Mapping[str, Doubles], without: Mapping[str, Doubles]) -> "Logistic":
        """Fit to queries with their answers in the corpus and without them, by Newton's method."""
        features = np.concatenate([_features(keys, within), _features(keys, without)])
        labels = np.repeat([1.0, 0.0], [len(features) - len(without[keys[0]]), len(without[keys[0]])])
        mean, deviation = features.mean(0), features.std(0) + 1e-9
        inputs = _inputs(features, mean, deviation)
        weights = np.zeros(inputs.shape[1])
        penalty = np.full(inputs.shape[1], RIDGE)
        penalty[-1] = 1e-6
        for _ in range(_STEPS):
            shares = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
            gradient = inputs.T @ (shares - labels) + penalty * weights
            curvature = (inputs * (shares * (1 - shares))[:, None]).T @ inputs + np.diag(penalty)
            step = np.linalg.solve(curvature, gradient)
            weights = weights - step
            if np.abs(step).max() < 1e-6:
                break
        return cls(tuple(keys), mean, deviation, weights)

    def __call__(self, scores: Mapping[str, Doubles]) -> Doubles:
        """Return the log-odds that the corpus has an answer, (Q,)."""
        features = _features(self.keys, scores)
        return np.asarray(_inputs(features, self.mean, self.deviation) @ self.weights)


def _features(keys: Sequence[str], scores: Mapping[str, Doubles]) -> Doubles:
    return np.stack([scores[key] for key in keys], axis=1)


def _inputs(features: Doubles, mean: Doubles, deviation: Doubles) -> Doubles:
    scaled = np.clip((features - mean) / deviation, -_FAR, _FAR)
    return np.concatenate([scaled, scaled**2 - 1, np.ones((len(scaled), 1))], axis=1)
