"""Confidence sets for ranks."""

import numpy as np

from ragcun.evaluation.ranks import Rank, rank_intervals


def test_clear_differences_leave_one_rank_each() -> None:
    rng = np.random.default_rng(0)
    noise_Q = rng.normal(0, 0.2, 300)
    scores = np.array([noise_Q + shift + rng.normal(0, 0.02, 300) for shift in (0.1, 0.5, 0.3)])
    assert rank_intervals([(scores, 1.0)]) == [Rank(3, 3, 3), Rank(1, 1, 1), Rank(2, 2, 2)]


def test_equal_systems_share_every_rank() -> None:
    scores = np.tile(np.random.default_rng(0).random(50), (3, 1))
    assert rank_intervals([(scores, 1.0)]) == [Rank(1, 1, 3)] * 3


def test_a_constant_difference_is_certain() -> None:
    values = np.random.default_rng(0).random(50)
    assert rank_intervals([(np.array([values, values + 0.1]), 1.0)]) == [Rank(2, 2, 2), Rank(1, 1, 1)]


def test_the_set_holds_the_true_rank_in_95_of_100_samples() -> None:
    """Three systems, two of which are equal: each of them may be second or third."""
    rng = np.random.default_rng(1)
    held = 0
    for sample in range(200):
        scores = rng.normal(0, 1, (3, 60)) + np.array([[0.6], [0.0], [0.0]])
        first, second, third = rank_intervals([(scores, 1.0)], seed=sample, resamples=399)
        held += first.best == 1 and max(second.best, third.best) <= 2 and second.worst == third.worst == 3
    assert held >= 180


def test_datasets_weigh_as_they_are_told_and_queries_are_drawn_within_them() -> None:
    rng = np.random.default_rng(0)
    large, small = rng.random((2, 400)), rng.random((2, 20))
    large[0] += 0.1
    small[1] += 2.0
    assert [one.rank for one in rank_intervals([(large, 0.5), (small, 0.5)])] == [2, 1]
    assert [one.rank for one in rank_intervals([(large, 0.999), (small, 0.001)])] == [1, 2]
