"""A paper's folder: what its main table says, where its numbers are from, and that it compiles."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragcun.data.collection import Collection, write_collection
from ragcun.errors import UserError
from ragcun.evaluation.results import Result
from ragcun.files import write_json
from ragcun.intact import checksum, write_record
from ragcun.report.page.queries import Asked
from ragcun.report.paper import references
from ragcun.report.paper.artefact import anonymous
from ragcun.report.paper.inputs import read_inputs
from ragcun.report.paper.queries import Paired, examples_table, helps_table
from ragcun.report.paper.scores import Choice, find_scores, main_table
from ragcun.report.paper.write import write_paper
from ragcun.report.write import compile_pdf
from ragcun.retrieval.runs import write_run
from ragcun.table import Cell, Table

needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")

OURS = "lambda_covariance=1 seed {}"
DATASETS = ("nfcorpus", "scifact", "my_own")


def add(folder: Path, label: str, dataset: str, scores: np.ndarray, domain: str | None = None) -> None:
    cell = folder / "cells" / label.replace(" ", "-") / dataset / "test"
    cell.mkdir(parents=True)
    queries = [f"q{n}" for n in range(len(scores))]
    pq.write_table(pa.table({"query_id": queries, "nDCG@10": scores}), cell / "scores.parquet")
    content = {
        "model": f"/home/somebody/secret/{label}",
        "label": label,
        "dataset": dataset,
        "split": "test",
        "domain": domain,
        "metrics": {"nDCG@10": float(scores.mean())},
        "queries": len(scores),
        "documents": 1000,
        "seconds": 2.0,
        "settings": {"parameters": 1_000_000, "dimension": 8},
        "environment": {"packages": {"numpy": "2"}, "git": {"commit": "abc", "dirty": False}},
    }
    write_record(cell / "result.json", content, [cell / "scores.parquet"])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weak and a strong baseline, and three seeds of ours: better than one, worse than the other, the same on one."""
    folder = tmp_path_factory.mktemp("experiment") / "results"
    generator = np.random.default_rng(0)
    for dataset in DATASETS:
        base = generator.uniform(0.2, 0.6, 60)
        add(folder, "weak", dataset, base)
        if dataset != "my_own":
            add(folder, "strong", dataset, base + 0.3)
        for seed in range(3):
            gain = 0.2 if dataset != "my_own" else generator.normal(0, 0.01, 60)
            domain = "in-domain" if dataset == "nfcorpus" else "out-of-domain"
            add(folder, OURS.format(seed), dataset, base + gain + generator.normal(0, 0.005, 60) + seed / 1000, domain)
    return folder


def table_of(results: Path, **chosen: object) -> Table:
    inputs = read_inputs([str(results)])
    return main_table(inputs, find_scores(inputs, Choice(**chosen)))  # type: ignore[arg-type]


def row_of(table: Table, label: str) -> dict[str, Cell]:
    row = next(row for row in table.rows if row[0].value == label)
    return dict(zip((column.name for column in table.columns), row, strict=True))


def test_seeds_are_one_row_with_mean_deviation_and_sources(results: Path) -> None:
    table = table_of(results)
    assert [column.name for column in table.columns][1:4] == ["NFCorpus (in-domain)", "SciFact", "my_own"]
    assert table.headings == ["Baselines", "Ours"]
    ours = row_of(table, "λ_cov = 1")["SciFact"]
    sources = [results.parent / source for source in ours.sources]
    scores = [json.loads(path.read_text())["metrics"]["nDCG@10"] for path in sources]
    assert len(scores) == 3
    assert ours.value == pytest.approx(np.mean(scores))
    assert ours.deviation == pytest.approx(np.std(scores, ddof=1))


def test_marks_name_the_baselines_that_a_test_tells_apart(results: Path) -> None:
    table = table_of(results)
    letters = {row[0].value: row[0].mark for row in table.groups[0]}
    ours = row_of(table, "λ_cov = 1")
    assert ours["SciFact"].mark == f"†{letters['weak']}‡{letters['strong']}"
    assert ours["my_own"].mark == ""
    assert all(cell.mark == "" for row in table.groups[0] for cell in row[1:])


