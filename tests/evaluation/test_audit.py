"""Test texts that were seen in training are found, whatever changed a little, and scores are computed without them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragcun.cli.data import app
from ragcun.data.collection import Collection, write_collection
from ragcun.data.pairs import load_pairs
from ragcun.embedding.embedder import Embedder
from ragcun.evaluation.audit import audit, audit_notes, without_seen
from ragcun.evaluation.beir import evaluate
from ragcun.retrieval.retrievers import RetrieverOptions

LONG = "the old wolf sleeps under a large tree by the river while the owl sings at night and snow falls on the sea"


@pytest.fixture
def test_data(tmp_path: Path) -> Path:
    corpus = [("d1", "", LONG), ("d2", "", "a blue whale swims"), ("d3", "", "honey of bees"), ("d4", "", "cold rain")]
    queries = [
        ("same", "Where does the   WOLF sleep?"),
        ("near", f"{LONG} today"),
        ("new", "which bird sings"),
        ("twin", "where does the wolf sleep"),
    ]
    qrels = [("same", "d1", 1), ("near", "d2", 1), ("new", "d3", 1), ("twin", "d4", 1), ("new", "d4", 0)]
    return write_collection(tmp_path / "wild", corpus, queries, {"test": qrels})


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    rows = [
        {"query": "where does the wolf sleep", "positive": LONG.upper()},
        {"query": LONG, "positive": "something else"},
        {"query": "what do plants eat", "positive": "water and light"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_the_same_and_nearly_the_same_are_found(test_data: Path, pairs: Path) -> None:
    found = audit([load_pairs(pairs)], Collection.open(test_data), "test")
    assert {match.id: match.grade for match in found.queries} == {"same": "exact", "near": "near", "twin": "exact"}
    near = next(match for match in found.queries if match.id == "near")
    assert near.similarity == pytest.approx(21 / 22, abs=0.02)
    assert near.training == LONG
    assert {match.id: match.grade for match in found.documents} == {"d1": "exact"}
    assert found.pairs == ("same",)
    strict = audit([load_pairs(pairs)], Collection.open(test_data), "test", near=1.0)
    assert {match.id for match in strict.queries} == {"same", "twin"}


def test_an_encoder_finds_what_words_do_not(test_data: Path, pairs: Path, tiny_model: Path, tmp_path: Path) -> None:
    embedder = Embedder(str(tiny_model), tmp_path / "store", device="cpu")
    data = [load_pairs(pairs)], Collection.open(test_data), "test"
    every = audit(*data, embedder=embedder, close=-1.0)
    assert {match.id: match.grade for match in every.queries}["new"] == "embedding"
    assert every.seen == {"same", "near", "new", "twin"}
    none = audit(*data, embedder=embedder, close=1.01)
    assert none.seen == {"same", "near", "twin"}


def test_scores_are_computed_without_what_was_seen(test_data: Path, pairs: Path, tmp_path: Path) -> None:
    options = RetrieverOptions(tmp_path / "store", device="cpu")
    (result,) = evaluate(["bm25"], [test_data], tmp_path / "results", options)
    found = audit([load_pairs(pairs)], Collection.open(test_data), "test")
    (row,) = without_seen([result], found, "MRR@10")
    assert (row.label, row.left, row.every) == ("BM25", 1, result.metrics["MRR@10"])
    command = ["audit", str(pairs), "--test", str(test_data), "--results", str(tmp_path / "results"), "--json"]
    done = CliRunner().invoke(app, [*command, "--metric", "MRR@10"])
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "results" / "audit.json").read_text("utf-8"))
    assert written["audits"][0]["scores"] == [vars(row)]
    assert "wolf" not in json.dumps(written), "no text of a collection is written"
    (note,) = audit_notes(tmp_path / "results")
    assert note.text == (
        f"wild (test): 3 of 4 queries are in the training data; without them MRR@10 is BM25 {100 * row.unseen:.2f}."
        if row.unseen is not None
        else ""
    )


def test_a_collection_against_its_own_training_split_shares_no_query(collection: Path) -> None:
    found = audit([load_pairs(collection)], Collection.open(collection), "test")
    assert found.judged_queries == 8
    assert [match for match in found.queries if match.grade == "exact"] == []
    assert audit([load_pairs(collection, "test")], Collection.open(collection), "test").seen == {
        f"q{i}" for i in range(32, 40)
    }
