"""What a corpus shows of queries, against the same computed from the whole matrix of similarities."""

import numpy as np
import pytest
from scipy import stats

from ragcun.abstain.evidence import DEEP, Corpus
from ragcun.abstain.scores import all_scores
from ragcun.retrieval.matrices import as_matrix
from ragcun.retrieval.search import SIMILARITIES, search
from tiny import WORDS


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_evidence_is_that_of_the_corpus_without_what_is_taken_out(similarity: str) -> None:
    generator = np.random.default_rng(0)
    documents_ND = generator.normal(size=(150, 8)).astype(np.float32) + 0.5
    queries_QD = generator.normal(size=(6, 8)).astype(np.float32)
    texts = [" ".join(generator.choice(WORDS, 8)) for _ in range(150)]
    asked = [" ".join(generator.choice(WORDS, 4)) for _ in range(6)]
    out = [np.sort(generator.choice(150, count, replace=False)) for count in (0, 1, 2, 5, 30, 90)]
    ranks, nothing = np.arange(150), np.full(6, -1)
    corpus = Corpus(texts, as_matrix(documents_ND), similarity, ranks)
    top = search(queries_QD, documents_ND, 150, similarity)
    found = corpus.evidence(queries_QD, top, corpus.rankings(asked, nothing, 150), out)
    whole = np.full((6, 150), np.nan)
    np.put_along_axis(whole, top.rows, top.scores.astype(float), 1)
    for query, rows in enumerate(out):
        left = np.delete(whole[query], rows)
        assert found.mean_Q[query] == pytest.approx(left.mean(), abs=1e-5)
        assert found.deviation_Q[query] == pytest.approx(left.std(), abs=1e-5)
        assert found.skewness_Q[query] == pytest.approx(stats.skew(left), abs=1e-3)
        np.testing.assert_allclose(found.top_QK[query], np.sort(left)[::-1][:DEEP], atol=1e-6)
    scores = all_scores(found)
    assert all(np.isfinite(values).all() and values.shape == (6,) for values in scores.values())


def test_a_corpus_of_few_documents_has_finite_scores() -> None:
    generator = np.random.default_rng(1)
    documents_ND = generator.normal(size=(4, 3)).astype(np.float32)
    corpus = Corpus(["a bear", "an owl", "the sea", "red ice"], as_matrix(documents_ND), "cosine", np.arange(4))
    top = search(documents_ND[:2], documents_ND, 10, "cosine")
    words = corpus.rankings(["bear", "zebra"], np.full(2, -1), 10)
    scores = all_scores(corpus.evidence(documents_ND[:2], top, words, [np.array([0]), np.array([1, 2])]))
    assert all(np.isfinite(values).all() for values in scores.values())