def test_an_average_is_of_what_is_complete_and_not_trained_on(results: Path) -> None:
    table = table_of(results)
    assert table.columns[-1].name == "Avg. out-of-domain"
    ours = row_of(table, "λ_cov = 1")
    assert ours["Avg. out-of-domain"].value == pytest.approx((ours["SciFact"].value + ours["my_own"].value) / 2)  # type: ignore[operator]
    assert row_of(table, "strong")["Avg. out-of-domain"].value is None
    beir = table_of(results, average="beir14")
    assert beir.columns[-1].name == "my_own"
    assert any("average beir14 is not shown" in note.text for note in beir.notes)


def test_published_values_are_apart_and_never_best(results: Path) -> None:
    table = table_of(results, published=("bm25",), datasets=("scifact", "my_own"))
    assert table.headings[-1].startswith("Published")
    published = row_of(table, "bm25")
    assert published["SciFact"].value == 0.6789
    assert not published["SciFact"].bold
    assert published["Average" if "Average" in published else "Avg. out-of-domain"].value is None
    assert row_of(table, "strong")["SciFact"].bold


def test_order_and_datasets_are_the_callers_and_must_exist(results: Path) -> None:
    table = table_of(results, order=("weak",), datasets=("scifact",))
    assert [row[0].value for row in table.groups[0]] == ["weak", "strong"]
    assert [column.name for column in table.columns] == ["Model", "SciFact"]
    with pytest.raises(UserError, match=r"dataset 'scifcat'.*did you mean scifact"):
        table_of(results, datasets=("scifcat",))
    with pytest.raises(UserError, match="system 'nobody'"):
        table_of(results, baselines=("nobody",))


def test_the_folder_is_the_same_wherever_the_results_are_and_numbers_are_traced(results: Path, tmp_path: Path) -> None:
    write_paper([str(results)], tmp_path / "one", Choice())
    moved = shutil.copytree(results, tmp_path / "elsewhere" / "results")
    written = write_paper([str(moved)], tmp_path / "two", Choice())
    for path in written:
        other = tmp_path / "one" / path.relative_to(tmp_path / "two")
        assert path.read_bytes() == other.read_bytes(), path.name
    record = json.loads((tmp_path / "one" / "provenance.json").read_text())
    numbers = record["numbers"]["main"]
    assert {number["column"] for number in numbers} >= {"SciFact", "my_own"}
    for number in numbers:
        for source in number["from"]:
            assert record["sources"][source] == checksum(results.parent / source)


def test_what_somebody_wrote_is_kept(results: Path, tmp_path: Path) -> None:
    first, *_ = write_paper([str(results)], tmp_path, Choice())
    first.write_text(first.read_text() + "% mine\n")
    write_paper([str(results)], tmp_path, Choice(datasets=("scifact",)))
    assert first.read_text().endswith("% mine\n")
    assert "SciFact" in (tmp_path / "tables" / "main.tex").read_text()
    first.unlink()
    write_paper([str(results)], tmp_path, Choice())
    assert not first.read_text().endswith("% mine\n")


def test_the_artefact_tells_nobody_and_makes_the_same_tables(results: Path, tmp_path: Path) -> None:
    *_, artefact = write_paper([str(results)], tmp_path / "paper", Choice())
    with zipfile.ZipFile(artefact) as archive:
        archive.extractall(tmp_path)
    texts = [path.read_bytes() for path in (tmp_path / "artefact").rglob("*") if path.is_file()]
    assert len(texts) > 20
    assert not any(b"somebody" in text or str(tmp_path).encode() in text for text in texts)
    again = tmp_path / "again"
    write_paper([str(tmp_path / "artefact" / "results" / "results")], again, Choice())
    for name in ("tables/main.tex", "tables/comparison.csv", "main.tex", "refs.bib"):
        assert (again / name).read_bytes() == (tmp_path / "paper" / name).read_bytes()
    assert "ragcun report paper results/results" in (tmp_path / "artefact" / "rebuild.sh").read_text()


def test_a_correlation_is_marked_where_it_is_found_and_missing_where_a_side_is_constant() -> None:
    generator = np.random.default_rng(0)
    base = generator.uniform(0, 1, 80)
    asked = Asked([f"q{n}" for n in range(80)], [], [], None, None, None)
    features = {"Query length (words)": np.full(80, 3.0), "Score of the baseline": base}
    paired = [Paired("scifact", asked, 1 - base, base, features, ("results/a.json",))]
    table = helps_table(paired, "ours", "base")
    (row,) = table.rows  # a feature without any correlation has no row
    assert row[1].value == pytest.approx(-1)
    assert row[1].mark == "*"
    assert row[1].sources == ("results/a.json",)
    assert examples_table(paired, "ours", "base") is None


