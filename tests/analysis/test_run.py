"""The analysis end to end: arrays or a model and a collection in, files out."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from ragcun.analysis.reports import read_reports
from ragcun.analysis.run import analyze, analyze_models
from ragcun.analysis.sets import Embedded
from ragcun.cli.analyze import app
from ragcun.data.collection import Collection
from ragcun.embedding.embedder import Embedder
from ragcun.errors import UserError
from ragcun.files import read_json


def test_labelled_arrays_become_reports_and_figures(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labelled = {
        "a": Embedded(generator.standard_normal((60, 5))),
        "b": Embedded(np.ones((60, 5)) + 0.01 * generator.random((60, 5))),
    }
    reports = analyze(labelled, tmp_path, seed=1, data="toy", populations={"documents": 90})
    assert [(report.model, report.rows, report.population) for report in reports] == [("a", 60, 90), ("b", 60, 90)]
    assert len(reports[0].spectrum) == 5
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


def ragcun(*arguments: str) -> Result:
    root = typer.Typer()
    root.add_typer(app, name="analyze")
    return CliRunner().invoke(root, ["analyze", "isotropy", *arguments])


def test_the_command_measures_documents_queries_and_both(
    tiny_model: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragcun.analysis.resampling.RESAMPLES", 4)
    arguments = ["--model", f"mine={tiny_model}", "--data", str(collection), "--sample", "30", "--split", "test"]
    folders = ["--store", str(tmp_path / "store"), "--output", str(tmp_path / "out")]
    done = ragcun(*arguments, *folders, "--runtime", "torch", "--intervals", "--json")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    documents, queries, both = printed["results"]
    assert {result["model"] for result in printed["results"]} == {"mine"}
    assert (documents["data"], documents["dimension"]) == ("animals", 32)
    assert [(part["of"], part["rows"], part["population"]) for part in (documents, queries, both)] == [
        ("documents", 30, 40),
        ("queries", 8, 8),
        ("both", 38, 48),
    ]
    assert documents["measures"]["norm_mean"] == pytest.approx(1, abs=1e-5)
    assert documents["settings"]["precision"] == "fp32"
    assert both["measures"]["retrieved_ratio"] < 1
    low, high = both["intervals"]["alignment"]
    assert low < both["measures"]["alignment"] < high
    assert all(Path(figure).is_file() for figure in printed["figures"])
    assert "IsoScore" in done.stderr
    assert "Robin Hood" not in done.stderr


def test_what_has_no_embeddings_is_refused(collection: Path) -> None:
    done = ragcun("--model", "bm25", "--data", str(collection))
    assert isinstance(done.exception, UserError)
    assert "bm25: not an encoder" in str(done.exception)
