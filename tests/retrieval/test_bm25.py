"""BM25 by its formula, on words as Lucene's English analyser gives them, and by its published figures."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from ragcun.data.collection import Collection
from ragcun.evaluation.metrics import mean_scores
from ragcun.retrieval.bm25 import BM25, K1, B, _Words
from ragcun.retrieval.topk import TopK, id_places


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


def test_ties_go_to_the_higher_place_and_own_documents_are_hidden() -> None:
    corpus = ["same words here"] * 6
    assert rank(corpus, ["words"], 3).rows.tolist() == [[5, 4, 3]]
    assert rank(corpus, ["words"], 3, exclude=[4]).rows.tolist() == [[5, 3, 2]]


@pytest.mark.parametrize("corpus", [["the of and", ""], ["", ""], ["whale"]])
def test_queries_without_a_shared_word_find_nothing(corpus: list[str]) -> None:
    found = rank(corpus, ["the", "fox", ""], 2)
    assert (found.rows == -1).all()


PUBLISHED = {"scifact": 0.6789, "nfcorpus": 0.3218}  # Pyserini, BM25 "flat", nDCG@10


@pytest.mark.collections
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures(name: str) -> None:
    folder = os.environ.get("RAGCUN_COLLECTIONS")
    if not folder:
        pytest.skip("RAGCUN_COLLECTIONS is not set: no real collections to score")
    collection = Collection.open(Path(folder) / name)
    qrels = collection.qrels("test")
    ids = list(collection.corpus.ids())
    queries = [collection.queries[row] for row in collection.queries.rows(qrels)]
    found = BM25().rank(collection.corpus, queries, 10, id_places(ids), np.full(len(queries), -1))
    run = {
        query: {ids[row]: score for row, score in zip(rows, scores, strict=True) if row >= 0}
        for query, rows, scores in zip(qrels, found.rows.tolist(), found.scores.tolist(), strict=True)
    }
    assert mean_scores(qrels, run)["nDCG@10"] == pytest.approx(PUBLISHED[name], abs=0.003)
