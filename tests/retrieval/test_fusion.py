"""Reciprocal-rank fusion by its formula, on rankings that are laid down."""

from typing import Any

import numpy as np
import pytest

from ragcun.data.texts import Texts
from ragcun.retrieval.bm25 import BM25
from ragcun.retrieval.fusion import DEPTH, ReciprocalRank
from ragcun.retrieval.topk import Rows, TopK


class Fixed:
    """Ranks as it is told, whatever is asked."""

    def __init__(self, label: str, *rankings: list[int]) -> None:
        self.label = label
        self.asked: list[int] = []
        self._rankings = rankings

    def rank(self, corpus: Texts, queries: Texts, k: int, id_ranks: Rows, exclude: Rows) -> TopK:
        self.asked.append(k)
        rows = np.full((len(queries), k), -1)
        for query, ranking in enumerate(self._rankings):
            rows[query, : len(ranking)] = ranking
        return TopK(np.where(rows < 0, -np.inf, -np.arange(k)).astype(np.float32), rows)

    def describe(self) -> dict[str, Any]:
        return {"precision": "fp32"}


def fuse(first: list[list[int]], second: list[list[int]], k: int, n: int = 9) -> TopK:
    fused = ReciprocalRank(Fixed("a", *first), Fixed("b", *second), "both")
    return fused.rank(["text"] * n, ["?"] * len(first), k, np.arange(n), np.full(len(first), -1))


def test_scores_are_the_formula() -> None:
    found = fuse([[3, 5, 1]], [[5, 8]], 5)
    assert found.rows.tolist() == [[5, 3, 8, 1, -1]]
    expected = [1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 63]
    assert found.scores[0, :4] == pytest.approx(expected, rel=1e-6)
    assert np.isneginf(found.scores[0, 4])


def test_equal_scores_go_to_the_higher_place_and_the_order_of_the_two_does_not_matter() -> None:
    first, second = [[2, 7, 4]], [[7, 2, 6]]
    assert fuse(first, second, 4).rows.tolist() == [[7, 2, 6, 4]]
    assert fuse(second, first, 4).scores.tolist() == fuse(first, second, 4).scores.tolist()
    assert fuse(second, first, 4).rows.tolist() == [[7, 2, 6, 4]]


def test_one_of_them_may_find_nothing() -> None:
    assert fuse([[], [1]], [[], []], 2).rows.tolist() == [[-1, -1], [1, -1]]


def test_a_ranking_fused_with_itself_keeps_its_order() -> None:
    corpus = [f"{'red ' * (number % 5 + 1)}fox {'word ' * number}" for number in range(30)]
    id_ranks, exclude = np.arange(30), np.array([4])
    alone = BM25().rank(corpus, ["red fox"], 10, id_ranks, exclude)
    both = ReciprocalRank(BM25(), BM25(), "both").rank(corpus, ["red fox"], 10, id_ranks, exclude)
    assert both.rows.tolist() == alone.rows.tolist()


def test_each_is_asked_for_a_thousand_or_more() -> None:
    one, other = Fixed("a", [1]), Fixed("b", [2])
    fused = ReciprocalRank(one, other, "both")
    for k in (3, DEPTH + 1):
        fused.rank(["text"] * 3, ["?"], k, np.arange(3), np.array([-1]))
    assert one.asked == other.asked == [DEPTH, DEPTH + 1]
    assert fused.describe()["inputs"] == [
        {"label": "a", "precision": "fp32"},
        {"label": "b", "precision": "fp32"},
    ]
