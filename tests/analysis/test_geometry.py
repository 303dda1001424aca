"""The report: complete, deterministic, right for N(0, I), and defined where embeddings are degenerate."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragcun.analysis import geometry, reference
from ragcun.analysis.geometry import Geometry, sample_rows
from ragcun.analysis.measures import MEASURES
from ragcun.analysis.reference import beside_gaussian, gaussians
from ragcun.analysis.reports import IsotropyReport, isotropy_table, paper_table, read_reports
from ragcun.analysis.sets import Sizes
from ragcun.analysis.view import View
from ragcun.errors import RagcunError
from ragcun.files import ragcun_cache, write_json

OF_BOTH = {entry.key for entry in MEASURES if entry.function(View(np.eye(4))) is None}


def measure(label: str, embeddings: np.ndarray, seed: int = 0) -> Geometry:
    return geometry.measure(label, View(embeddings, seed))


def gaussian(rows: int, dimension: int, seed: int = 0) -> Geometry:
    return gaussians(Sizes(rows, 0, 0, dimension), seed)["documents"]


def report(measured: Geometry, data: str = "", population: int | None = None, seed: int = 0) -> IsotropyReport:
    sample = gaussian(measured.rows, measured.dimension, seed)
    return beside_gaussian(measured, sample, seed, data, population)


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
    assert set(found.measures) == set(found.gaussian) == {entry.key for entry in MEASURES} - OF_BOTH
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
    assert len(table.rows) == len(MEASURES) - len(OF_BOTH)
    shown = {str(first.value): [cell.value for cell in rest] for first, *rest in table.rows}
    assert shown["IsoScore ↑"][:2] == [None, new.measures["iso_score"]]
    assert shown["SIGReg statistic ↓"][0] == 0.25
    assert len(isotropy_table(reports[:1]).rows) == 1


@pytest.mark.parametrize("content", [[], {"results": []}, {"results": [{"model": "a"}]}, {"results": 3}])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: object) -> None:
    write_json(tmp_path / "isotropy.json", content)
    with pytest.raises(RagcunError, match=r"isotropy\.json: (not an isotropy report|damaged)"):
        read_reports(tmp_path / "isotropy.json")


def test_a_gaussian_sample_is_measured_once_and_read_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = Sizes(60, 12, 3, 5)
    ticks: list[int] = []
    first = gaussians(sizes, 4, lambda: ticks.append(1))
    assert list(first) == ["documents", "queries", "both"]
    assert len(ticks) == 3 * len(MEASURES)

    def refuse(*_: object) -> None:
        raise AssertionError("measured again")

    with monkeypatch.context() as patched:
        patched.setattr(reference, "measure", refuse)
        again = gaussians(sizes, 4, lambda: ticks.append(1))
        with pytest.raises(AssertionError, match="measured again"):
            gaussians(sizes, 5)
    assert len(ticks) == 6 * len(MEASURES)
    for of in first:
        assert again[of].measures == first[of].measures
        np.testing.assert_array_equal(again[of].plane_N2, first[of].plane_N2)
    for damaged in ragcun_cache().glob("gaussian/*/both.npz"):
        content = bytearray(damaged.read_bytes())
        content[len(content) // 3] ^= 1
        damaged.write_bytes(content)
    assert gaussians(sizes, 4)["both"].measures == first["both"].measures
    assert "both.npz: damaged" in " ".join(capsys.readouterr().err.split())


def of_shape(rows: int, dimension: int, of: str = "documents", model: str = "m") -> IsotropyReport:
    here, there = {"iso_score": 0.5, "effective_rank": 2.0}, {"iso_score": float(rows + dimension)}
    return IsotropyReport(model, "d", rows, rows, dimension, 0, 1, here, there, {}, of=of)


def test_one_gaussian_column_for_each_shape() -> None:
    def names(*shapes: tuple[int, int]) -> list[str]:
        reports = [of_shape(*shape, model=str(place)) for place, shape in enumerate(shapes)]
        return [column.name for column in isotropy_table(reports).columns[1 + len(shapes) :]]

    assert names((9, 3), (9, 3)) == ["N(0, I)"]
    assert names((9, 3), (9, 4)) == ["N(0, I), d = 3", "N(0, I), d = 4"]
    assert names((9, 3), (8, 3), (9, 4)) == ["N(0, I), 9 x 3", "N(0, I), 8 x 3", "N(0, I), d = 4"]


def test_documents_queries_and_both_are_groups_beside_samples_of_their_size() -> None:
    reports = [of_shape(rows, 3, of) for of, rows in (("documents", 90), ("queries", 9), ("both", 99))]
    table = isotropy_table(reports)
    assert [column.name for column in table.columns] == ["Embeddings", "Measure", "m", "N(0, I)"]
    assert [group[0][0].value for group in table.groups] == ["documents", "queries", "both"]
    assert [group[0][3].value for group in table.groups] == [93, 12, 102]
    assert "90 documents, 9 queries, 99 rows of both of d" in table.title


def test_the_table_for_a_paper_has_six_rows_of_documents() -> None:
    found = [replace(of_shape(90, 3), measures={entry.key: 0.5 for entry in MEASURES}), of_shape(9, 3, "queries")]
    table = paper_table(found)
    assert len(table.rows) == sum(entry.headline for entry in MEASURES) == 6
    assert [column.name for column in table.columns] == ["Measure", "m", "N(0, I)"]


def test_intervals_stand_behind_their_values() -> None:
    table = isotropy_table([replace(of_shape(90, 3), intervals={"iso_score": [0.4, 0.6]})])
    assert [row[1].interval for row in table.rows] == [(0.4, 0.6), None]
