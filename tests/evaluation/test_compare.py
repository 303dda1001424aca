"""The paired test: exact where it can be counted, and blind to which retriever comes first."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragcun.errors import UserError
from ragcun.evaluation.compare import compare


def scores(path: Path, values: list[float], first: int = 0) -> Path:
    queries = [f"q{first + i}" for i in range(len(values))]
    pq.write_table(pa.table({"query_id": queries, "nDCG@10": values}), path)
    return path


def test_p_value_of_all_wins_is_the_share_of_sign_patterns(tmp_path: Path) -> None:
    a, b = scores(tmp_path / "a", [0.5] * 6), scores(tmp_path / "b", [0.25] * 6)

    found = compare(a, b)

    assert found.p_value == pytest.approx(2 / 2**6), "two of 64 equally likely patterns are as extreme"
    assert found.difference == found.low == found.high == pytest.approx(0.25)
    assert (found.wins, found.ties, found.losses) == (6, 0, 0)


def test_swapping_the_retrievers_swaps_signs_only(tmp_path: Path) -> None:
    a = scores(tmp_path / "a", [0.1, 0.9, 0.4, 0.7, 0.3, 0.8])
    b = scores(tmp_path / "b", [0.2, 0.5, 0.4, 0.1, 0.6, 0.1])

    one, other = compare(a, b), compare(b, a)

    assert one.difference == pytest.approx(-other.difference)
    assert one.p_value == pytest.approx(other.p_value)
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins) == (3, 1, 2)
    assert one.low < one.difference < one.high


def test_equal_scores_differ_in_nothing(tmp_path: Path) -> None:
    found = compare(scores(tmp_path / "a", [0.1, 0.2]), scores(tmp_path / "b", [0.1, 0.2]))

    assert (found.difference, found.p_value, found.ties) == (0.0, 1.0, 2)


def test_other_queries_or_measures_are_refused(tmp_path: Path) -> None:
    a, b = scores(tmp_path / "a", [0.1, 0.2]), scores(tmp_path / "b", [0.1, 0.2], first=1)
    with pytest.raises(UserError, match="different queries"):
        compare(a, b)
    with pytest.raises(UserError, match=r"no measure 'MRR@10'; it has nDCG@10"):
        compare(a, a, "MRR@10")
