"""A run that another system made stands beside all others: its file is found, checked, scored and compared."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
import pytrec_eval

from ragcun.data.collection import Collection, write_collection
from ragcun.errors import Failure, UserError
from ragcun.evaluation.beir import evaluate, evaluate_tasks, identify_all
from ragcun.evaluation.footnotes import settings_text
from ragcun.evaluation.systems import compare_systems, read_systems
from ragcun.evaluation.tasks import open_task
from ragcun.retrieval.registry import entry
from ragcun.retrieval.retrievers import RetrieverOptions
from ragcun.retrieval.run_files import RunFiles
from ragcun.retrieval.runs import read_run


@pytest.fixture
def options(tmp_path: Path) -> RetrieverOptions:
    return RetrieverOptions(tmp_path / "store", device="cpu")


def lines(run: dict[str, dict[str, float]]) -> str:
    return "".join(f"{q} Q0 {d} {i} {s} theirs\n" for q, found in run.items() for i, (d, s) in enumerate(found.items()))


def test_a_run_of_ragcun_read_back_is_the_same_system(
    collection: Path, options: RetrieverOptions, tmp_path: Path
) -> None:
    (ours,) = evaluate(["bm25"], [collection], tmp_path / "ours", options)
    with gzip.open(tmp_path / "theirs.trec.gz", "wt", encoding="utf-8") as stream:
        stream.write("# ir_metadata.start\n# platform:\n#   os: none\n# ir_metadata.end\n\n")
        stream.write(ours.run.read_text("utf-8"))
    model = f"SPLADE=run:{tmp_path / 'theirs.trec.gz'}"
    (theirs,) = evaluate([model], [collection], tmp_path / "theirs", options)
    assert (theirs.label, theirs.model, theirs.metrics) == ("SPLADE", model, ours.metrics)
    assert read_run(theirs.run) == read_run(ours.run)
    assert theirs.scores.read_bytes() == ours.scores.read_bytes()
    before = theirs.path.stat().st_mtime_ns
    (again,) = evaluate([model], [collection], tmp_path / "theirs", options)
    assert (again, again.path.stat().st_mtime_ns) == (theirs, before)
    assert settings_text(theirs.settings) == "scored from the run theirs.trec.gz"
    rows = compare_systems(read_systems([str(tmp_path / "ours"), str(tmp_path / "theirs")]))
    assert [(row.label, row.against and row.against.ties) for row in rows] == [("BM25", None), ("SPLADE", 8)]


def test_a_run_is_scored_as_trec_eval_does_and_what_is_odd_is_told(
    collection: Path, options: RetrieverOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    qrels = Collection.open(collection).qrels("test")
    queries = list(qrels)
    run = {query: {"nowhere": 3.0, f"d{i}": 2.0, "d32": 2.0, "d1": 1.0} for i, query in enumerate(queries[:5], 32)}
    run["q0"], run["stranger"] = {"d1": 1.0}, {"d1": 1.0}
    path = tmp_path / "odd.run"
    path.write_text(lines(run), "utf-8")
    (result,) = evaluate([f"run:{path}"], [collection], tmp_path / "results", options)
    right = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10"}).evaluate(run)
    assert result.metrics["nDCG@10"] == pytest.approx(sum(one["ndcg_cut_10"] for one in right.values()) / 8)
    assert (result.label, result.queries) == ("odd", 8)
    assert read_run(result.run)[queries[0]]["nowhere"] == 3.0
    said = " ".join(capsys.readouterr().err.split())
    assert "3 of 8 judged queries have no results and score 0" in said
    assert "1 queries are not in the collection and are left out" in said
    assert "5 results are documents that are not in the corpus, such as 'nowhere'" in said
    content = json.loads(result.path.read_text("utf-8"))
    assert content["settings"]["read"]["answered_queries"] == 5


def test_ids_with_white_space_are_found_in_both_spellings(options: RetrieverOptions, tmp_path: Path) -> None:
    folder = write_collection(
        tmp_path / "odd", [("a b", "", "x"), ("100%25", "", "y")], [("q 1", "x")], {"test": [("q 1", "100%25", 1)]}
    )
    for name, text in {
        "ours": "q%201 Q0 a%20b 1 2 t\nq%201 Q0 100%2525 2 1 t\n",
        "theirs": "q%201 Q0 100%25 1 1 t\n",
    }.items():
        (tmp_path / f"{name}.trec").write_text(text, "utf-8")
        (result,) = evaluate([f"run:{tmp_path / name}.trec"], [folder], tmp_path / name, options)
        assert "100%25" in read_run(result.run)["q 1"]
        assert result.settings["read"]["unknown_documents"] == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("q99 Q0 d1 1 1 t\n", "has no judged query of animals (test); its queries are called, for example, 'q99'"),
        ("q32 Q0 x 1 1 t\n", "none of its documents is in the corpus of animals"),
        ("q32 Q0 d1 1 1\n", "not `query Q0 document rank score tag`"),
    ],
)
def test_a_run_of_something_else_is_refused(
    text: str, problem: str, collection: Path, options: RetrieverOptions, tmp_path: Path
) -> None:
    (tmp_path / "bad.trec").write_text(text, "utf-8")
    with pytest.raises(UserError) as refused:
        evaluate([f"run:{tmp_path / 'bad.trec'}"], [collection], tmp_path / "results", options)
    assert problem in str(refused.value)
    assert not list((tmp_path / "results").rglob("result.json"))


def test_the_file_of_a_dataset_is_the_one_that_names_it(tmp_path: Path) -> None:
    for name in ("bm25.nq.txt", "nano-nq.trec", "scifact/test/run.trec", "scifact/dev/run.trec", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", "utf-8")
    files = RunFiles.parse(str(tmp_path))
    assert files.find("nq", "test") == tmp_path / "bm25.nq.txt"
    assert files.find("nano-nq", "test") == tmp_path / "nano-nq.trec"
    assert files.find("scifact", "dev") == tmp_path / "scifact/dev/run.trec"
    with pytest.raises(UserError, match=r"has 2 runs of scifact \(train\).* give a pattern such as"):
        files.find("scifact", "train")
    with pytest.raises(UserError, match="has no run of fiqa"):
        files.find("fiqa", "test")
    pattern = RunFiles.parse(f"{tmp_path}/bm25.{{dataset}}.txt")
    assert (pattern.find("nq", "test"), pattern.name) == (tmp_path / "bm25.nq.txt", "bm25")
    with pytest.raises(UserError, match=r"bm25\.fiqa\.txt: no such file"):
        pattern.find("fiqa", "test")
    with pytest.raises(UserError, match="no such file or folder"):
        entry(f"run:{tmp_path / 'none.trec'}")
    with pytest.raises(UserError, match="is a ranking"):
        entry("rrf:run:a.trec+bm25")


def test_a_dataset_without_a_run_fails_alone(collection: Path, options: RetrieverOptions, tmp_path: Path) -> None:
    (ours,) = evaluate(["bm25"], [collection], tmp_path / "ours", options)
    (tmp_path / "runs").mkdir()
    shutil.copy(ours.run, tmp_path / "runs" / "animals.trec")
    other = shutil.copytree(collection, tmp_path / "plants")
    failures: list[Failure] = []
    models = identify_all([f"run:{tmp_path / 'runs'}"], options, failures)
    tasks = [open_task(Collection.open(folder), "test") for folder in (other, collection)]
    results = evaluate_tasks(models, tasks, tmp_path / "theirs", options, failures)
    assert [result.dataset for result in results] == ["animals"]
    assert [(one.dataset, one.exit_code) for one in failures] == [("plants", 2)]
