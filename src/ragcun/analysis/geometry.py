"""The measures of one set of embeddings, and the arrays for figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragcun.analysis.isotropy import Floats
from ragcun.analysis.measures import MEASURES, compute
from ragcun.analysis.view import Of, View

SAMPLE = 10_000
_PAIRS = 20_000


@dataclass(frozen=True, eq=False)
class Geometry:
    """The measures of N embeddings of D dimensions, and the arrays for figures.

    Arrays: eigenvalues of the covariance (D, descending), norms and nearest-neighbour distances (N), distances and
    cosines of P random pairs (P), coordinates along the first two principal components (N, 2).
    """

    label: str
    of: Of
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


def measure(label: str, view: View, tick: Callable[[], None] = lambda: None) -> Geometry:
    """Measure all rows of a view, in fp64; `tick` is called after each of `MEASURES`."""
    measures: dict[str, float] = {}
    for entry in MEASURES:
        measures |= compute(view, [entry])
        tick()
    first_P, second_P = _random_pairs(view.rows, view.seed)
    return Geometry(
        label=label,
        of=view.of,
        rows=view.rows,
        dimension=view.dimension,
        measures=measures,
        eigenvalues_D=view.eigenvalues_D,
        norms_N=view.norms_N,
        nearest_N=view.distances.nearest_N,
        pair_distances_P=np.linalg.norm(view.centred_ND[first_P] - view.centred_ND[second_P], axis=1),
        pair_cosines_P=np.einsum("pd,pd->p", view.unit_ND[first_P], view.unit_ND[second_P]),
        plane_N2=view.along_axes_ND[:, :2],
    )


def _random_pairs(count: int, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    generator = np.random.default_rng((seed, 1))
    first_P = generator.integers(count, size=_PAIRS)
    return first_P, (first_P + generator.integers(1, count, size=_PAIRS)) % count
