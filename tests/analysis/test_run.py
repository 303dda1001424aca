"""The analysis end to end: arrays or a model and a collection in, files out."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from ragcun.analysis.reports import read_reports
from ragcun.analysis.run import analyze, analyze_models
from ragcun.cli.analyze import app
from ragcun.data.collection import Collection
from ragcun.embedding.embedder import Embedder
from ragcun.errors import UserError
from ragcun.files import read_json


def test_labelled_arrays_become_reports_and_figures(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labelled = {"a": generator.standard_normal((90, 5)), "b": np.ones((90, 5)) + 0.01 * generator.random((90, 5))}
    reports = analyze(labelled, tmp_path, seed=1, sample=60, data="toy")
    assert [(report.model, report.rows, report.population) for report in reports] == [("a", 60, 90), ("b", 60, 90)]
    assert reports[0].measures["sigreg"] < reports[1].measures["sigreg"]
    assert reports[1].measures["mean_cosine"] > 0.99
    assert read_reports(tmp_path / "isotropy.json") == reports
    written = read_json(tmp_path / "isotropy.json")
    assert written["environment"]["packages"]["ragcun"]
    assert {"hardware", "git", "time"} <= written["environment"].keys()
    figures = written["figures"]
    assert len(figures) == 10
    assert all((tmp_path / figure).stat().st_size > 0 for figure in figures)


def test_two_models_of_one_name_are_refused(tiny_model: Path, collection: Path, tmp_path: Path) -> None:
    embedder = Embedder(str(tiny_model), tmp_path / "store")
    with pytest.raises(UserError, match=f"two models are called '{embedder.label}'"):
        analyze_models([embedder, embedder], Collection.open(collection), tmp_path / "out")


def test_the_command_measures_a_sample_of_the_documents(tiny_model: Path, collection: Path, tmp_path: Path) -> None:
    root = typer.Typer()
    root.add_typer(app, name="analyze")
    arguments = ["--model", str(tiny_model), "--data", str(collection), "--sample", "30"]
    folders = ["--store", str(tmp_path / "store"), "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(root, ["analyze", "isotropy", *arguments, *folders, "--json"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    (result,) = printed["results"]
    assert (result["data"], result["dimension"]) == ("animals", 32)
    assert result["model"] == Embedder(str(tiny_model), tmp_path / "store").label
    assert (result["rows"], result["population"]) == (30, 40)
    assert result["measures"]["norm_mean"] == pytest.approx(1, abs=1e-5)
    assert result["settings"]["precision"] == "fp32"
    assert all(Path(figure).is_file() for figure in printed["figures"])
    assert "IsoScore" in done.stderr
