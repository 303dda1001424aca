"""Why two scores differ is found by running one factor at a time again, and never guessed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ragcun.data.collection import Collection, write_collection
from ragcun.errors import UserError
from ragcun.evaluation.beir import evaluate
from ragcun.evaluation.diff import differences, explain, find_result, rerun
from ragcun.retrieval.retrievers import RetrieverOptions


@pytest.fixture
def options(tmp_path: Path) -> RetrieverOptions:
    return RetrieverOptions(tmp_path / "store", device="cpu", runtime="torch")


def test_the_one_setting_is_named_that_makes_the_difference(
    collection: Path, tiny_model: Path, options: RetrieverOptions, tmp_path: Path
) -> None:
    (a,) = evaluate([str(tiny_model)], [collection], tmp_path / "a", options)
    other = replace(options, max_length=4)
    (b,) = evaluate([f"B={tiny_model}:query=the wolf ,similarity=cosine"], [collection], tmp_path / "b", other)
    opened = Collection.open(collection)
    found = explain(a, b, collection=opened)
    assert not found.same
    assert {"length", "prompt"} <= {one.kind for one in found.differences}
    assert "rerun finds the cause" in found.cause
    again = rerun(found, a, b, opened, options)
    names = [step.changed for step in again.steps]
    assert names[:4] == [(), ("length",), ("similarity",), ("prompt (query)",)]
    assert again.steps[0].score == pytest.approx(a.metrics["nDCG@10"])
    explaining = [step for step in again.steps if step.explains]
    assert explaining
    assert explaining[0].score == pytest.approx(b.metrics["nDCG@10"])
    assert again.cause.startswith("The cause is ")
    assert "similarity" not in again.cause.split(":")[0], "cosine is the model's own: it changes nothing"


def test_bm25_s_parameters_and_a_split_are_factors(collection: Path, options: RetrieverOptions, tmp_path: Path) -> None:
    (a,) = evaluate(["bm25"], [collection], tmp_path / "a", options)
    (b,) = evaluate(["bm25:b=0"], [collection], tmp_path / "b", options, split="train")
    found = explain(a, b, "MRR@10")
    again = rerun(found, a, b, Collection.open(collection), options)
    assert [step.changed for step in again.steps][:3] == [(), ("split",), ("b",)]
    assert any(step.explains for step in again.steps)
    (dense,) = [replace(b, model="rrf:bm25+bm25:b=0.5")]
    with pytest.raises(UserError, match="only BM25 and encoders can be evaluated again"):
        rerun(found, a, dense, Collection.open(collection), options)


def test_ties_in_another_order_are_seen(options: RetrieverOptions, tmp_path: Path) -> None:
    folder = write_collection(
        tmp_path / "tied", [("a", "", "x"), ("b", "", "y")], [("q", "x")], {"test": [("q", "a", 1)]}
    )
    (tmp_path / "one.trec").write_text("q Q0 a 1 1 t\nq Q0 b 2 1 t\n", "utf-8")
    (tmp_path / "two.trec").write_text("q Q0 a 1 2 t\nq Q0 b 2 1 t\n", "utf-8")
    a, b = (evaluate([f"run:{tmp_path / name}.trec"], [folder], tmp_path / name, options)[0] for name in ("one", "two"))
    found = explain(a, b, "MRR@10", Collection.open(folder))
    assert (found.ours, found.theirs, found.queries) == (0.5, 1.0, (1, 1))
    assert found.ties == ((0.5, 1.0), (1.0, 1.0))
    assert found.cause.startswith("Another order of tied documents can explain it")
    assert [one.kind for one in found.differences if one.name == "inputs.retriever.run"] == ["revision"]


def test_what_is_no_cause_is_left_out_and_results_are_found(
    collection: Path, options: RetrieverOptions, tmp_path: Path
) -> None:
    a, other = evaluate(["bm25", "x=bm25:k1=2"], [collection], tmp_path / "a", options)
    (b,) = evaluate(["bm25"], [collection], tmp_path / "b", options)
    records = [json.loads(result.path.read_text("utf-8")) for result in (a, b)]
    assert differences(*records) == []
    assert explain(a, b).cause == "The scores agree to four decimals."
    assert find_result(tmp_path / "b", None, None) == b
    assert find_result(a.path, None, None) == a
    assert find_result(other.path.parent, "animals", "test") == other
    with pytest.raises(UserError, match=r"has 2 results \(BM25 on animals \(test\), x on animals \(test\)\)"):
        find_result(tmp_path / "a", None, None)
    with pytest.raises(UserError, match="A is of animals, and B is of plants"):
        explain(a, replace(b, dataset="plants"))
