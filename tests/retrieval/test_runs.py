"""Run files say what trec_eval will understand, and read back."""

import math
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from ragcun.errors import RagcunError, UserError
from ragcun.retrieval.runs import ranked, read_run, read_top, write_run

IDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
SCORES = st.one_of(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from([0.0, 1.0, 0.1]))
RUNS = st.dictionaries(IDS, st.dictionaries(IDS, SCORES, min_size=1, max_size=12), min_size=1, max_size=3)


@given(RUNS)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, run: dict[str, dict[str, float]]) -> None:
    path = tmp_path_factory.getbasetemp() / "round.trec"
    write_run(path, [run], "a tag")
    back = read_run(path)
    assert {query: set(scores) for query, scores in back.items()} == {q: set(scores) for q, scores in run.items()}
    for query, scores in run.items():
        for document, score in scores.items():
            assert np.float32(back[query][document]) == np.float32(score)
        assert ranked(back[query]) == ranked(scores)
        assert list(back[query]) == [document for document, _ in ranked(scores)]
    assert read_top(path, 3) == {query: [document for document, _ in ranked(run[query])[:3]] for query in run}


def test_the_top_of_long_rankings_is_read_without_the_rest(tmp_path: Path) -> None:
    run = {f"q{at}": {f"d{n}": float(n % 97) for n in range(at * 131 % 1000 + 1)} for at in range(40)}
    write_run(tmp_path / "run.trec", [run], "tag")
    assert read_top(tmp_path / "run.trec", 5) == {
        query: [document for document, _ in ranked(scores)[:5]] for query, scores in run.items()
    }
    (tmp_path / "run.trec").write_text("q1 Q0 d1 1 0.5")
    with pytest.raises(UserError, match=r"run\.trec: not `query Q0 document rank score tag`: 'q1 Q0 d1 1 0.5'"):
        read_top(tmp_path / "run.trec", 5)
    (tmp_path / "run.trec").write_text("")
    assert read_top(tmp_path / "run.trec", 5) == {}


def test_ranks_are_those_of_trec_eval(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    names = [f"d{i}" for i in range(60)] + ["é", "z", "日本", "Z", "\U0001f600", "\uffee"]
    scores = {name: float(score) for name, score in zip(names, draw.integers(0, 4, len(names)) / 3, strict=True)}
    assert len(set(scores.values())) < len(scores) / 10  # many ties
    write_run(tmp_path / "run.trec", [{"q": scores}], "tag")
    lines = (tmp_path / "run.trec").read_text(encoding="utf-8").splitlines()
    for rank, line in enumerate(lines, start=1):
        query, q0, document, stated, _, tag = line.split()
        assert (query, q0, int(stated), tag) == ("q", "Q0", rank, "tag")
        # trec_eval sees this document, alone relevant, at the rank that the file states
        evaluator = pytrec_eval.RelevanceEvaluator({"q": {document: 1}}, {"recip_rank"})
        assert evaluator.evaluate(read_run(tmp_path / "run.trec"))["q"]["recip_rank"] == pytest.approx(1 / rank)


def test_ids_with_blanks_are_encoded(tmp_path: Path) -> None:
    run = {"q 1": {"Geneva Durben": 1.0, "100%20\tsure": 0.5}}
    write_run(tmp_path / "run.trec", [run], "all-MiniLM L6")
    assert all(len(line.split(" ")) == 6 for line in (tmp_path / "run.trec").read_text("utf-8").splitlines())
    assert read_run(tmp_path / "run.trec") == run


def test_nan_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(RagcunError, match="'b' is NaN"):
        write_run(tmp_path / "run.trec", [{"q": {"a": 1.0, "b": math.nan}}], "tag")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [("q Q0 d 1 0.5", "not `query"), ("q Q0 d 1 high t", "not `query"), ("q Q0 d 1 nan t", "score NaN")],
)
def test_bad_lines_are_placed(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "run.trec"
    path.write_text(f"q Q0 other 1 0.9 t\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"run\.trec:2: .*{problem}"):
        read_run(path)


def test_a_document_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    path.write_text("q Q0 d 1 0.9 t\nq Q0 d 2 0.8 t\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"run\.trec:2: document 'd' appears twice"):
        read_run(path)
    with pytest.raises(UserError, match="No such file"):
        read_run(tmp_path / "none.trec")
