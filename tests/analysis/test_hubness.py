"""k-occurrences against brute force, and their two summaries."""

import numpy as np
import pytest
from scipy import stats

from ragcun.analysis import hubness


def test_k_occurrences_equal_brute_force() -> None:
    rows_ND = np.random.default_rng(0).standard_normal((80, 6))
    distances_NN = np.linalg.norm(rows_ND[:, None] - rows_ND[None], axis=2) + np.diag(np.full(80, np.inf))
    nearest_NK = distances_NN.argsort(axis=1)[:, :10]
    found = hubness.k_occurrences(rows_ND)
    np.testing.assert_array_equal(found, np.bincount(nearest_NK.ravel(), minlength=80))
    assert found.mean() == 10
    assert hubness.skewness(found) == pytest.approx(stats.skew(found))


def test_summaries_of_even_and_of_uneven_counts() -> None:
    assert hubness.skewness(np.full(6, 4)) == hubness.robin_hood(np.full(6, 4)) == 0
    assert hubness.robin_hood(np.array([8, 0, 0, 0])) == pytest.approx(6 / 8)


def test_a_hub_is_seen() -> None:
    """In many dimensions, rows near the mean are neighbours of most."""
    generator = np.random.default_rng(0)
    low, high = (hubness.k_occurrences(generator.standard_normal((1000, d))) for d in (2, 200))
    assert hubness.skewness(high) > 2 > hubness.skewness(low)
    assert hubness.robin_hood(high) > hubness.robin_hood(low)