def test_examples_are_the_extremes_with_their_relevant_documents_marked(tmp_path: Path) -> None:
    documents = [(f"d{n}", "", f"document {n}") for n in range(4)]
    queries = [(f"q{n}", f"question {n}") for n in range(3)]
    write_collection(tmp_path / "toy", documents, queries, {"test": [(f"q{n}", f"d{n}", 1) for n in range(3)]})
    runs = []
    for name in ("ours", "base"):
        path = tmp_path / name / "result.json"
        write_run(path.with_name("run.trec"), [{f"q{n}": {"d1": 2.0, "d0": 1.0} for n in range(3)}], name)
        runs.append(Result(name, "toy", "test", {}, {}, path))
    collection = Collection.open(tmp_path / "toy")
    asked = Asked(["q0", "q1", "q2"], [], runs, collection, collection.qrels("test"), None)
    paired = [Paired("toy", asked, np.array([1.0, 0.5, 0.1]), np.array([0.5, 0.5, 0.2]), {}, ())]
    table = examples_table(paired, "ours", "base")
    assert table is not None
    assert table.headings == ["toy, won (100 against 50): question 0", "toy, lost (10 against 20): question 2"]
    won = table.groups[0]
    assert [(cell.value, cell.mark) for cell in won[0]] == [("1", ""), ("document 1", ""), ("document 1", "")]
    assert [(cell.value, cell.mark) for cell in won[1]] == [("2", ""), ("document 0", "+"), ("document 0", "+")]


def test_claims_stand_in_the_paper_with_their_verdicts(tmp_path: Path) -> None:
    found = {"mean": -0.03, "low": -0.04, "high": -0.02, "p_value": 0.001, "power": 0.5, "needed": 9, "sample": 5}
    claim = {
        "key": "less",
        "claimed": "Less is more.",
        "rule": "helps",
        "margin": 0.005,
        "model": "m",
        "dataset": ["d"],
    }
    claims = [claim | {"found": found, "verdict": "refuted", "p_adjusted": 0.002}, claim | {"found": None, "why": "no"}]
    write_json(tmp_path / "claims" / "m" / "claims.json", {"claims": claims})
    write_paper([str(tmp_path / "claims")], tmp_path / "paper", Choice())
    text = (tmp_path / "paper" / "tables" / "claims.tex").read_text()
    assert "refuted" in text
    assert "not tested" in text
    assert json.loads((tmp_path / "paper" / "provenance.json").read_text())["numbers"]["claims"][0]["value"] == -0.03


def test_paths_are_cut_and_other_text_is_not() -> None:
    found = anonymous(
        {
            "a": ["/home/me/x/model", "run:/home/me/{dataset}.trec", "N/A and/or 1/2", "https://x.org/a/b"],
            "git": {"commit": "1"},
        }
    )
    assert found == {"a": ["model", "run:{dataset}.trec", "N/A and/or 1/2", "https://x.org/a/b"], "git": None}


def test_every_reference_is_an_entry() -> None:
    known = references.entries()
    assert len(known) > 30
    named = [*references.TESTS, *references.ISOTROPY, references.BENCHMARK, *references._TERMS.values()]
    named += [*references._DATASETS.values(), *(key for keys in references._MODELS.values() for key in keys)]
    assert set(named) <= known.keys()
    assert references.of_datasets(["nfcorpus", "unknown"]) == ["Boteva2016Nfcorpus"]


@needs_latex
def test_the_article_compiles_to_the_same_bytes(results: Path, tmp_path: Path) -> None:
    main, *_ = write_paper([str(results)], tmp_path, Choice(published=("bm25",)))
    first = compile_pdf(main).read_bytes()
    assert compile_pdf(main).read_bytes() == first
    if shutil.which("pdftotext"):
        done = subprocess.run(
            ["pdftotext", str(tmp_path / "main.pdf"), "-"], capture_output=True, text=True, check=True
        )
        assert "λcov = 1" in done.stdout.replace(" =", " =")
        assert "??" not in done.stdout
        assert "(?)" not in done.stdout
