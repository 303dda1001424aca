"""Keys sort as (score, id place) do, and come apart again."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ragcun.retrieval.topk import EMPTY, best, pack, rank_ids, unpack

FLOATS = st.floats(width=32, allow_nan=False)


@given(st.lists(st.tuples(FLOATS, st.integers(0, 2**32 - 1)), min_size=1, max_size=50))
def test_keys_sort_as_scores_then_places(pairs: list[tuple[float, int]]) -> None:
    scores = np.array([score for score, _ in pairs], dtype=np.float32)
    id_ranks = np.array([place for _, place in pairs], dtype=np.int64)
    keys = pack(scores, id_ranks)
    expected = sorted(range(len(pairs)), key=lambda i: (scores[i], id_ranks[i]))
    assert [pairs[i] for i in np.argsort(keys, kind="stable")] == [pairs[i] for i in expected]
    unpacked, where = unpack(keys)
    assert np.array_equal(unpacked, scores)
    assert np.array_equal(where, id_ranks)


def test_negative_zero_ties_with_zero() -> None:
    zeros = pack(np.array([0.0, -0.0], dtype=np.float32), np.array([0, 0]))
    assert zeros[0] == zeros[1]


def test_best_fills_with_empty() -> None:
    keys = pack(np.array([1.0, 3.0, 2.0], dtype=np.float32), np.arange(3))[None]
    assert unpack(best(keys, 2))[0].tolist() == [[3.0, 2.0]]
    wide = best(keys, 5)
    assert wide[0, 3:].tolist() == [EMPTY, EMPTY]
    scores, id_ranks = unpack(wide)
    assert scores[0, 3:].tolist() == [-np.inf, -np.inf]
    assert id_ranks.tolist() == [[1, 2, 0, -1, -1]]
    assert best(wide, 4).tolist() == wide[:, :4].tolist()


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1), unique=True))
def test_places_are_the_order_of_utf8_bytes(ids: list[str]) -> None:
    expected = sorted(ids, key=lambda id_: id_.encode())
    assert [expected[place] for place in rank_ids(ids)] == ids


def test_one_long_id_does_not_make_the_others_long() -> None:
    ids = [f"d{i}" for i in range(20_000)] + ["e" * 10_000]
    tracemalloc.start()
    assert rank_ids(ids)[-1] == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6, "20,000 ids of 10,000 bytes are 200 MB"


def test_places_of_many_ids() -> None:
    ids = [f"d{i}" for i in range(100_001)]  # more than one batch
    order = sorted(ids)
    id_ranks = rank_ids(ids)
    assert [order[place] for place in id_ranks[:10]] == ids[:10]
    assert len(np.unique(id_ranks)) == len(ids)
