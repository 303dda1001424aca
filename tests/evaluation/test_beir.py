"""Cells: computed once, from what they say, whole or absent."""

import json
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ragcun.data.collection import Collection, write_collection
from ragcun.embedding.resolve import resolve_model
from ragcun.errors import RagcunError, UserError
from ragcun.evaluation import beir, compute
from ragcun.evaluation.beir import evaluate, identify_all
from ragcun.evaluation.compare import compare
from ragcun.evaluation.compute import own_documents
from ragcun.evaluation.footnotes import settings_text
from ragcun.evaluation.metrics import DEPTH, MEASURES, score
from ragcun.evaluation.results import read_results, slug
from ragcun.lock import only_writer
from ragcun.retrieval.retrievers import RetrieverOptions
from ragcun.retrieval.runs import read_run


@pytest.fixture
def animals(collection: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(collection, tmp_path / "data" / "animals"))


@pytest.fixture
def encoding(tmp_path: Path) -> RetrieverOptions:
    return RetrieverOptions(tmp_path / "store", device="cpu")


@pytest.fixture
def ranked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The retrievers that were asked to rank, in order."""
    calls: list[str] = []

    def load(name: str, encoding: RetrieverOptions) -> Any:
        retriever = load_retriever(name, encoding)
        rank = retriever.rank

        def counted(*arguments: Any) -> Any:
            calls.append(retriever.label)
            return rank(*arguments)

        monkeypatch.setattr(retriever, "rank", counted)
        return retriever

    load_retriever = beir.load_retriever
    monkeypatch.setattr(beir, "load_retriever", load)
    return calls


def called(model: Path) -> str:
    return resolve_model(str(model)).label


def times(output: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}


def test_files_agree_with_the_result(
    animals: Path, tiny_model: Path, encoding: RetrieverOptions, tmp_path: Path
) -> None:
    output = tmp_path / "results"
    results = evaluate(["bm25", str(tiny_model)], [animals], output, encoding)
    assert [(result.label, result.dataset, result.split) for result in results] == [
        ("BM25", "animals", "test"),
        (called(tiny_model), "animals", "test"),
    ]
    qrels = Collection.open(animals).qrels("test")
    for result in results:
        assert set(result.metrics) == set(MEASURES)
        assert 0 < result.metrics["nDCG@10"] <= 1
        assert (result.queries, result.documents) == (8, 40)
        run = read_run(result.run)
        assert set(run) == set(qrels)
        again = score(qrels, run)
        assert again.means() == pytest.approx(result.metrics, abs=1e-12)
        table = pq.read_table(result.scores).to_pydict()
        assert table.pop("query_id") == again.queries
        assert table == again.values
        stored = json.loads(result.path.read_text(encoding="utf-8"))
        assert stored["metrics"] == result.metrics
        assert stored["inputs"]["data"] == Collection.open(animals).fingerprint("test")
        assert stored["environment"]["packages"]["ragcun"]
    assert results[0].metrics["nDCG@10"] > 0.9  # a query shares four words with its document


def test_nothing_is_computed_twice(
    animals: Path, tiny_model: Path, encoding: RetrieverOptions, tmp_path: Path, ranked: list[str]
) -> None:
    output = tmp_path / "results"
    models = ["bm25", str(tiny_model)]
    first = evaluate(models, [animals], output, encoding)
    assert ranked == ["BM25", called(tiny_model)]
    before = times(output)
    assert len(before) == 6
    assert evaluate(models, [animals], output, encoding) == first
    assert ranked == ["BM25", called(tiny_model)]
    assert times(output) == before


def test_changed_inputs_are_computed_again(
    animals: Path, tiny_model: Path, encoding: RetrieverOptions, tmp_path: Path, ranked: list[str]
) -> None:
    output = tmp_path / "results"
    models = ["bm25", str(tiny_model)]
    first = evaluate(models, [animals], output, encoding)
    shorter = RetrieverOptions(encoding.store, max_length=4, device="cpu")
    evaluate(models, [animals], output, shorter)
    assert ranked == ["BM25", called(tiny_model), called(tiny_model)]  # BM25 has no maximum length
    qrels = animals / "qrels" / "test.tsv"
    qrels.write_text(qrels.read_text("utf-8").replace("q32\td32\t1", "q32\td33\t1"), encoding="utf-8")
    changed = evaluate(models, [animals], output, shorter)
    assert ranked[3:] == ["BM25", called(tiny_model)]
    assert changed[0].metrics["nDCG@10"] < first[0].metrics["nDCG@10"]
    changed[0].run.unlink()
    evaluate(models, [animals], output, shorter)
    assert ranked[5:] == ["BM25"]


def test_a_failure_keeps_the_old_cell_or_none(
    animals: Path, encoding: RetrieverOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "results"

    def full(*_: Any, **__: Any) -> None:
        raise RagcunError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(compute, "_write_scores", full)
        with pytest.raises(RagcunError, match="disk full"):
            evaluate(["bm25"], [animals], output, encoding)
    assert not list(output.rglob("result.json"))
    evaluate(["bm25"], [animals], output, encoding)
    before = times(output)
    (animals / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\n", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(compute, "score", full)
        with pytest.raises(RagcunError, match="disk full"):
            evaluate(["bm25"], [animals], output, encoding)
    assert times(output) == before
    assert evaluate(["bm25"], [animals], output, encoding)[0].queries == 1


def test_a_complete_cell_needs_no_torch(
    animals: Path, tiny_model: Path, encoding: RetrieverOptions, tmp_path: Path
) -> None:
    output = tmp_path / "results"
    evaluate([str(tiny_model)], [animals], output, encoding)
    code = f"""
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from ragcun.evaluation.beir import evaluate
from ragcun.lock import only_writer
from ragcun.retrieval.retrievers import RetrieverOptions
options = RetrieverOptions(Path("unused"), device="cpu")
evaluate([{str(tiny_model)!r}], [Path({str(animals)!r})], Path({str(output)!r}), options)
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_own_documents_are_not_found_unless_judged_relevant(encoding: RetrieverOptions, tmp_path: Path) -> None:
    corpus = [("1", "", "red fox"), ("2", "", "red fox sleeps"), ("3", "", "red whale"), ("4", "", "blue fox")]
    queries = [("1", "red fox"), ("4", "blue fox")]
    folder = write_collection(tmp_path / "own", corpus, queries, {"test": [("1", "2", 1), ("4", "4", 1)]})
    (result,) = evaluate(["bm25"], [folder], tmp_path / "results", encoding)
    run = read_run(result.run)
    assert "1" not in run["1"]
    assert next(iter(run["1"])) == "2"
    assert next(iter(run["4"])) == "4"
    assert result.metrics["MRR@10"] == 1.0


