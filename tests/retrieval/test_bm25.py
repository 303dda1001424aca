"""BM25 by its formula, on words as Lucene's English analyser gives them, and by its published figures."""

import math

import bm25s
import numpy as np
import pytest

from ragcun.retrieval import postings
from ragcun.retrieval.bm25 import BM25, K1, B, _Words
from ragcun.retrieval.topk import TopK


def rank(corpus: list[str], queries: list[str], k: int, exclude: list[int] | None = None) -> TopK:
    hidden = np.array(exclude if exclude is not None else [-1] * len(queries))
    return BM25().rank(corpus, queries, k, np.arange(len(corpus)), hidden)


@pytest.mark.parametrize(
    ("text", "stems"),
    [
        ("The cat's running, and the dogs' runs.", ["cat", "run", "dog", "run"]),
        ("It’s 3.14 or 1,000 of U.S.A. x", ["3.14", "1,000", "u.s.a", "x"]),
        ("IL-6_receptor p53 NOT that", ["il", "6_receptor", "p53"]),
        ("Δρ naïve Übung", ["δρ", "naïv", "übung"]),
        ("... ?!", []),
    ],
)
def test_words(text: str, stems: list[str]) -> None:
    words = _Words()
    numbers = list(words.learn(text))
    assert [list(words.vocabulary)[number] for number in numbers] == stems


def test_scores_are_the_formula() -> None:
    corpus = ["red fox", "red red wolf in snow", "blue whale", ""]
    found = rank(corpus, ["red wolf"], 4)
    lengths = [2, 4, 2, 0]
    mean = sum(lengths) / 4

    def part(frequency: int, length: int, holding: int) -> float:
        idf = math.log(1 + (4 - holding + 0.5) / (holding + 0.5))
        return idf * frequency / (frequency + K1 * (1 - B + B * length / mean))

    assert found.rows.tolist() == [[1, 0, -1, -1]]
    assert found.scores[0, 0] == pytest.approx(part(2, 4, 2) + part(1, 4, 1), rel=1e-6)
    assert found.scores[0, 1] == pytest.approx(part(1, 2, 2), rel=1e-6)
    assert np.isneginf(found.scores[0, 2:]).all()


def test_stretches_of_any_size_give_what_bm25s_gives_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    letters = np.array([*"abcdefghij", "", "the"])
    corpus = [" ".join(f"{word}{word}x" for word in draw.choice(letters, draw.integers(0, 9))) for _ in range(60)]
    queries, exclude = ["aax bbx", "ccx ccx zzx", "the", "jjx"], [3, -1, 5, 59]
    whole = rank(corpus, queries, 70, exclude)
    words = _Words()
    ids = [list(words.learn(text)) for text in corpus]
    index = bm25s.BM25(k1=K1, b=B, method="lucene")
    index.index((ids, words.vocabulary), create_empty_token=False, show_progress=False)
    for query, text in enumerate(queries):
        numbers = list(words.known(text))
        expected = index.get_scores_from_ids(numbers) if numbers else np.zeros(60)
        expected[exclude[query]] *= exclude[query] < 0
        found = dict(zip(whole.rows[query].tolist(), whole.scores[query].tolist(), strict=True))
        assert found.pop(-1) == -np.inf
        assert found == pytest.approx({row: score for row, score in enumerate(expected.tolist()) if score}, rel=1e-5)
    assert len(found) > 5
    for words_of_one in (1, 7, 50):
        monkeypatch.setattr(postings, "SEGMENT", words_of_one)
        parts = rank(corpus, queries, 70, exclude)
        assert parts.rows.tolist() == whole.rows.tolist()
        assert parts.scores.tolist() == whole.scores.tolist()


def test_ties_go_to_the_higher_place_and_own_documents_are_hidden() -> None:
    corpus = ["same words here"] * 6
    assert rank(corpus, ["words"], 3).rows.tolist() == [[5, 4, 3]]
    assert rank(corpus, ["words"], 3, exclude=[4]).rows.tolist() == [[5, 3, 2]]


@pytest.mark.parametrize("corpus", [["the of and", ""], ["", ""], ["whale"]])
def test_queries_without_a_shared_word_find_nothing(corpus: list[str]) -> None:
    found = rank(corpus, ["the", "fox", ""], 2)
    assert (found.rows == -1).all()
