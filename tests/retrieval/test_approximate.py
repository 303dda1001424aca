"""Indexes find most of what exact search finds, in its order and with its scores, and say how much."""

import numpy as np
import pytest

from ragcun.errors import UserError
from ragcun.retrieval import approximate
from ragcun.retrieval.approximate import recall_of, search_index
from ragcun.retrieval.matrices import as_matrix
from ragcun.retrieval.memory import Resources
from ragcun.retrieval.retrievers import IndexKind
from ragcun.retrieval.search import SIMILARITIES, search


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("kind", ["hnsw", "ivfpq"])
def test_most_is_found_with_exact_scores_and_recall_is_told(
    kind: IndexKind, similarity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approximate, "_QUERIES", 13)
    draw = np.random.default_rng(0)
    centres = draw.standard_normal((12, 16), dtype=np.float32)
    queries, documents = (
        centres[draw.integers(0, 12, n)] + draw.standard_normal((n, 16), dtype=np.float32) / 2 for n in (30, 1_500)
    )
    documents[700:1_400] = documents[:700]  # twice: ties
    id_ranks, exclude = draw.permutation(1_500), draw.integers(-1, 1_500, 30)
    exact = search(queries, documents, 12, similarity, id_ranks=id_ranks, exclude=exclude)
    exclude[0], exclude[1:5] = exact.rows[0, 0], -1  # what would be found is not
    exact = search(queries, documents, 12, similarity, id_ranks=id_ranks, exclude=exclude)
    top, index = search_index(
        kind,
        as_matrix(queries),
        as_matrix(documents),
        12,
        similarity,
        id_ranks=id_ranks,
        exclude=exclude,
        resources=Resources(),
    )
    recall = {str(depth): recall_of(top.rows[:, :depth], exact.rows[:, :depth]) for depth in (10, 12)}
    assert index.recall == pytest.approx(recall, abs=1e-4)
    assert min(recall.values()) > 0.8
    assert (index.kind, index.documents, index.queries) == (kind, 1_500, 30)
    assert not (top.rows == exclude[:, None]).any()
    for line, rows, expected, scores in zip(top.scores, top.rows, exact.rows, exact.scores, strict=True):
        known = dict(zip(expected.tolist(), scores.tolist(), strict=True))
        assert all(known.get(row, score) == score for row, score in zip(rows.tolist(), line.tolist(), strict=True))
    order = [
        [(-score, -id_ranks[row]) for score, row in zip(line, rows, strict=True) if row >= 0]
        for line, rows in zip(top.scores, top.rows, strict=True)
    ]
    assert all(line == sorted(line) for line in order)


@pytest.mark.parametrize("kind", ["hnsw", "ivfpq"])
@pytest.mark.parametrize("documents", [1, 3])
def test_fewer_documents_than_asked_for(kind: IndexKind, documents: int) -> None:
    vectors = as_matrix(np.eye(4, dtype=np.float32)[:documents])
    top, index = search_index(
        kind,
        vectors,
        vectors,
        5,
        "cosine",
        id_ranks=np.arange(documents),
        exclude=np.full(documents, -1),
        resources=Resources(),
    )
    assert ((top.rows >= 0).sum(1) == documents).all()
    assert (top.rows[:, 0] == np.arange(documents)).all()
    assert index.recall == {"5": 1.0}


def test_an_index_that_does_not_fit_is_refused() -> None:
    vectors = as_matrix(np.eye(4, dtype=np.float32))
    with pytest.raises(UserError, match=r"--index hnsw: an index of 4 documents takes .* are allowed"):
        search_index(
            "hnsw",
            vectors,
            vectors,
            2,
            "dot",
            id_ranks=np.arange(4),
            exclude=np.full(4, -1),
            resources=Resources(2**20),
        )


def test_recall() -> None:
    exact = np.array([[1, 2, 3, 4], [5, 6, -1, -1], [-1, -1, -1, -1]])
    found = np.array([[4, 9, 1, -1], [6, 5, 7, 8], [3, -1, -1, -1]])
    assert recall_of(found, exact) == pytest.approx((0.5 + 1 + 1) / 3)
