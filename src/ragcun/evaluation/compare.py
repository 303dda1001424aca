"""Is one retriever better than another? Tests on the per-query scores of two cells.

Sources: the paired randomisation test of Smucker, Allan and Carterette (CIKM 2007); the percentile bootstrap.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy import stats

from ragcun.errors import UserError

_RESAMPLES = 9_999


@dataclass(frozen=True)
class Comparison:
    """`a` against `b`, query by query.

    Attributes:
        difference: mean of a - b.
        low, high: ends of its 95 percent bootstrap interval.
        p_value: two-sided, of the paired randomisation test with 9,999 resamples.
        wins, ties, losses: queries on which a is better, equal, worse.
    """

    measure: str
    difference: float
    low: float
    high: float
    p_value: float
    wins: int
    ties: int
    losses: int


def compare(a: Path, b: Path, measure: str = "nDCG@10", seed: int = 0) -> Comparison:
    """Compare two files of per-query scores (`scores.parquet`) on the same queries.

    Raises:
        UserError: a file lacks the measure, or the files' queries differ.
    """
    values_a, values_b = _read(a, measure), _read(b, measure)
    if values_a.keys() != values_b.keys():
        raise UserError(f"{a} and {b} have different queries; compare runs on the same split")
    differences = np.array([values_a[query] - values_b[query] for query in sorted(values_a)])
    if not differences.any():
        return Comparison(measure, 0.0, 0.0, 0.0, 1.0, 0, len(differences), 0)
    test = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=_RESAMPLES, rng=seed, vectorized=True
    )
    resampled = np.random.default_rng(seed).choice(differences, (_RESAMPLES, len(differences))).mean(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Comparison(
        measure,
        float(differences.mean()),
        float(low),
        float(high),
        float(test.pvalue),
        int((differences > 0).sum()),
        int((differences == 0).sum()),
        int((differences < 0).sum()),
    )


def _read(path: Path, measure: str) -> dict[str, float]:
    table = pq.read_table(path)
    if measure not in table.column_names:
        raise UserError(f"{path}: no measure {measure!r}; it has {', '.join(table.column_names[1:])}")
    return dict(zip(table["query_id"].to_pylist(), table[measure].to_pylist(), strict=True))
