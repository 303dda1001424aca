"""The check that a treatment changed isotropy: measures of held-out documents, before and after and over a grid.

Shapes: N rows, D dimensions.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ragcun.analysis.measures import MEASURES, compute
from ragcun.analysis.view import View
from ragcun.table import significant

CHECKED = ("participation_ratio", "sigreg_shape_axes")
MOVED = 0.1  # the span, relative to N(0, I)'s participation ratio, below which a grid is no test of isotropy
ROWS = 2_000  # the maximum number of documents that are measured

_ENTRIES = [measure for measure in MEASURES if measure.key in CHECKED]


def checked(embeddings: npt.ArrayLike, seed: int = 0) -> dict[str, float]:
    """Measure the effect of a treatment on an (N, D) array: participation ratio over D, and SIGReg along axes.

    Both are measures of shape, which do not depend on translation and scale.
    """
    return compute(View(embeddings, seed), _ENTRIES)


@lru_cache(maxsize=8)
def checked_gaussian(rows: int, dimension: int) -> Mapping[str, float]:
    """Return the same measures of a seeded sample of N(0, I) with this N and D, which a treatment can reach at most."""
    return checked(np.random.default_rng((0, 2)).standard_normal((rows, dimension), dtype=np.float32))


def sentence(found: Mapping[str, Any]) -> str:
    """Describe the effect of a training on isotropy in one line; `found` is the manifest's "isotropy"."""
    start, end, gaussian = found["start"], found["end"], found["gaussian"]
    ratio, axes = CHECKED
    return (
        f"isotropy of {found['documents']:,} dev documents: participation ratio {start[ratio]:.2f} to {end[ratio]:.2f} "
        f"of d (N(0, I): {gaussian[ratio]:.2f}), SIGReg along principal axes {significant(start[axes])} to "
        f"{significant(end[axes])} ({significant(gaussian[axes])})"
    )


def moved(trainings: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether trainings of any dimension differ in participation ratio by `MOVED` times that of N(0, I).

    `trainings` are the entries "isotropy" of manifests.
    """
    return any(_span(of) >= MOVED * _gaussian(of) for of in _by_dimension(trainings))


def verdict(trainings: Sequence[Mapping[str, Any]]) -> str | None:
    """Return a sentence if a grid did not change isotropy; None if it did, or if there are no trainings."""
    if not trainings or moved(trainings):
        return None
    ratios = [one["end"][CHECKED[0]] for one in trainings]
    gaussian = max(map(_gaussian, _by_dimension(trainings)))
    return (
        f"This grid is no test of isotropy: participation ratio from {min(ratios):.2f} to {max(ratios):.2f} of d, "
        f"N(0, I) has {gaussian:.2f}."
    )


def _by_dimension(trainings: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    dimensions = dict.fromkeys(one["dimension"] for one in trainings)
    return [[one for one in trainings if one["dimension"] == dimension] for dimension in dimensions]


def _span(trainings: Sequence[Mapping[str, Any]]) -> float:
    ratios = [one["end"][CHECKED[0]] for one in trainings]
    return float(max(ratios) - min(ratios))


def _gaussian(trainings: Sequence[Mapping[str, Any]]) -> float:
    return float(trainings[0]["gaussian"][CHECKED[0]])
