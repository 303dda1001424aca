"""Views of documents, queries and both; queries against documents; intervals; which rows are drawn."""

from pathlib import Path

import numpy as np
import pytest

from ragcun.analysis import resampling
from ragcun.analysis.isotropy import Floats
from ragcun.analysis.measures import MEASURES, compute
from ragcun.analysis.pairs import Pairs
from ragcun.analysis.resampling import intervals
from ragcun.analysis.sample import draw_sample
from ragcun.analysis.sets import Embedded, Sizes
from ragcun.analysis.view import View
from ragcun.data.collection import Collection
from ragcun.errors import UserError


def normal(rows: int, dimension: int = 6, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((rows, dimension))


def test_documents_queries_and_both_are_measured_and_pairs_of_both_alone() -> None:
    relevant_P2 = np.array([[0, 3], [2, 50]])
    embedded = Embedded(normal(50), normal(8, seed=1) + 2, normal(1, seed=2), relevant_P2)
    assert embedded.sizes == Sizes(50, 8, 1, 6)
    documents, queries, both = embedded.views(0)
    assert [(view.of, view.rows, view.queries) for view in (documents, queries, both)] == [
        ("documents", 50, 0),
        ("queries", 8, 0),
        ("both", 58, 8),
    ]
    assert documents.mean_gap is queries.mean_gap is None
    assert both.pairs is not None
    found_MD = np.concatenate([normal(50), normal(1, seed=2)])
    asked_QD = normal(8, seed=1) + 2
    expected = np.linalg.norm(asked_QD[[0, 2]] - found_MD[[3, 50]], axis=1)
    assert both.pairs.relevant == pytest.approx(expected.mean())
    brute_QM = np.sort(np.linalg.norm(asked_QD[:, None] - found_MD[None], axis=2), axis=1)
    np.testing.assert_allclose(both.pairs.retrieved_QK, brute_QM[:, :10])
    assert {entry.key for entry in MEASURES} == compute(both).keys()
    assert {"alignment", "mean_gap", "relevant_distance"}.isdisjoint(compute(queries))


def test_the_gap_of_the_means_is_in_units_of_the_spread() -> None:
    _, _, both = Embedded(normal(3000, 4), normal(3000, 4, seed=1) + np.array([3.0, 0, 0, 4.0])).views(0)
    assert both.mean_gap == pytest.approx(5 / 2, rel=0.03)


def test_without_judgements_there_is_no_alignment() -> None:
    _, _, both = Embedded(normal(30), normal(5, seed=1)).views(0)
    found = compute(both)
    assert {"alignment", "relevant_distance", "relevant_ratio"}.isdisjoint(found)
    assert found["retrieved_ratio"] < 1


def test_alignment_is_the_squared_distance_of_unit_vectors() -> None:
    queries_QD = np.array([[2.0, 0.0], [0.0, 1.0]])
    pairs = Pairs.compare(queries_QD, np.array([[0.0, 3.0], [0.0, 5.0]]), np.array([[0, 0], [1, 1]]), 0)
    assert pairs.alignment == pytest.approx((2 + 0) / 2)
    assert pairs.of(np.array([1])).alignment == pytest.approx(0)
    assert pairs.of(np.array([1])).retrieved_QK.tolist() == [[2.0, 4.0]]


def test_queries_of_another_dimension_are_refused() -> None:
    with pytest.raises(UserError, match="6 dimensions, but queries of 5"):
        Embedded(normal(30), normal(30, 5)).views(0)


@pytest.mark.parametrize("rows", [400, 2500])
def test_an_interval_is_as_wide_as_the_standard_error_says(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the mean norm, whose standard error is known: its deviation over the root of the number of rows."""
    monkeypatch.setattr(resampling, "MEASURES", [entry for entry in MEASURES if entry.key == "norm_mean"])
    view = View(normal(rows, 8))
    low, high = intervals(view)["norm_mean"]
    assert (low + high) / 2 == pytest.approx(view.norms_N.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * view.norms_N.std() / rows**0.5, rel=0.2)


def test_every_measure_but_p_values_has_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "RESAMPLES", 8)
    relevant_P2 = np.stack([np.arange(60), np.arange(60)], axis=1)
    _, _, both = Embedded(normal(200), normal(60, seed=1), relevant_P2=relevant_P2).views(0)
    found = intervals(both)
    assert found.keys() == {entry.key for entry in MEASURES if entry.has_interval}
    assert all(low <= high for low, high in found.values())
    assert found["alignment"][0] < 2 < found["alignment"][1]


def test_relevant_documents_beyond_the_sample_are_embedded_too(collection: Path) -> None:
    opened = Collection.open(collection)
    drawn = draw_sample(opened, 12, seed=3, split="test")
    assert (len(drawn.documents), len(drawn.queries), drawn.asked) == (12, 8, 8)
    assert set(drawn.judged).isdisjoint(drawn.documents)
    embedded = np.concatenate([drawn.documents, drawn.judged])
    pairs = {(int(drawn.queries[query]), int(embedded[document])) for query, document in drawn.relevant_P2}
    assert pairs == {(row, row) for row in range(32, 40)}  # as the collection was made
    everything = draw_sample(opened, 100, seed=3)
    assert (len(everything.queries), len(everything.judged), len(everything.relevant_P2)) == (40, 0, 40)
    with pytest.raises(UserError, match="no split 'nope'"):
        draw_sample(opened, 100, 0, "nope")
