"""Is one retriever better than another? Paired tests on the scores of each query.

Sources: the paired randomisation test as Smucker, Allan and Carterette (CIKM 2007) use it; the percentile bootstrap
(Efron and Tibshirani 1993); Holm's correction (Scandinavian Journal of Statistics, 1979); Cohen's d of paired
differences, d_z (Lakens, Frontiers in Psychology, 2013).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from ragcun.errors import UserError

Doubles = npt.NDArray[np.float64]

_RESAMPLES = 9_999
_AT_ONCE = 2**22  # numbers drawn at a time


@dataclass(frozen=True)
class Comparison:
    """`a` against `b`, query by query, on one dataset or over several.

    Attributes:
        measure: the measure, 0 to 1.
        difference: mean of a - b; over several datasets the mean of their means.
        low, high: ends of its 95 percent bootstrap interval.
        p_value: two-sided, of the paired randomisation test: 9,999 random swaps of a and b within queries, or all of
            them where there are fewer.
        effect: d_z, the mean over the standard deviation of a - b; None over several datasets or parts, or without
            deviation.
        wins, ties, losses: queries on which a is better, equal, worse.
    """

    measure: str
    difference: float
    low: float
    high: float
    p_value: float
    effect: float | None
    wins: int
    ties: int
    losses: int


def compare(a: Path, b: Path, measure: str = "nDCG@10", seed: int = 0) -> Comparison:
    """Compare two files of per-query scores (`scores.parquet`) on the same queries.

    Raises:
        UserError: a file lacks the measure, or the files' queries differ.
    """
    return compare_queries([[differences([a], [b], measure)]], measure, seed)


def compare_queries(differences: Sequence[Sequence[Doubles]], measure: str, seed: int = 0) -> Comparison:
    """Test the differences a - b of queries: a sequence of datasets, each a sequence of its parts, mostly one.

    Each dataset weighs the same, and each part of a dataset, however many queries they have. Queries are swapped, and
    drawn again for the interval, within their part.
    """
    shares = [(one, 1 / (len(differences) * len(parts))) for parts in differences for one in parts]
    pooled = np.concatenate([one for one, _ in shares])
    signs = {"wins": int((pooled > 0).sum()), "ties": int((pooled == 0).sum()), "losses": int((pooled < 0).sum())}
    mean = float(sum(share * one.mean() for one, share in shares))
    if not pooled.any():
        return Comparison(measure, 0.0, 0.0, 0.0, 1.0, None, **signs)
    rng = np.random.default_rng(seed)
    p_value = _randomisation(np.concatenate([one * (share / len(one)) for one, share in shares]), rng)
    drawn = np.sum([share * _resampled_means(one, rng) for one, share in shares], axis=0)
    low, high = np.quantile(drawn, [0.025, 0.975])
    deviation = float(pooled.std(ddof=1)) if len(shares) == 1 and len(pooled) > 1 else 0.0
    effect = mean / deviation if deviation > 1e-12 * abs(mean) else None
    return Comparison(measure, mean, float(low), float(high), p_value, effect, **signs)


def differences(a: Sequence[Path], b: Sequence[Path], measure: str) -> Doubles:
    """Return a - b for each query, by query id; where a side has several files (a model's seeds), their mean.

    Raises:
        UserError: a file lacks the measure, or the files' queries differ.
    """
    sides = [[_read(path, measure) for path in paths] for paths in (a, b)]
    queries = sorted(sides[0][0])
    for path, values in zip([*a, *b], sides[0] + sides[1], strict=True):
        if sorted(values) != queries:
            raise UserError(f"{a[0]} and {path} have different queries; compare runs on the same split")
    means = [np.array([[values[query] for query in queries] for values in side]).mean(axis=0) for side in sides]
    return np.asarray(means[0] - means[1], dtype=np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of one family of tests, so that all true null hypotheses of it are kept at the level."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _randomisation(values: Doubles, rng: np.random.Generator) -> float:
    """The share of patterns of signs whose sum is as far from 0: of all, or of the one found and random ones."""
    every = len(values) < math.log2(_RESAMPLES)
    patterns, width = 2 ** len(values) if every else _RESAMPLES, -(-len(values) // 8)
    found = abs(values.sum()) * (1 - 1e-12)  # equal sums may differ by rounding
    extreme = 0
    for start, stop in _batches(patterns, 8 * width):
        if every:
            packed = np.arange(start, stop, dtype="<u4").view(np.uint8).reshape(-1, 4)[:, :width]
        else:
            packed = np.frombuffer(rng.bytes((stop - start) * width), np.uint8).reshape(-1, width)
        kept_BN = np.unpackbits(packed, axis=1, count=len(values), bitorder="little")
        sums_B = 2 * (kept_BN @ values) - values.sum()
        extreme += int((np.abs(sums_B) >= found).sum())
    return extreme / patterns if every else (extreme + 1) / (patterns + 1)


def _batches(count: int, width: int) -> Iterator[tuple[int, int]]:
    size = max(1, _AT_ONCE // width)
    return ((at, min(at + size, count)) for at in range(0, count, size))


def _resampled_means(values: Doubles, rng: np.random.Generator) -> Doubles:
    spans = _batches(_RESAMPLES, len(values))
    return np.concatenate([rng.choice(values, (stop - at, len(values))).mean(axis=1) for at, stop in spans])


def _read(path: Path, measure: str) -> dict[str, float]:
    table = pq.read_table(path)
    if measure not in table.column_names:
        raise UserError(f"{path}: no measure {measure!r}; it has {', '.join(table.column_names[1:])}")
    return dict(zip(table["query_id"].to_pylist(), table[measure].to_pylist(), strict=True))
