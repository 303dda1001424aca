"""Tests of normality against slow direct formulas, and their p-values where the null holds and where it does not."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from ragcun.analysis import normality
from ragcun.analysis.isotropy import Floats
from ragcun.analysis.view import View


def whitened(rows: int = 60, dimension: int = 3, seed: int = 0) -> Floats:
    drawn_NK = np.random.default_rng(seed).gamma(2, size=(rows, dimension))
    return View(drawn_NK).leading_NK(dimension)


def test_mardia_is_the_mean_of_powers_of_mahalanobis_products() -> None:
    white_NK = whitened()
    products_NN = white_NK @ white_NK.T
    assert normality.mardia_skewness(white_NK).statistic == pytest.approx((products_NN**3).mean())
    assert normality.mardia_kurtosis(white_NK).statistic == pytest.approx((np.diag(products_NN) ** 2).mean())


def test_henze_zirkler_is_the_weighted_distance_of_characteristic_functions() -> None:
    """Of one dimension, by quadrature: N times the integral of |empirical - normal|² under N(0, beta²)."""
    white_NK = whitened(40, 3)[:, :1]
    beta = (40 * 3 / 4) ** (1 / 5) / np.sqrt(2)
    t = np.linspace(-12, 12, 4001)
    empirical = np.exp(1j * white_NK * t).mean(axis=0)
    integrand = np.abs(empirical - np.exp(-(t**2) / 2)) ** 2 * stats.norm.pdf(t, scale=beta)
    expected = 40 * np.trapezoid(integrand, t)
    assert normality.henze_zirkler(white_NK).statistic == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("test", [normality.mardia_skewness, normality.mardia_kurtosis, normality.henze_zirkler])
@pytest.mark.parametrize(("dimension", "kept"), [(5, 5), (30, 10)])
def test_p_values_are_uniform_for_normal_rows_also_along_the_axes_of_most_variance(
    test: Callable[[Floats], normality.Tested], dimension: int, kept: int
) -> None:
    generator = np.random.default_rng(7)
    spectrum_D = np.geomspace(1, 0.1, dimension)
    p_values = [
        test(View(generator.standard_normal((250, dimension)) * spectrum_D).leading_NK(kept)).p_value
        for _ in range(150)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3
    heavy = View(generator.standard_t(4, size=(250, dimension)) * spectrum_D).leading_NK(kept)
    assert test(heavy).p_value < 1e-3


def test_norms_of_normal_rows_follow_chi_and_unit_norms_do_not() -> None:
    normal_ND = np.random.default_rng(0).standard_normal((500, 12))
    norms_N = np.linalg.norm(normal_ND, axis=1)
    assert normality.norms_against_chi(norms_N, 12).p_value > 0.01
    assert normality.norms_against_chi(np.ones(500), 12).p_value < 1e-9


def test_too_few_rows_say_nothing() -> None:
    tiny = View(np.random.default_rng(0).standard_normal((3, 8))).leading_NK(50)
    assert tiny.shape == (3, 1)
    for test in (normality.mardia_skewness, normality.mardia_kurtosis, normality.henze_zirkler):
        assert 0 <= test(tiny).p_value <= 1
