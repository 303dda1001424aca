"""The report: complete, deterministic, right for N(0, I), and defined where embeddings are degenerate."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ragcun.analysis.geometry import gaussian, isotropy_report, measure, sample_rows
from ragcun.analysis.measures import MEASURES, IsotropyReport, gaussian_columns, read_reports
from ragcun.errors import UserError
from ragcun.files import write_json


def normal(rows: int, dimension: int, seed: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, dimension), dtype=np.float32)


def test_a_gaussian_sample_measures_as_theory_says() -> None:
    dimension = 16
    measures = measure("x", normal(4000, dimension)).measures
    assert measures["iso_score"] > 0.99
    assert measures["effective_rank"] == pytest.approx(dimension, rel=0.01)
    assert measures["norm_mean"] == pytest.approx(math.sqrt(dimension - 0.5), rel=0.01)
    assert measures["norm_std"] == pytest.approx(math.sqrt(0.5), rel=0.05)
    assert measures["mean_square"] == pytest.approx(1, rel=0.02)
    assert measures["variance_min"] == pytest.approx(1, abs=0.1)
    assert measures["variance_max"] == pytest.approx(1, abs=0.1)
    assert measures["pair_mean"] == pytest.approx(math.sqrt(2 * dimension - 1), rel=0.01)
    assert measures["mean_cosine"] == pytest.approx(0, abs=0.002)
    assert measures["partition"] > 0.7
    assert measures["sigreg"] < 1e-3
    assert measures["mean_vector_norm"] == pytest.approx(math.sqrt(dimension / 4000), rel=0.5)


def test_the_report_holds_every_measure_beside_that_of_an_equal_gaussian_sample() -> None:
    report = isotropy_report(normal(600, 8) * 3 + 1, "model", "data", seed=2, sample=200)
    assert set(report.measures) == set(report.gaussian) == {measure.key for measure in MEASURES}
    assert (report.rows, report.population, report.dimension) == (200, 600, 8)
    assert report.gaussian == gaussian(200, 8, 2).measures
    assert report.gaussian["norm_mean"] == pytest.approx(report.chi["norm_mean"], rel=0.06)
    assert report.measures["sigreg"] > 10 * report.gaussian["sigreg"]


def test_the_same_seed_gives_the_same_report_and_another_seed_another_sample() -> None:
    embeddings_ND = normal(300, 6)
    first, again = (isotropy_report(embeddings_ND, seed=1, sample=50) for _ in range(2))
    gaussian.cache_clear()
    assert first == again == isotropy_report(embeddings_ND, seed=1, sample=50)
    assert first.measures["norm_mean"] != isotropy_report(embeddings_ND, seed=2, sample=50).measures["norm_mean"]


def test_sampled_rows_are_distinct_and_ascending() -> None:
    rows = sample_rows(1000, 100, seed=3)
    assert len(rows) == 100
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(sample_rows(7, 100, seed=3), np.arange(7))


DEGENERATE = {
    "equal rows": np.full((6, 4), 0.1, dtype=np.float32),
    "zeros": np.zeros((6, 4), dtype=np.float32),
    "two rows": np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=np.float32),
    "fewer rows than dimensions": normal(5, 40),
    "a line": np.outer(np.arange(9.0), np.ones(4)).astype(np.float32),
    "a zero row": np.vstack([np.zeros((1, 4)), normal(9, 4)]).astype(np.float32),
    "each row twice": np.repeat(normal(8, 4), 2, axis=0),
    "huge": normal(20, 4) * np.float32(1e30),
    "tiny": normal(20, 4) * np.float32(1e-30),
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.filterwarnings("error")
def test_degenerate_embeddings_have_defined_measures(name: str) -> None:
    report = isotropy_report(DEGENERATE[name])
    assert all(math.isfinite(value) for value in report.measures.values())
    assert 0 <= report.measures["iso_score"] <= 1 + 1e-9
    assert 0 <= report.measures["nearest_ratio"] <= 1 + 1e-9
    assert report.measures["effective_rank"] <= min(report.rows - 1, report.dimension) + 1e-6


def test_a_collapse_is_measured_as_one() -> None:
    measures = isotropy_report(DEGENERATE["equal rows"]).measures
    assert measures["iso_score"] == measures["effective_rank"] == measures["pair_mean"] == 0
    assert measures["top_variance"] == measures["nearest_ratio"] == 1
    assert measures["mean_cosine"] == pytest.approx(1)
    twice = isotropy_report(DEGENERATE["each row twice"]).measures
    assert twice["nearest_ratio"] == pytest.approx(0, abs=1e-6)


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    report = isotropy_report(normal(40, 3), "a", "b")
    write_json(tmp_path / "isotropy.json", {"results": [report.to_json()]})
    assert read_reports(tmp_path / "isotropy.json") == [report]
    assert json.dumps(report.to_json(), allow_nan=False)


@pytest.mark.parametrize("content", [[], {"results": []}, {"results": [{"model": "a"}]}, {"results": 3}])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: object) -> None:
    write_json(tmp_path / "isotropy.json", content)
    with pytest.raises(UserError, match=r"isotropy\.json: no isotropy report"):
        read_reports(tmp_path / "isotropy.json")


def test_one_gaussian_column_for_each_shape() -> None:
    def column(rows: int, dimension: int) -> IsotropyReport:
        return IsotropyReport("m", "d", rows, rows, dimension, 0, 1, {}, {"x": rows + dimension}, {})

    assert gaussian_columns([column(9, 3), column(9, 3)]) == [("N(0, I)", {"x": 12})]
    assert [name for name, _ in gaussian_columns([column(9, 3), column(9, 4)])] == ["N(0, I), d = 3", "N(0, I), d = 4"]
    assert len(gaussian_columns([column(9, 3), column(8, 3), column(9, 4)])) == 3
