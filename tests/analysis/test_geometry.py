"""The report: complete, deterministic, right for N(0, I), and defined where embeddings are degenerate."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ragcun.analysis.geometry import gaussian, measure, report, sample_rows
from ragcun.analysis.measures import MEASURES
from ragcun.analysis.reports import IsotropyReport, gaussian_columns, isotropy_table, read_reports
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
    found = report(measure("model", normal(200, 8) * 3 + 1, seed=2), "data", population=600, seed=2)
    assert set(found.measures) == set(found.gaussian) == {entry.key for entry in MEASURES}
    assert (found.rows, found.population, found.dimension) == (200, 600, 8)
    assert found.gaussian == gaussian(200, 8, 2).measures
    assert found.measures["sigreg"] > 10 * found.gaussian["sigreg"]


def test_exact_values_are_those_of_a_large_gaussian_sample() -> None:
    sampled = gaussian(4000, 12).measures
    exact = {entry.key: entry.exact(12) for entry in MEASURES if entry.exact is not None}
    assert {"norm_mean", "norm_std", "mean_square", "mean_cosine"} <= exact.keys()
    for key, value in exact.items():
        assert sampled[key] == pytest.approx(value, rel=0.05, abs=1e-3), key


def test_the_same_seed_gives_the_same_measures_and_another_seed_other_slices() -> None:
    embeddings_ND = normal(50, 6)
    first, again = (report(measure("m", embeddings_ND, seed=1), seed=1) for _ in range(2))
    gaussian.cache_clear()
    assert first == again == report(measure("m", embeddings_ND, seed=1), seed=1)
    assert first.measures["sigreg"] != measure("m", embeddings_ND, seed=2).measures["sigreg"]


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
    found = measure(name, DEGENERATE[name])
    assert all(math.isfinite(value) for value in found.measures.values())
    assert 0 <= found.measures["iso_score"] <= 1 + 1e-9
    assert 0 <= found.measures["nearest_ratio"] <= 1 + 1e-9
    assert found.measures["effective_rank"] <= min(found.rows - 1, found.dimension) + 1e-6


def test_a_collapse_is_measured_as_one() -> None:
    measures = measure("equal", DEGENERATE["equal rows"]).measures
    assert measures["iso_score"] == measures["effective_rank"] == measures["pair_mean"] == 0
    assert measures["top_variance"] == measures["nearest_ratio"] == 1
    assert measures["mean_cosine"] == pytest.approx(1)
    twice = measure("twice", DEGENERATE["each row twice"]).measures
    assert twice["nearest_ratio"] == pytest.approx(0, abs=1e-6)


def test_a_report_survives_its_file(tmp_path: Path) -> None:
    found = report(measure("a", normal(40, 3)), "b")
    write_json(tmp_path / "isotropy.json", {"results": [found.to_json()]})
    assert read_reports(tmp_path / "isotropy.json") == [found]
    assert json.dumps(found.to_json(), allow_nan=False)


def test_a_file_of_an_earlier_version_is_read_and_what_it_lacks_is_a_dash(tmp_path: Path) -> None:
    new = report(measure("new", normal(40, 3)), "b")
    old = new.to_json() | {"model": "old", "measures": {"sigreg": 0.25, "gone": 1.0}, "gaussian": {"sigreg": 0.25}}
    old["chi"] = old.pop("exact")
    write_json(tmp_path / "isotropy.json", {"results": [old, new.to_json()]})
    reports = read_reports(tmp_path / "isotropy.json")
    table = isotropy_table(reports)
    assert len(table.rows) == len(MEASURES)
    shown = {str(first.value): [cell.value for cell in rest] for first, *rest in table.rows}
    assert shown["IsoScore ↑"][:2] == [None, new.measures["iso_score"]]
    assert shown["SIGReg statistic ↓"][0] == 0.25
    assert len(isotropy_table(reports[:1]).rows) == 1


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
