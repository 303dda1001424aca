"""Exact search equals brute force in float64, ties included, whatever the blocks."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragcun.errors import RagcunError, UserError
from ragcun.retrieval.candidates import device
from ragcun.retrieval.candidates.products import InnerProducts
from ragcun.retrieval.checkpoint import Checkpoints
from ragcun.retrieval.matrices import _Array
from ragcun.retrieval.memory import Resources
from ragcun.retrieval.search import SIMILARITIES, search

Array = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def brute_force(queries: Array, documents: Array, similarity: str) -> npt.NDArray[np.float32]:
    q, d = queries.astype(np.float64), documents.astype(np.float64)
    if similarity == "euclidean":
        scores = -np.sqrt(((q[:, None] - d[None]) ** 2).sum(-1))
    else:
        scores = (q[:, None] * d[None]).sum(-1)
        if similarity == "cosine":
            lengths = np.sqrt((q**2).sum(-1))[:, None] * np.sqrt((d**2).sum(-1))[None]
            scores = np.divide(scores, lengths, out=np.zeros_like(scores), where=lengths > 0)
    return scores.astype(np.float32)


def ranking(scores: npt.NDArray[np.float32], id_ranks: Rows, k: int) -> list[list[int]]:
    rows = range(scores.shape[1])
    return [sorted(rows, key=lambda row: (line[row], id_ranks[row]), reverse=True)[:k] for line in scores]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("kind", ["integers", "normal", "clustered"])
def test_equals_brute_force(similarity: str, kind: str) -> None:
    draw = np.random.default_rng(0)
    if kind == "integers":
        queries, documents = (draw.integers(-1, 2, (n, 4)).astype(np.float32) for n in (9, 300))
    elif kind == "normal":
        queries, documents = (draw.standard_normal((n, 24), dtype=np.float32) for n in (9, 300))
    else:  # far from the origin, close together: what cancellation in 2 q.d - |d|^2 hurts most
        spread = np.float32(0.02 if similarity == "euclidean" else 1)
        queries, documents = (50 + spread * draw.standard_normal((n, 24), dtype=np.float32) for n in (9, 300))
    id_ranks = draw.permutation(300)
    scores = brute_force(queries, documents, similarity)
    found = search(
        queries, documents, 20, similarity, id_ranks=id_ranks, resources=Resources(query_block=4, document_block=64)
    )
    expected = ranking(scores, id_ranks, 20)
    if kind == "integers":
        cut = np.sort(scores, axis=1)[:, ::-1]
        assert (cut[:, 19] == cut[:, 20]).any(), "no tie at the last place: the test shows nothing"
        assert found.rows.tolist() == expected
    assert np.allclose(found.scores, np.take_along_axis(scores, np.array(expected), axis=1), rtol=2e-7, atol=1e-7)
    assert (found.rows == np.array(expected)).mean() > 0.99


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SIMILARITIES),
    st.integers(1, 40),
    st.integers(1, 7),
    st.integers(1, 70),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_blocks_do_not_matter(similarity: str, k: int, queries: int, documents: int, seed: int, ties: bool) -> None:
    draw = np.random.default_rng(seed)
    if ties:
        a, b = (draw.integers(-2, 3, (n, 3)).astype(np.float32) for n in (queries, documents))
    else:
        a, b = (draw.standard_normal((n, 16), dtype=np.float32) for n in (queries, documents))
    exclude = draw.integers(-1, documents, queries)
    id_ranks = draw.permutation(documents)
    whole = search(a, b, k, similarity, id_ranks=id_ranks, exclude=exclude)
    query_block, document_block = (int(size) for size in draw.integers(1, 30, 2))
    parts = search(
        a,
        b,
        k,
        similarity,
        id_ranks=id_ranks,
        exclude=exclude,
        resources=Resources(query_block=query_block, document_block=document_block),
    )
    assert np.array_equal(whole.rows, parts.rows)
    assert np.array_equal(whole.scores, parts.scores)
    found = min(k, documents)
    assert (whole.rows[:, found:] == -1).all()
    assert not (whole.rows == np.where(exclude < 0, -2, exclude)[:, None]).any()
    expected = np.where(exclude < 0, found, min(k, documents - 1))
    assert ((whole.rows >= 0).sum(1) == expected).all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("ties", [False, True])
def test_what_goes_through_a_device_finds_the_same(
    similarity: str, ties: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_QUERIES", 4)
    draw = np.random.default_rng(0)
    if ties:
        a, b = (draw.integers(-2, 3, (n, 3)).astype(np.float32) for n in (9, 300))
    else:
        a, b = (draw.standard_normal((n, 16), dtype=np.float32) for n in (9, 300))
    given = {"id_ranks": draw.permutation(300), "exclude": draw.integers(-1, 300, 9)}
    expected = search(a, b, 20, similarity, **given)
    kept = Checkpoints(tmp_path, "b", seconds=0)
    found = search(
        a, b, 20, similarity, **given, resources=Resources(device="cpu", checkpoints=kept, document_block=64)
    )
    # By the processor, of what the device has found:
    resumed = search(a, b, 20, similarity, **given, resources=Resources(checkpoints=kept))
    for one in (found, resumed):
        assert np.array_equal(one.rows, expected.rows)
        assert np.array_equal(one.scores, expected.scores)
    few = search(a[:1], b[:3], 5, similarity, exclude=np.array([1]), resources=Resources(device="cpu"))
    assert sorted(few.rows[0].tolist()) == [-1, -1, -1, 0, 2]


def test_equal_vectors_have_equal_scores() -> None:
    draw = np.random.default_rng(3)
    documents = draw.standard_normal((500, 100), dtype=np.float32)
    twins = np.array([3, 77, 130, 255, 499])
    documents[twins] = documents[3]
    queries = documents[[3]] + draw.standard_normal((1, 100), dtype=np.float32) / 100
    found = search(queries, documents, 5, "euclidean", resources=Resources(document_block=33))
    assert len(set(found.scores[0].tolist())) == 1
    assert found.rows[0].tolist() == twins[::-1].tolist()


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("blocks", [Resources(), Resources(query_block=7, document_block=333)])
@pytest.mark.parametrize("noise", [0.0, 1e-6])
def test_of_many_equal_documents_those_of_the_highest_places_are_found(
    similarity: str, blocks: Resources, noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def uneven(self: InnerProducts, start: int, stop: int) -> Array:
        block = exact(self, start, stop)
        block[1::2] *= np.float32(1 + noise)  # as a BLAS that adds up every second row otherwise
        return block

    exact = InnerProducts.documents
    monkeypatch.setattr(InnerProducts, "documents", uneven)
    draw = np.random.default_rng(0)
    documents, id_ranks = draw.standard_normal((4_146, 33), dtype=np.float32), draw.permutation(4_146)
    twins = np.concatenate([draw.choice(4_096, 60, replace=False), 4_096 + draw.choice(50, 40, replace=False)])
    documents[twins] = draw.standard_normal(33)
    queries = documents[twins[0]] + draw.standard_normal((40, 33), dtype=np.float32) / 5
    found = search(queries, documents, 10, similarity, id_ranks=id_ranks, resources=blocks)
    expected = twins[np.argsort(-id_ranks[twins])[:10]]
    assert found.rows.tolist() == [expected.tolist()] * 40
    assert (found.scores == found.scores[:, :1]).all()


def test_euclidean_score_is_the_negative_distance() -> None:
    found = search(np.zeros((1, 2), np.float32), np.array([[3, 4], [0, 0], [6, 8]], np.float32), 3, "euclidean")
    assert found.scores.tolist() == [[0.0, -5.0, -10.0]]
    assert found.rows.tolist() == [[1, 0, 2]]


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_one_query_one_document_zero_vectors(similarity: str) -> None:
    found = search(np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32), 10, similarity)
    assert found.rows.tolist() == [[0] + [-1] * 9]
    assert found.scores[0, 0] == 0
    assert np.isneginf(found.scores[0, 1:]).all()


def test_the_only_document_excluded() -> None:
    found = search(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32), 1, "dot", exclude=np.array([0]))
    assert found.rows.tolist() == [[-1]]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_vectors_that_are_not_finite_are_named(value: float) -> None:
    good = np.ones((5, 2), np.float32)
    bad = good.copy()
    bad[3, 1] = value
    with pytest.raises(RagcunError, match="document row 3"):
        search(good, bad, 1, "euclidean", resources=Resources(document_block=2))
    with pytest.raises(RagcunError, match="query row 3"):
        search(bad, good, 1, "euclidean")


def test_unknown_similarity() -> None:
    with pytest.raises(UserError, match=r"manhattan.*euclidean, cosine, dot"):
        search(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32), 1, "manhattan")


def test_a_candidate_of_many_queries_is_read_once() -> None:
    """A trained head's documents go through the head each time they are read."""
    draw = np.random.default_rng(0)
    queries, documents = (draw.standard_normal((n, 8), dtype=np.float32) for n in (700, 600))

    class Counted(_Array):
        read = 0

        def rows(self, index: Rows) -> Array:
            self.read += len(index)
            return super().rows(index)

    counted = Counted(documents)
    found = search(queries, counted, 500, "euclidean")
    assert counted.read == 600
    assert np.array_equal(found.rows, search(queries, documents, 500, "euclidean").rows)
