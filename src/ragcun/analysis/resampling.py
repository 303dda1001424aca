"""Intervals of measures by resampling of rows."""

import math
from collections.abc import Callable

import numpy as np

from ragcun.analysis.measures import MEASURES
from ragcun.analysis.view import View

RESAMPLES = 100
MOST_ROWS = 1_000
_NORMAL = 1.959964  # the 97.5 percent quantile of the normal distribution


def intervals(view: View, tick: Callable[[], None] = lambda: None) -> dict[str, list[float]]:
    """Return the 95 percent interval of each measure by key, by the delete-d jackknife of Shao and Wu 1989.

    Measures are computed on 100 subsamples of b rows (half of all, at most 1,000), drawn without replacement, because
    in a bootstrap a row could be its own neighbour. The variance of the measure on all N rows is that over subsamples
    times b / (N - b) (Annals of Statistics 17, equation 2.4); the interval is +-1.96 standard deviations. SIGReg's
    slices stay the same. `tick` is called after each subsample.
    """
    share = min(0.5, MOST_ROWS / view.rows)
    generator = np.random.default_rng((view.seed, 4))
    wanted = [entry for entry in MEASURES if entry.has_interval]
    found: dict[str, list[float]] = {entry.key: [] for entry in wanted}
    for _ in range(RESAMPLES):
        part = view.part(share, generator)
        for entry in wanted:
            if (value := entry.function(part)) is not None:
                found[entry.key].append(value)
        tick()
    kept = {}
    for entry in wanted:
        centre = entry.function(view)
        if centre is not None and len(values := found[entry.key]) > 1:
            half = _NORMAL * math.sqrt(share / (1 - share)) * float(np.std(values, ddof=1))
            kept[entry.key] = [centre - half, centre + half]
    return kept
