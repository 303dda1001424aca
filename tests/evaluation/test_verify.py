"""Published scores: agreed with on the real collections, and disagreed with where data is not what it says."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ragcun.cli.evaluate import app
from ragcun.data.benchmark import datasets
from ragcun.data.collection import write_collection
from ragcun.errors import RagcunError, UserError
from ragcun.evaluation import compute, verify
from ragcun.evaluation.metrics import mean_scores
from ragcun.evaluation.verify import Published, Verdict, published
from ragcun.intact import read_record, write_record
from ragcun.retrieval.retrievers import RetrieverOptions
from ragcun.retrieval.runs import read_run, write_run


@pytest.mark.collections
def test_bm25_is_within_its_tolerance_of_lucene(tmp_path: Path) -> None:
    folder = os.environ.get("RAGCUN_COLLECTIONS")
    if not folder:
        pytest.skip("RAGCUN_COLLECTIONS is not set: no real collections to score")
    given = ["verify", "--models", "bm25", "--data-dir", folder, "--output", str(tmp_path), "--json"]

    done = CliRunner().invoke(app, given, catch_exceptions=False)

    verdicts = json.loads(done.stdout)["verdicts"]
    assert {(one["dataset"], one["measure"]) for one in verdicts} == {
        (dataset, measure) for dataset in ("scifact", "nfcorpus") for measure in ("nDCG@10", "Recall@100")
    }
    assert all(one["agrees"] for one in verdicts)


def test_other_data_and_missing_models_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = [(f"d{i}", "", f"cats and dogs {i}") for i in range(3)]
    write_collection(tmp_path / "data" / "scifact", corpus, [("q", "dogs 1")], {"test": [("q", "d1", 1)]})
    with (tmp_path / "data" / "scifact" / "corpus.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"_id": "d3", "title": "", "text": ""}\n')  # the benchmark has such, too
    toy = replace(datasets()["scifact"], documents=4, queries=1, judgements=1)
    monkeypatch.setattr(verify, "known", lambda: datasets() | {"scifact": toy})
    given = ["verify", "--data-dir", str(tmp_path / "data"), "--output", str(tmp_path / "out")]

    with pytest.raises(RagcunError, match="2 of 2 scores differ from the published ones"):
        CliRunner().invoke(app, [*given, "--models", "bm25,contriever", "--json"], catch_exceptions=False)
    with pytest.raises(RagcunError, match="no published score could be reproduced"):
        CliRunner().invoke(app, [*given, "--models", "contriever"], catch_exceptions=False)
    with pytest.raises(RagcunError, match="no published score could be reproduced"):
        CliRunner().invoke(app, [*given, "--models", "bm25", "--datasets", "nq"], catch_exceptions=False)
    with pytest.raises(UserError, match="retriever 'bert': has no published scores; choose from bm25, contriever,"):
        CliRunner().invoke(app, [*given, "--models", "bert"], catch_exceptions=False)


def test_a_cell_that_fails_takes_no_other_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("scifact", "nfcorpus", "fiqa"):
        write_collection(tmp_path / "data" / name, [("d", "", "cats")], [("q", "cats")], {"test": [("q", "d", 1)]})
    counts = {"documents": 1, "queries": 1, "judgements": 1}
    toys = {name: replace(datasets()[name], **counts) for name in ("scifact", "nfcorpus")}
    monkeypatch.setattr(verify, "known", lambda: datasets() | toys)
    write_run = compute.write_run

    def full(path: Path, *arguments: Any, **named: Any) -> None:
        if "nfcorpus" in path.parts:
            raise OSError(28, "No space left on device")
        write_run(path, *arguments, **named)

    monkeypatch.setattr(compute, "write_run", full)
    encoding = RetrieverOptions(tmp_path / "store", device="cpu")
    found = verify.verify(
        {name: name for name in ("bm25", "contriever")},
        ["scifact", "nfcorpus", "fiqa", "nq"],
        tmp_path / "data",
        tmp_path / "out",
        encoding,
    )
    verdicts = {(v.published.retriever, v.published.dataset, v.published.measure): v for v in found}
    assert verdicts["bm25", "scifact", "nDCG@10"].obtained == 1
    assert verdicts["bm25", "scifact", "Recall@100"].obtained == 1
    assert "No space left" in verdicts["bm25", "nfcorpus", "nDCG@10"].reason
    assert "not BEIR's FiQA-2018 (1 documents instead of 57,638" in verdicts["bm25", "fiqa", "nDCG@10"].reason
    assert "not in the local cache" in verdicts["contriever", "scifact", "nDCG@10"].reason
    assert verdicts["contriever", "nq", "nDCG@10"].reason == f"not in {tmp_path / 'data'}"


def test_a_model_in_a_folder_is_compared_with_the_scores_of_a_published_name(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_collection(tmp_path / "data/scifact", [("d", "", "cats")], [("q", "cats")], {"test": [("q", "d", 1)]})
    toy = replace(datasets()["scifact"], documents=1, queries=1, judgements=1)
    monkeypatch.setattr(verify, "known", lambda: datasets() | {"scifact": toy})
    given = ["verify", "--data-dir", str(tmp_path / "data"), "--output", str(tmp_path / "out"), "--json"]

    with pytest.raises(RagcunError, match="1 of 1 scores differ from the published ones"):
        CliRunner().invoke(app, [*given, "--models", f"minilm={tiny_model}"], catch_exceptions=False)

    [result] = (tmp_path / "out").rglob("result.json")
    assert read_record(result)["label"] == "minilm"


@pytest.mark.parametrize("own", [False, True])
def test_beir_s_evaluator_gives_the_same(own: bool, tmp_path: Path) -> None:
    draw = random.Random(0)  # noqa: S311
    qrels = {f"q{i}": {f"d{j}": draw.randint(0, 3) for j in draw.sample(range(50), 6)} for i in range(20)}
    run = {query: {f"d{j}": draw.randint(0, 9) / 7 for j in draw.sample(range(50), 20)} for query in qrels}  # with ties
    del run["q3"]  # counts as 0
    if own:
        run["q5"]["q5"] = 99.0
    write_run(tmp_path / "run.trec", [run], "tag")
    found = verify.beir_ndcg(qrels, read_run(tmp_path / "run.trec"), ignore_identical_ids=own)
    run["q5"].pop("q5", None)
    assert found == pytest.approx(mean_scores(qrels, run)["nDCG@10"], abs=5.1e-6)
    assert 0 < found < 1


def test_a_score_that_beir_s_evaluator_does_not_give_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_collection(tmp_path / "data" / "scifact", [("d", "", "cats")], [("q", "cats")], {"test": [("q", "d", 1)]})
    toy = replace(datasets()["scifact"], documents=1, queries=1, judgements=1)
    monkeypatch.setattr(verify, "known", lambda: datasets() | {"scifact": toy})
    expected = Published("bm25", "scifact", "test", "nDCG@10", 1.0, 0.1, "nobody")
    monkeypatch.setattr(verify, "published", lambda: (expected,))
    given = ["verify", "--data-dir", str(tmp_path / "data"), "--output", str(tmp_path / "out"), "--datasets", "SciFact"]
    agreed = CliRunner().invoke(app, given, catch_exceptions=False)
    assert agreed.exit_code == 0
    assert "scifact" in agreed.stdout, "the table is the product"
    (path,) = tmp_path.rglob("result.json")
    result = read_record(path)
    result["metrics"]["nDCG@10"] -= 2e-5
    write_record(path, result, [path.with_name(name) for name in result.pop("files")])
    with pytest.raises(RagcunError, match=r"another nDCG@10 for bm25 on scifact \(\+0.00002\)"):
        CliRunner().invoke(app, given, catch_exceptions=False)


def test_beir_s_evaluator_needs_nothing_heavy() -> None:
    code = "import sys, beir.retrieval.evaluation; print({'torch', 'elasticsearch', 'datasets'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_table_is_of_scores_with_a_source() -> None:
    assert len({(one.retriever, one.dataset, one.measure) for one in published()}) == len(published())
    assert all(0 < one.score < 1 and 0 < one.tolerance < 0.01 and one.source for one in published())


@pytest.mark.parametrize(("obtained", "agrees"), [(0.6424, True), (0.64165, True), (0.6386, False), (None, None)])
def test_tolerance_is_inclusive_and_of_four_places(obtained: float | None, agrees: bool | None) -> None:
    assert Verdict(Published("r", "d", "test", "nDCG@10", 0.6414, 0.001, "s"), obtained).agrees is agrees
