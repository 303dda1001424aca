"""Measures of scores that tell answered queries from others."""

import math

import numpy as np
import pytest

from ragcun.abstain import measures
from ragcun.abstain.learned import Logistic
from ragcun.abstain.scores import SCORES


def test_the_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    generator = np.random.default_rng(0)
    within, without = generator.integers(0, 9, 40).astype(float), generator.integers(0, 7, 40).astype(float)
    pairs = within[:, None] - without[None]
    assert (pairs == 0).any(), "ties are exercised"
    expected = (pairs > 0).mean() + (pairs == 0).mean() / 2
    parts = measures.paired_auroc(within, without)
    area, (low, high) = measures.auroc(within, without)
    assert parts.mean() == pytest.approx(expected)
    assert area == pytest.approx(expected)
    assert low < area < high


def test_delongs_interval_covers_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    truth = 0.5 * (1 + math.erf(1 / 2))
    covered = 0
    for _ in range(400):
        shared = generator.normal(size=60)
        within, without = (0.7 * shared + math.sqrt(0.51) * generator.normal(size=60) for _ in range(2))
        low, high = measures.interval_of(measures.paired_auroc(within + 1, without))
        covered += low <= truth <= high
    assert 0.92 <= covered / 400 <= 0.98


def test_nauc_is_1_for_an_oracle_and_0_for_a_constant() -> None:
    quality = np.random.default_rng(0).random(50)
    assert measures.nauc(quality, quality)[0] == pytest.approx(1)
    assert abs(np.mean([measures.nauc(np.random.default_rng(i).random(50), quality)[0] for i in range(200)])) < 0.1
    assert measures.risks(quality, quality)[-1] == pytest.approx(1 - quality.mean())


@pytest.mark.parametrize("count", [30, 99, 500])
def test_a_threshold_keeps_its_level_on_further_queries(count: int) -> None:
    generator = np.random.default_rng(count)
    alarms = [
        (generator.gamma(2, size=2_000) < measures.threshold(generator.gamma(2, size=count))).mean() for _ in range(400)
    ]
    expected = math.floor(0.1 * (count + 1) + 1e-9) / (count + 1)
    assert np.mean(alarms) == pytest.approx(expected, abs=0.008)
    assert expected <= 0.1


def test_with_too_few_queries_nothing_is_refused() -> None:
    assert measures.threshold(np.arange(8.0)) == -math.inf
    assert measures.threshold(np.arange(9.0)) == 0


def test_a_learned_score_finds_the_feature_that_tells() -> None:
    generator = np.random.default_rng(0)
    within = {"top": generator.normal(size=300) + 2, "margin": generator.normal(size=300)}
    without = {"top": generator.normal(size=300), "margin": generator.normal(size=300)}
    fitted = Logistic.fit(("top", "margin"), within, without)
    assert abs(fitted.weights[0]) > 5 * abs(fitted.weights[1])
    assert measures.paired_auroc(fitted(within), fitted(without)).mean() > 0.9


def test_every_score_has_its_own_key_and_a_source() -> None:
    assert len({score.key for score in SCORES}) == len(SCORES) == len({score.name for score in SCORES})
    assert all(score.source for score in SCORES)
