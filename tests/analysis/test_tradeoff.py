"""The price of isotropy: which head is on which route, which two are compared, and what that shows."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ragcun.analysis.tradeoff import read_heads, route_of, tradeoff_json
from ragcun.cli.main import app
from ragcun.errors import UserError
from ragcun.evaluation.results import Cell, Result
from ragcun.heads.registry import HEADS
from ragcun.intact import write_record
from ragcun.settings.load import load_settings

METRIC = "nDCG@10"
QUERIES = 400


def trained(
    folder: Path, name: str, ratio: float, dev: float, scores: dict[str, float], seeds: int = 2, **flags: object
) -> None:
    """Write experiments and results: `scores` are means by dataset, "home" is in-domain; queries differ alike."""
    settings = load_settings(None, None, {name.replace("__", "."): value for name, value in flags.items()})
    for seed in range(seeds):
        label = f"{name} seed {seed}"
        shape = {"participation_ratio": ratio, "sigreg_shape_axes": 0.02 if ratio > 0.8 else 0.2}
        gaussian = {"participation_ratio": 0.9, "sigreg_shape_axes": 0.016}
        isotropy = {"documents": 9, "dimension": 8, "start": shape, "end": shape, "gaussian": gaussian}
        manifest = {"label": label, "settings": settings.model_dump(mode="json"), "dev": {"end": dev}}
        write_record(folder / "cells" / name / f"seed={seed}" / "manifest.json", manifest | {"isotropy": isotropy})
        for dataset, score in scores.items():
            hard = np.random.default_rng(0).uniform(-0.2, 0.2, QUERIES)
            noise = np.random.default_rng((seed, len(name))).uniform(-0.01, 0.01, QUERIES)
            cell = Cell(folder / "results", label, dataset, "test")
            cell.path.parent.mkdir(parents=True)
            values = score + hard + noise - noise.mean()
            queries = pa.table({"query_id": [str(q) for q in range(QUERIES)], METRIC: values})
            pq.write_table(queries, cell.path.with_name("scores.parquet"))
            cell.path.with_name("run.trec").write_text("", encoding="utf-8")
            domain = "in-domain" if dataset == "home" else "out-of-domain"
            cell.write(Result(label, dataset, "test", {METRIC: score}, {}, cell.path, label, domain=domain), {}, {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trained(tmp_path, "pca", 0.3, 0.40, {"home": 0.40, "away": 0.50}, 1, model__head="whiten", model__whiten_power=0)
    trained(tmp_path, "plain", 0.3, 0.52, {"home": 0.52, "away": 0.48}, training__lambda_isotropy=0)
    trained(
        tmp_path,
        "covariance=3",
        0.7,
        0.51,
        {"home": 0.515, "away": 0.49},
        training__lambda_isotropy=0,
        training__lambda_covariance=3,
    )
    trained(
        tmp_path,
        "covariance=10",
        0.88,
        0.50,
        {"home": 0.50, "away": 0.481},
        training__lambda_isotropy=0,
        training__lambda_covariance=10,
    )
    return tmp_path


def test_an_isotropic_head_is_compared_with_the_best_other_head_on_dev(folder: Path) -> None:
    found = tradeoff_json(read_heads([folder]), 0.005, METRIC)

    heads = {head["name"]: head for head in found["heads"]}
    assert [name for name, head in heads.items() if head["isotropic"]] == ["covariance=10"]
    assert [name for name, head in heads.items() if head["reference"]] == ["plain"]
    against = heads["covariance=10"]["against_reference"]
    assert against["in-domain"]["difference"] == pytest.approx(-0.02)
    assert against["out-of-domain"]["difference"] == pytest.approx(0.001)
    low, high = against["out-of-domain"]["interval"]
    assert low < 0.001 < high
    (sentence,) = found["sentences"]
    assert "covariance=10" in sentence
    assert "in-domain worse (-2.00" in sentence
    assert "out-of-domain equivalent within 0.5 points (+0.10" in sentence


def test_a_narrower_margin_is_not_shown_by_the_same_scores(folder: Path) -> None:
    (sentence,) = tradeoff_json(read_heads([folder]), 0.0005, METRIC)["sentences"]
    assert "equivalent within" not in sentence


def test_the_frontier_has_heads_that_none_exceeds_in_both(folder: Path) -> None:
    found = tradeoff_json(read_heads([folder]), 0.005, METRIC)
    edges = {head["name"]: head["frontier"] for head in found["heads"]}
    assert edges == {
        "pca": ["out-of-domain"],
        "plain": ["in-domain"],
        "covariance=3": ["in-domain", "out-of-domain"],
        "covariance=10": ["in-domain", "out-of-domain"],
    }


def test_without_an_isotropic_head_there_is_no_test(tmp_path: Path) -> None:
    trained(tmp_path, "plain", 0.3, 0.52, {"home": 0.52}, training__lambda_isotropy=0)
    (sentence,) = tradeoff_json(read_heads([tmp_path]), 0.005, METRIC)["sentences"]
    assert "no test of isotropy" in sentence
    with pytest.raises(UserError, match=r"has no result\.json"):
        read_heads([tmp_path / "cells"])


def test_several_folders_give_the_settings_that_all_have(folder: Path, tmp_path: Path) -> None:
    other = tmp_path.parent / f"{tmp_path.name}-other"
    trained(other, "plain", 0.4, 0.62, {"home": 0.62}, training__lambda_isotropy=0)
    (head,) = read_heads([folder, other])
    assert (head.name, head.dev) == ("plain", pytest.approx(0.57))
    assert head.score("in-domain", METRIC) == pytest.approx(0.57)
    assert head.score("out-of-domain", METRIC) == pytest.approx(0.48)


def test_routes_follow_from_settings() -> None:
    def route(**flags: object) -> str:
        flags = {"training.lambda_isotropy": 0, **{k.replace("__", "."): v for k, v in flags.items()}}
        return route_of(load_settings(None, None, flags).model_dump(mode="json"))

    assert route() == "no treatment"
    assert route(model__init="whiten:0") == "no treatment"
    assert {route(model__head=name) for name, head in HEADS.items() if not head.trainable} == {
        "whitened after training"
    }
    assert route(model__init="whiten:0.5") == route(model__init="whiten:auto") == "whitened start"
    assert route(model__init="whiten:0.5", training__lambda_covariance=1) == "whitened start, covariance"
    assert route(training__lambda_axes=1, training__lambda_isotropy=1) == "isotropy, axes"


def test_the_command_writes_figures_and_a_table_that_report_has_too(folder: Path) -> None:
    output = folder / "price"
    done = CliRunner().invoke(app, ["analyze", "tradeoff", str(folder), "--output", str(output), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert json.loads((output / "tradeoff.json").read_text(encoding="utf-8"))["heads"] == found["heads"]
    assert {Path(path).suffix for path in found["figures"]} == {".pdf", ".png"}
    assert CliRunner().invoke(app, ["report", "latex", str(output)]).exit_code == 0
    assert "The price of isotropy" in (output / "tables" / "tradeoff.tex").read_text(encoding="utf-8")
    wrong = CliRunner().invoke(app, ["analyze", "tradeoff", str(folder), "--margin", "0"])
    assert isinstance(wrong.exception, UserError)
