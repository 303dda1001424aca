"""From result files to a compiled article."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragcun.analysis.measures import MEASURES
from ragcun.analysis.reports import IsotropyReport
from ragcun.cli.report import app
from ragcun.errors import RagcunError, UserError
from ragcun.files import write_json, write_text
from ragcun.report import write
from ragcun.report.write import compile_pdf, write_tables

needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


def add_result(folder: Path, label: str, dataset: str, score: float) -> Path:
    path = folder / "cells" / label.replace("/", "-") / dataset / "test" / "result.json"
    settings = {"max_length": 256, "precision": "fp32", "similarity": "cosine"}
    write_json(
        path,
        {
            "model": label,
            "label": label,
            "dataset": dataset,
            "split": "test",
            "metrics": {"nDCG@10": score},
            "settings": settings,
        },
    )
    return path


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """Two models with awkward names on three datasets, one cell missing, and an isotropy report."""
    folder = tmp_path / "experiment"
    for label, scores in {"a_b&c%[1]": (0.645, 0.316, 0.5), "head ~λ^\\{": (0.6449, 0.4)}.items():
        for dataset, score in zip(("scifact", "nf_corpus", "x#y"), scores, strict=False):
            add_result(folder, label, dataset, score)
    measures = {measure.key: 0.5 for measure in MEASURES}
    report = IsotropyReport("a_b&c%[1]", "nf_corpus", 100, 3633, 8, 0, 8, measures, measures, {})
    write_json(folder / "isotropy.json", {"results": [report.to_json()], "figures": []})
    return folder


def test_tables_are_written_below_the_output(experiment: Path, tmp_path: Path) -> None:
    written = write_tables(experiment, tmp_path / "paper")
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        f"paper/tables/{name}.tex" for name in ("beir", "isotropy", "isotropy-all", "main")
    ]
    texts = [path.read_text(encoding="utf-8") for path in written]
    assert texts[0].count(r"\textbf{\tabnum{64.5}}") == 2
    assert r"\input{beir.tex}" in texts[3]
    assert [path.read_text(encoding="utf-8") for path in write_tables(experiment, tmp_path / "again")] == texts


@needs_latex
def test_the_article_compiles(experiment: Path) -> None:
    pdf = compile_pdf(write_tables(experiment)[-1])
    assert pdf == experiment / "tables" / "main.pdf"
    assert {path.suffix for path in pdf.parent.iterdir()} == {".tex", ".pdf"}
    if shutil.which("pdftotext"):
        words = subprocess.run(
            ["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True
        ).stdout
        assert "a b&c%[1]" in words  # the underscore is a rule
        assert "Partition-function isotropy" in words
        assert "–" in words


@needs_latex
def test_a_source_that_does_not_compile_is_reported_with_its_complaint(tmp_path: Path) -> None:
    write_text(tmp_path / "bad.tex", r"\documentclass{article}\begin{document}\undefined\end{document}")
    with pytest.raises(RagcunError, match=r"bad\.tex: pdflatex failed: ! Undefined control sequence"):
        compile_pdf(tmp_path / "bad.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tex"]


def test_no_latex_is_the_users_to_install(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write.shutil, "which", lambda name: None)
    assert not write.has_latex()
    with pytest.raises(UserError, match="LaTeX is not installed"):
        compile_pdf(experiment / "main.tex")


def test_what_is_missing_has_no_table(experiment: Path, tmp_path: Path) -> None:
    (experiment / "isotropy.json").rename(tmp_path / "elsewhere.json")
    assert [path.name for path in write_tables(experiment)] == ["beir.tex", "main.tex"]
    both = write_tables(experiment, isotropy=tmp_path / "elsewhere.json")
    assert [path.name for path in both] == ["beir.tex", "isotropy.tex", "isotropy-all.tex", "main.tex"]


def test_mistakes_are_named(experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        write_tables(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"contains neither a result\.json nor an isotropy\.json"):
        write_tables(tmp_path / "empty")
    write_json(experiment / "second" / "isotropy.json", {})
    with pytest.raises(UserError, match=r"2 files isotropy\.json"):
        write_tables(experiment)


def test_two_results_of_one_cell_are_refused_unless_equal(experiment: Path) -> None:
    add_result(experiment / "copy", "head ~λ^\\{", "scifact", 0.6449)
    write_tables(experiment)
    add_result(experiment / "copy", "head ~λ^\\{", "scifact", 0.7)
    with pytest.raises(UserError, match="different results of"):
        write_tables(experiment)


def test_a_file_that_is_no_result_is_named(experiment: Path) -> None:
    write_json(experiment / "cells" / "result.json", {"model": "a"})
    with pytest.raises(UserError, match=r"cells/result\.json: not an evaluation result"):
        write_tables(experiment)


def test_the_command_prints_paths_as_json_and_the_rest_elsewhere(experiment: Path) -> None:
    done = CliRunner().invoke(app, ["latex", str(experiment), "--digits", "2", "--json"])
    assert done.exit_code == 0, done.output
    files = [Path(path) for path in json.loads(done.stdout)["files"]]
    assert [path.name for path in files] == ["beir.tex", "isotropy.tex", "isotropy-all.tex", "main.tex"]
    assert "64.50" in files[0].read_text(encoding="utf-8")


def test_a_report_needs_no_torch(experiment: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ragcun.report.write import write_tables; "
        f"assert len(write_tables(Path({str(experiment)!r}))) == 4; "
        "assert not {'torch', 'pandas', 'matplotlib', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