def test_an_id_alone_is_no_evidence_that_a_document_is_the_query(
    encoding: RetrieverOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = [("1", "", "blue whale"), ("2", "A title", "red fox"), ("3", "", "red fox sleeps")]
    queries = [("1", "blue fox"), ("2", "red fox")]
    qrels = {"test": [("1", "3", 1), ("2", "3", 1)]}
    folder = write_collection(tmp_path / "numbered", corpus, queries, qrels)
    (result,) = evaluate(["bm25"], [folder], tmp_path / "results", encoding)
    assert "1" in read_run(result.run)["1"]
    assert "2" not in read_run(result.run)["2"]
    assert "numbered: 1 of 2 queries are also documents" in capsys.readouterr().err

    arguana = Collection.open(folder, name="arguana")
    assert own_documents(arguana, arguana.qrels("test")).tolist() == [0, 1]


def test_long_labels_are_folders_of_their_own(
    animals: Path, tiny_model: Path, encoding: RetrieverOptions, tmp_path: Path
) -> None:
    assert slug("RRF of BM25 and m") == "RRF-of-BM25-and-m"
    long = ["é" * 150 + end for end in "ab"]
    names = [slug(label) for label in long]
    assert len(set(names)) == 2
    assert all(len(name.encode()) < 200 and name.startswith("é" * 75 + "-") for name in names)
    (result,) = evaluate([f"{tiny_model}:query={'find ' * 60}"], [animals], tmp_path / "results", encoding)
    assert result.run.is_file()


def test_two_models_of_one_name_are_refused(
    animals: Path, tiny_model: Path, encoding: RetrieverOptions, tmp_path: Path
) -> None:
    twin = shutil.copytree(tiny_model, tmp_path / "elsewhere" / called(tiny_model) / "model")
    with pytest.raises(UserError, match=r"both be called .* as in NAME=MODEL"):
        evaluate([str(tiny_model), str(twin)], [animals], tmp_path / "results", encoding)


def test_a_name_of_a_row_travels_to_its_files(animals: Path, encoding: RetrieverOptions, tmp_path: Path) -> None:
    names = ["bm25", "Ours=bm25", "Theirs=rrf:bm25+bm25:b=0.5"]
    results = evaluate(names, [animals], tmp_path, encoding)
    assert [(result.label, result.model) for result in results] == [
        ("BM25", "bm25"),
        ("Ours", "Ours=bm25"),
        ("Theirs", "Theirs=rrf:bm25+bm25:b=0.5"),
    ]
    assert results[1].run.read_text("utf-8").split()[5] == "Ours"
    assert read_results(tmp_path) == sorted(results, key=lambda result: result.path)
    indexed = identify_all(["Ours=bm25", "Theirs=rrf:bm25+bm25:b=0.5"], replace(encoding, index="hnsw"))
    assert [one.label for one in indexed.values()] == ["Ours", "Theirs (HNSW)"]  # BM25 has no index


def test_a_missing_split_is_told_before_anything_is_computed(
    animals: Path, encoding: RetrieverOptions, tmp_path: Path, ranked: list[str]
) -> None:
    other = write_collection(tmp_path / "other", [("d", "", "x")], [("q", "x")], {"train": [("q", "d", 1)]})
    with pytest.raises(UserError, match=r"has no split 'test'; its splits are train"):
        evaluate(["bm25"], [animals, other], tmp_path / "results", encoding)
    assert ranked == []


def test_an_index_is_another_row_that_says_its_recall(
    animals: Path, tiny_model: Path, encoding: RetrieverOptions, tmp_path: Path
) -> None:
    output = tmp_path / "results"
    models = [str(tiny_model), "bm25", f"rrf:bm25+{tiny_model}"]
    indexed = evaluate(models, [animals], output, replace(encoding, index="hnsw"))
    exact = evaluate(models, [animals], output, encoding)
    assert [result.label for result in indexed] == [
        f"{called(tiny_model)} (HNSW)",
        exact[1].label,
        f"RRF of {exact[1].label} and {called(tiny_model)} (HNSW)",
    ]
    index = indexed[0].settings["index"]
    assert (index["kind"], index["documents"], index["queries"]) == ("hnsw", 40, 8)
    assert index["recall"] == {"10": 1.0, str(DEPTH): 1.0}
    assert indexed[0].metrics == exact[0].metrics
    text = f"hnsw index of 40 documents, recall@10 1.000, recall@{DEPTH} 1.000 against exact search"
    assert text in settings_text(indexed[0].settings)
    assert text in settings_text(indexed[2].settings)
    assert "index" not in settings_text(exact[0].settings)


@pytest.mark.parametrize("name", ["run.trec", "scores.parquet", "result.json"])
def test_a_damaged_cell_is_told_and_computed_again(
    name: str, animals: Path, encoding: RetrieverOptions, tmp_path: Path, ranked: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (before,) = evaluate(["bm25"], [animals], tmp_path / "results", encoding)
    path = before.path.with_name(name)
    whole = path.read_bytes()
    content = bytearray(whole)
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if name != "run.trec":
        with pytest.raises(RagcunError, match=r"damaged .*computes it again"):
            compare(before.scores, before.scores)
    capsys.readouterr()

    (after,) = evaluate(["bm25"], [animals], tmp_path / "results", encoding)

    assert f"{name}: damaged" in " ".join(capsys.readouterr().err.split())
    assert after == before
    assert ranked == ["BM25", "BM25"]
    if name != "result.json":
        assert path.read_bytes() == whole


def test_a_cell_that_another_process_computes_is_waited_for_and_read(
    animals: Path, encoding: RetrieverOptions, tmp_path: Path, ranked: list[str]
) -> None:
    (other,) = evaluate(["bm25"], [animals], tmp_path / "other", encoding)
    ours = tmp_path / "results" / other.path.parent.relative_to(tmp_path / "other")
    started = threading.Event()

    def compute_it() -> None:
        with only_writer(ours, "ragcun eval"):
            started.set()
            time.sleep(0.5)
            shutil.copytree(other.path.parent, ours, dirs_exist_ok=True)

    process = threading.Thread(target=compute_it)
    process.start()
    started.wait()
    (found,) = evaluate(["bm25"], [animals], tmp_path / "results", encoding)
    process.join()
    assert found == other
    assert ranked == ["BM25"], "it was computed once"


def test_a_result_says_which_vectors_it_is_of(animals: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Texts that were stored with others come from other batches: what differs, in the last bits, is told apart."""
    settings = []
    for store in ("a", "b"):
        options = RetrieverOptions(tmp_path / store, device="cpu")
        (result,) = evaluate([str(tiny_model)], [animals], tmp_path / f"results-{store}", options)
        settings.append(result.settings["vectors"])
    assert settings[0] == settings[1]
    assert set(settings[0]) == {"queries", "documents"}
