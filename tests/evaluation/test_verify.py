"""Published scores: agreed with on the real collections, and disagreed with where data is not what it says."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragcun.cli.evaluate import app
from ragcun.data.collection import write_collection
from ragcun.errors import RagcunError, UserError
from ragcun.evaluation.verify import Published, Verdict, published


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


def test_other_data_and_missing_models_are_told(tmp_path: Path) -> None:
    corpus = [(f"d{i}", "", f"cats and dogs {i}") for i in range(3)]
    write_collection(tmp_path / "data" / "scifact", corpus, [("q", "dogs 1")], {"test": [("q", "d1", 1)]})
    given = ["verify", "--data-dir", str(tmp_path / "data"), "--output", str(tmp_path / "out")]

    with pytest.raises(RagcunError, match="2 of 2 scores differ from the published ones"):
        CliRunner().invoke(app, [*given, "--models", "bm25,contriever", "--json"], catch_exceptions=False)
    with pytest.raises(RagcunError, match="no published score could be run"):
        CliRunner().invoke(app, [*given, "--models", "contriever"], catch_exceptions=False)
    with pytest.raises(RagcunError, match="no published score could be run"):
        CliRunner().invoke(app, [*given, "--models", "bm25", "--datasets", "nq"], catch_exceptions=False)
    with pytest.raises(UserError, match="retriever 'bert': no published scores; there are those of bm25, contriever,"):
        CliRunner().invoke(app, [*given, "--models", "bert"], catch_exceptions=False)


def test_the_table_is_of_scores_with_a_source() -> None:
    assert len({(one.retriever, one.dataset, one.measure) for one in published()}) == len(published())
    assert all(0 < one.score < 1 and 0 < one.tolerance < 0.01 and one.source for one in published())


@pytest.mark.parametrize(("obtained", "agrees"), [(0.6424, True), (0.64165, True), (0.6386, False), (None, None)])
def test_tolerance_is_inclusive_and_of_four_places(obtained: float | None, agrees: bool | None) -> None:
    assert Verdict(Published("r", "d", "test", "nDCG@10", 0.6414, 0.001, "s"), obtained).agrees is agrees
