"""One set of embeddings, measured: the numbers of the report and the arrays that the figures draw."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ragcun.analysis import isotropy
from ragcun.analysis.isotropy import Floats
from ragcun.analysis.measures import MEASURES
from ragcun.analysis.reports import IsotropyReport
from ragcun.analysis.view import View

SAMPLE = 10_000
GAUSSIAN = "N(0, I)"
_PAIRS = 20_000


@dataclass(frozen=True, eq=False)
class Geometry:
    """Measures of N embeddings of D dimensions, and what the figures show of them.

    Arrays: eigenvalues of the covariance (D, descending), norms and nearest-neighbour distances (N), distances and
    cosines of P random pairs (P), coordinates along the first two principal components (N, 2).
    """

    label: str
    rows: int
    dimension: int
    measures: Mapping[str, float]
    eigenvalues_D: Floats
    norms_N: Floats
    nearest_N: Floats
    pair_distances_P: Floats
    pair_cosines_P: Floats
    plane_N2: Floats


def sample_rows(population: int, sample: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the rows to measure, ascending: all of them, or `sample` drawn without replacement."""
    if population <= sample:
        return np.arange(population)
    return np.sort(np.random.default_rng((seed, 0)).choice(population, sample, replace=False))


def measure(label: str, embeddings: npt.ArrayLike, seed: int = 0) -> Geometry:
    """Measure all rows of an (N, D) array, in fp64. Raises `UserError` on fewer than 2 rows or columns, or NaN."""
    view = View(embeddings, seed)
    first_P, second_P = _random_pairs(view.rows, seed)
    return Geometry(
        label=label,
        rows=view.rows,
        dimension=view.dimension,
        measures={entry.key: entry.function(view) for entry in MEASURES},
        eigenvalues_D=view.eigenvalues_D,
        norms_N=view.norms_N,
        nearest_N=view.distances.nearest_N,
        pair_distances_P=np.linalg.norm(view.centred_ND[first_P] - view.centred_ND[second_P], axis=1),
        pair_cosines_P=np.einsum("pd,pd->p", view.unit_ND[first_P], view.unit_ND[second_P]),
        plane_N2=view.centred_ND @ view.axes_DD[:, :2],
    )


def _random_pairs(count: int, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    generator = np.random.default_rng((seed, 1))
    first_P = generator.integers(count, size=_PAIRS)
    return first_P, (first_P + generator.integers(1, count, size=_PAIRS)) % count


@lru_cache(maxsize=8)
def gaussian(rows: int, dimension: int, seed: int = 0) -> Geometry:
    """Measure a seeded N(0, I) sample by the same code: what perfect embeddings of this shape would show."""
    sample_ND = np.random.default_rng((seed, 2)).standard_normal((rows, dimension), dtype=np.float32)
    return measure(GAUSSIAN, sample_ND, seed)


def report(geometry: Geometry, data: str = "", population: int | None = None, seed: int = 0) -> IsotropyReport:
    """Put a geometry's measures beside N(0, I)'s; `seed` is the one it was measured with."""
    return IsotropyReport(
        model=geometry.label,
        data=data,
        rows=geometry.rows,
        population=population or geometry.rows,
        dimension=geometry.dimension,
        seed=seed,
        slices=isotropy.SLICES,
        measures=geometry.measures,
        gaussian=gaussian(geometry.rows, geometry.dimension, seed).measures,
        exact={entry.key: entry.exact(geometry.dimension) for entry in MEASURES if entry.exact is not None},
    )
