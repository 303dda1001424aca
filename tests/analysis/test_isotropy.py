"""The measures against closed forms, slow direct formulas, and what must not change them."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ragcun.analysis import isotropy
from ragcun.analysis.isotropy import Floats
from ragcun.analysis.measures import MEASURES, Measure
from ragcun.analysis.sets import Embedded
from ragcun.analysis.view import View
from ragcun.errors import UserError
from ragcun.losses import draw_directions, epps_pulley


def sample(rows: int = 300, dimension: int = 7, seed: int = 0) -> Floats:
    """Correlated, off-centre embeddings: nothing about them is special."""
    generator = np.random.default_rng(seed)
    return generator.standard_normal((rows, dimension)) @ generator.standard_normal((dimension, dimension)) + 0.3


def both(embeddings_ND: Floats) -> View:
    """The last fifth of the rows as queries, and a relevant document for all but the first of them."""
    queries = len(embeddings_ND) // 5
    documents_ND, queries_QD = np.split(embeddings_ND, [len(embeddings_ND) - queries])
    relevant_P2 = np.stack([np.arange(1, queries), np.arange(1, queries) % len(documents_ND)], axis=1)
    return Embedded(documents_ND, queries_QD, relevant_P2=relevant_P2).views(0)[-1]


def value_of(measure: Measure, view: View) -> float:
    value = measure.function(view)
    assert value is not None
    return value


def spectrum(embeddings_ND: Floats) -> Floats:
    return isotropy.principal_axes(isotropy.centred(embeddings_ND))[0]


def rotation(dimension: int) -> Floats:
    return np.linalg.qr(np.random.default_rng(5).standard_normal((dimension, dimension)))[0]


def iso_score_in_seven_steps(embeddings_ND: Floats) -> float:
    """Rudman et al. 2022, Algorithm 1, step by step."""
    count = embeddings_ND.shape[1]
    centred_ND = embeddings_ND - embeddings_ND.mean(axis=0)
    axes_DD = np.linalg.svd(centred_ND, full_matrices=False)[2]
    diagonal_D = np.diag(np.cov((centred_ND @ axes_DD.T).T))
    normalised_D = math.sqrt(count) * diagonal_D / np.linalg.norm(diagonal_D)
    defect = np.linalg.norm(normalised_D - np.ones(count)) / math.sqrt(2 * (count - math.sqrt(count)))
    used = (count - defect**2 * (count - math.sqrt(count))) ** 2 / count**2
    return (count * used - 1) / (count - 1)


@pytest.mark.parametrize("dimension", [2, 5, 16])
def test_iso_score_is_the_published_algorithm(dimension: int) -> None:
    embeddings_ND = sample(dimension=dimension)
    score = isotropy.iso_score(spectrum(embeddings_ND))
    assert 0 < score < 1
    assert score == pytest.approx(iso_score_in_seven_steps(embeddings_ND), rel=1e-9)


@pytest.mark.parametrize("used", [1, 2, 6, 10])
def test_iso_score_of_k_equal_dimensions_among_d_is_k_minus_1_over_d_minus_1(used: int) -> None:
    eigenvalues_D = np.r_[np.full(used, 3.0), np.zeros(10 - used)]
    assert isotropy.iso_score(eigenvalues_D) == pytest.approx((used - 1) / 9)


def test_iso_score_of_a_line_in_space_is_zero() -> None:
    """The example of the `IsoScore` package: points on t -> (t, 2t, 3t)."""
    line_N3 = np.random.default_rng(0).standard_normal(100)[:, None] * np.array([1.0, 2.0, 3.0])
    assert isotropy.iso_score(spectrum(line_N3)) == pytest.approx(0, abs=1e-12)


def test_effective_rank_counts_equal_directions() -> None:
    assert isotropy.effective_rank(np.array([4.0, 4.0, 4.0, 0.0])) == pytest.approx(3)
    uneven = isotropy.effective_rank(np.array([16.0, 1.0]))  # singular values 4 : 1, shares 0.8 and 0.2
    assert uneven == pytest.approx(math.exp(-0.8 * math.log(0.8) - 0.2 * math.log(0.2)))


def test_principal_axes_diagonalise_the_covariance() -> None:
    centred_ND = isotropy.centred(sample())
    eigenvalues_D, axes_DD = isotropy.principal_axes(centred_ND)
    assert (np.diff(eigenvalues_D) <= 0).all()
    np.testing.assert_allclose(np.cov(centred_ND @ axes_DD, rowvar=False), np.diag(eigenvalues_D), atol=1e-12)


def test_partition_isotropy_is_min_over_max_of_z() -> None:
    embeddings_ND = sample(40, 4) / 4
    axes_DD = np.linalg.eigh(embeddings_ND.T @ embeddings_ND)[1]
    z = [np.exp(sign * embeddings_ND @ axis).sum() for axis in axes_DD.T for sign in (1, -1)]
    value = isotropy.partition_isotropy(embeddings_ND)
    assert 0 < value < 1
    assert value == pytest.approx(min(z) / max(z), rel=1e-12)


def test_partition_isotropy_of_huge_embeddings_does_not_overflow() -> None:
    assert isotropy.partition_isotropy(1e6 * sample()) == 0.0


def test_mean_cosine_is_the_mean_over_all_pairs() -> None:
    embeddings_ND = sample(25)
    unit_ND = embeddings_ND / np.linalg.norm(embeddings_ND, axis=1, keepdims=True)
    pairs = [unit_ND[i] @ unit_ND[j] for i in range(25) for j in range(25) if i != j]
    assert isotropy.mean_cosine(isotropy.unit_rows(embeddings_ND)) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert isotropy.mean_cosine(np.eye(3)) == pytest.approx(0, abs=1e-15)
    assert isotropy.mean_cosine(np.array([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-1)


@pytest.mark.parametrize("rows", [2, 511, 512, 1100])
def test_distances_equal_brute_force_across_blocks(rows: int) -> None:
    embeddings_ND = isotropy.centred(sample(rows, 5))
    brute_NN = np.linalg.norm(embeddings_ND[:, None] - embeddings_ND[None], axis=2)
    pairs_P = brute_NN[np.triu_indices(rows, 1)]
    found = isotropy.distances(embeddings_ND)
    np.testing.assert_allclose(found.nearest_N, (brute_NN + np.diag(np.full(rows, np.inf))).min(axis=1), atol=1e-6)
    assert found.pair_mean == pytest.approx(pairs_P.mean())
    assert found.pair_std == pytest.approx(pairs_P.std(), abs=1e-6)
    assert found.ratio == pytest.approx(found.nearest_N.mean() / pairs_P.mean())


def test_sigreg_averages_epps_pulley_over_unit_slices() -> None:
    embeddings_ND = sample(200, 3)
    directions_KD = draw_directions(300, 3, seed=4).double()
    expected = epps_pulley(torch.from_numpy(embeddings_ND) @ directions_KD.T).mean() / 200
    assert isotropy.sigreg(embeddings_ND, seed=4, directions=300) == pytest.approx(float(expected), rel=1e-6)


def test_images_under_one_scale_and_shift_share_the_slices_and_differ_in_nothing_else() -> None:
    embeddings_ND, shift_D = sample(200, 5), np.linspace(-1, 1, 5)
    first, moved = isotropy.sigreg_images(embeddings_ND, [(1.0, np.zeros(5)), (0.5, shift_D)], seed=2)
    assert first == isotropy.sigreg(embeddings_ND, seed=2)
    assert moved == pytest.approx(isotropy.sigreg(0.5 * embeddings_ND + shift_D, seed=2), rel=1e-5)


def test_along_principal_axes_a_spectrum_shows_that_random_slices_average_away() -> None:
    generator = np.random.default_rng(0)
    normal_ND = generator.standard_normal((3000, 48))
    stretched_ND = normal_ND * np.geomspace(2, 0.2, 48)
    round_, long = View(normal_ND), View(stretched_ND)
    sigregs = [measure for measure in MEASURES if measure.key.startswith("sigreg")]
    found = {measure.key: value_of(measure, long) / value_of(measure, round_) for measure in sigregs}
    assert found["sigreg_shape_axes"] > 1.5 * found["sigreg_shape"] > 5
    assert found["sigreg_whitened"] == pytest.approx(1, rel=0.1)
    assert found["sigreg_whitened_axes"] == pytest.approx(1, rel=0.1)
    cube = View(generator.uniform(-1, 1, (3000, 48)) ** 3 * np.geomspace(2, 0.2, 48))
    assert isotropy.sigreg_along(cube.whitened_NR) > 10 * isotropy.sigreg_along(long.whitened_NR)


def test_the_participation_ratio_counts_dimensions_over_d() -> None:
    assert isotropy.participation_ratio(np.r_[np.full(3, 2.0), np.zeros(9)]) == pytest.approx(3 / 12)
    assert isotropy.participation_ratio(np.zeros(4)) == 0


def test_shape_and_whitened_are_standardised() -> None:
    view = View(sample())
    assert np.cov(view.shape_ND, rowvar=False).trace() == pytest.approx(7)
    np.testing.assert_allclose(np.cov(view.whitened_NR, rowvar=False), np.eye(7), atol=1e-10)
    assert View(sample(5, 40)).whitened_NR.shape == (5, 4)


def test_sigreg_sees_scale_shift_and_shape() -> None:
    gaussian_ND = np.random.default_rng(1).standard_normal((2000, 8))
    two_points_ND = np.sign(gaussian_ND[:, :1]) * np.ones(8)
    base = isotropy.sigreg(gaussian_ND, directions=128)
    for other_ND in (2 * gaussian_ND, gaussian_ND + 0.5, gaussian_ND / 2, two_points_ND):
        assert isotropy.sigreg(other_ND, directions=128) > 20 * base


@pytest.mark.parametrize("dimension", [1, 2, 64, 768])
def test_chi_moments(dimension: int) -> None:
    mean, std = isotropy.chi_moments(dimension)
    assert mean**2 + std**2 == pytest.approx(dimension)
    if dimension == 1:
        assert mean == pytest.approx(math.sqrt(2 / math.pi))
    if dimension == 2:
        assert mean == pytest.approx(math.sqrt(math.pi / 2))


TRANSFORMED: dict[str, Callable[[Floats], Floats]] = {
    "translation": lambda x: x + np.linspace(0.1, 0.6, x.shape[1]),
    "scale": lambda x: 1.7 * x,
    "rotation": lambda x: x @ rotation(x.shape[1]),
}


@pytest.mark.parametrize("transformation", TRANSFORMED)
@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.key)
def test_a_measure_is_invariant_to_what_it_says_and_to_nothing_else(measure: Measure, transformation: str) -> None:
    embeddings_ND = sample() / 5
    value = value_of(measure, both(embeddings_ND))
    moved = value_of(measure, both(TRANSFORMED[transformation](embeddings_ND)))
    if transformation in measure.invariant:
        assert moved == pytest.approx(value, rel=1e-6)
    elif measure.has_interval:  # a p-value that is 0 stays 0
        assert abs(moved - value) > 1e-4 * abs(value)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.key)
def test_the_order_of_rows_changes_nothing_and_other_rows_do(measure: Measure) -> None:
    embeddings_ND = sample() / 5
    documents_ND, queries_QD = np.split(embeddings_ND, [240])
    order = np.random.default_rng(2).permutation(240)
    relevant_P2 = np.stack([np.arange(60), np.arange(60)], axis=1)
    shuffled_P2 = np.stack([np.arange(60), np.argsort(order)[:60]], axis=1)
    value = value_of(measure, Embedded(documents_ND, queries_QD, relevant_P2=relevant_P2).views(0)[-1])
    shuffled = Embedded(documents_ND[order], queries_QD, relevant_P2=shuffled_P2).views(0)[-1]
    if not measure.key.startswith("random") and not measure.key.endswith("ratio"):  # random documents are others then
        assert value_of(measure, shuffled) == pytest.approx(value, rel=1e-6)
    if measure.has_interval:
        assert value_of(measure, both(sample(seed=1) / 5)) != pytest.approx(value, rel=1e-4)


@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_scale_moves_no_measure_of_shape(scale: float, seed: int) -> None:
    embeddings_ND = sample(30, 4, seed)
    views = both(embeddings_ND), both(scale * embeddings_ND + 0.1 * scale)
    shapes = [measure for measure in MEASURES if {"scale", "translation"} <= measure.invariant]
    assert len(shapes) >= 20
    for measure in shapes:
        first, second = (value_of(measure, view) for view in views)
        assert second == pytest.approx(first, rel=1e-6, abs=1e-12), measure.key


LINE = np.outer(np.random.default_rng(3).standard_normal(400), np.linspace(1, 2, 6))  # a spectrum of one dimension

ENDS = {  # N(0, I) of 4,000 rows and 16 dimensions, its sampling error, and a line
    "participation_ratio": (1, 0.02, 1 / 6),
    "iso_score": (1, 0.02, 0),
    "iso_score_star": (1, 0.02, 0),
    "effective_rank": (16, 0.1, 1),
    "top_variance": (1 / 16, 0.015, 1),
    "partition_second_order": (1, 0.1, (1 + 0) / (1 + 6 / 2)),
    "mean_cosine": (0, 0.002, None),
    "uniformity": (-3.52, 0.02, None),
    "mardia_skewness": (16 * 17 * 18 / 4000, 0.1, None),  # 0 of infinitely many rows
    "mardia_kurtosis": (16 * 18, 3, None),
    "norm_ks": (0, 0.03, None),
    "norm_ks_shape": (0, 0.03, None),
    "hubness_skewness": (1.7, 0.5, None),
    "sigreg_shape_axes": (0, 2e-3, None),
    "mean_gap": (0, 0.1, None),
}


@pytest.mark.parametrize("key", ENDS)
def test_known_distributions_have_the_known_values(key: str) -> None:
    (measure,) = (measure for measure in MEASURES if measure.key == key)
    normal, error, line = ENDS[key]
    drawn = both(np.random.default_rng(11).standard_normal((4000, 16)))
    assert value_of(measure, drawn) == pytest.approx(normal, abs=error)
    if line is not None:
        assert value_of(measure, both(LINE)) == pytest.approx(line, abs=1e-6)


def test_uniformity_of_gaussian_directions_is_that_of_the_sphere() -> None:
    """The mean of exp(-2 |x - y|²) on the circle is exp(-4) times the Bessel function I0(4)."""
    circle_ND = isotropy.unit_rows(np.random.default_rng(0).standard_normal((4000, 2)))
    assert isotropy.uniformity(circle_ND) == pytest.approx(math.log(math.exp(-4) * np.i0(4.0)), abs=0.01)
    few_ND = isotropy.unit_rows(sample(9, 3))
    pairs = [np.exp(-2 * ((few_ND[i] - few_ND[j]) ** 2).sum()) for i in range(9) for j in range(9) if i != j]
    assert isotropy.uniformity(few_ND) == pytest.approx(math.log(np.mean(pairs)), rel=1e-5)


def test_iso_score_star_shrinks_towards_the_stable_covariance() -> None:
    covariance_DD, stable_DD = np.diag([4.0, 1.0, 0.0]), np.eye(3)
    assert isotropy.iso_score_star(covariance_DD, stable_DD, 0) == pytest.approx(
        isotropy.iso_score(np.array([4.0, 1.0, 0.0]))
    )
    assert isotropy.iso_score_star(covariance_DD, stable_DD, 1) == pytest.approx(1)
    assert isotropy.iso_score_star(covariance_DD, stable_DD, 0.5) == pytest.approx(
        isotropy.iso_score(np.array([2.5, 1.0, 0.5]))
    )
    few_ND, many_ND = (np.random.default_rng(seed).standard_normal((rows, 20)) for seed, rows in enumerate((30, 3000)))
    _, queries, _ = Embedded(many_ND, few_ND).views(0)
    found = {measure.key: value_of(measure, queries) for measure in MEASURES if measure.key.startswith("iso_score")}
    assert 1 > found["iso_score_star"] > found["iso_score"] + 0.05


def test_every_measure_is_explained() -> None:
    page = (Path(__file__).parents[2] / "docs" / "analyze.md").read_text(encoding="utf-8")
    keys = [measure.key for measure in MEASURES]
    assert len(set(keys)) == len({measure.name for measure in MEASURES}) == len(keys)
    for measure in MEASURES:
        assert f"`{measure.key}`" in page, measure.key
        assert re.search(rf"^\| {re.escape(measure.name)} \|", page, re.MULTILINE), measure.name


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (np.ones((1, 4)), "at least 2"),
        (np.ones((5, 1)), "at least 2"),
        (np.ones(5), "at least 2"),
        (np.array([[0.0, 1.0], [np.nan, 0.0], [np.inf, 0.0]]), "2 of 3 embeddings .* row 1"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(embeddings: Floats, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        isotropy.as_matrix(embeddings)
    assert "\n" not in str(caught.value)
