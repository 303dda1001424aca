"""Did the treatment take? Isotropy of held-out documents before and after a training, and over a grid of trainings.

Legend: N rows, D dimensions.
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
MOVED = 0.1  # of N(0, I)'s participation ratio: a grid that spans less is no test of isotropy
ROWS = 2_000  # documents that are measured, at most

_ENTRIES = [measure for measure in MEASURES if measure.key in CHECKED]


def checked(embeddings: npt.ArrayLike, seed: int = 0) -> dict[str, float]:
    """The measures by which a treatment is judged, of an (N, D) array: participation ratio over D, SIGReg along axes.

    Both are of shape: no shift and no change of scale moves them.
    """
    return compute(View(embeddings, seed), _ENTRIES)


@lru_cache(maxsize=8)
def checked_gaussian(rows: int, dimension: int) -> Mapping[str, float]:
    """The same of a seeded sample of N(0, I): what a treatment could reach at most, with this N and D."""
    return checked(np.random.default_rng((0, 2)).standard_normal((rows, dimension), dtype=np.float32))


def sentence(found: Mapping[str, Any]) -> str:
    """What a training did to isotropy, in a line; `found` is the manifest's "isotropy"."""
    start, end, gaussian = found["start"], found["end"], found["gaussian"]
    ratio, axes = CHECKED
    return (
        f"isotropy of {found['documents']:,} dev documents: participation ratio {start[ratio]:.2f} to {end[ratio]:.2f} "
        f"of d (N(0, I): {gaussian[ratio]:.2f}), SIGReg along principal axes {significant(start[axes])} to "
        f"{significant(end[axes])} ({significant(gaussian[axes])})"
    )


def moved(trainings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether trainings of one dimension differ in participation ratio by `MOVED` of N(0, I)'s, in any dimension.

    `trainings` are the "isotropy" of manifests.
    """
    return any(_span(of) >= MOVED * _gaussian(of) for of in _by_dimension(trainings))


def verdict(trainings: Sequence[Mapping[str, Any]]) -> str | None:
    """A sentence where a grid did not move isotropy; None where it did, or where there are no trainings."""
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
