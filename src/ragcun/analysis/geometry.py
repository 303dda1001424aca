"""One set of embeddings, measured: the numbers of the report and the arrays that the figures draw."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ragcun.analysis import isotropy
from ragcun.analysis.isotropy import Floats
from ragcun.analysis.measures import IsotropyReport

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
    embeddings_ND = isotropy.as_matrix(embeddings)
    count, dimension = embeddings_ND.shape
    norms_N = np.linalg.norm(embeddings_ND, axis=1)
    unit_ND = isotropy.unit_rows(embeddings_ND)
    centred_ND = isotropy.centred(embeddings_ND)
    variances_D = np.einsum("nd,nd->d", centred_ND, centred_ND) / (count - 1)
    eigenvalues_D, axes_DD = isotropy.principal_axes(centred_ND)
    distances = isotropy.distances(centred_ND)
    first_P, second_P = _random_pairs(count, seed)
    measures = {
        "iso_score": isotropy.iso_score(eigenvalues_D),
        "partition": isotropy.partition_isotropy(embeddings_ND),
        "effective_rank": isotropy.effective_rank(eigenvalues_D),
        "top_variance": isotropy.top_variance(eigenvalues_D),
        "mean_cosine": isotropy.mean_cosine(embeddings_ND),
        "sigreg": isotropy.sigreg(embeddings_ND, seed),
        "mean_vector_norm": float(np.linalg.norm(embeddings_ND.mean(axis=0))),
        "norm_mean": float(norms_N.mean()),
        "norm_std": float(norms_N.std()),
        "mean_square": float(np.square(norms_N).mean() / dimension),
        "variance_min": float(variances_D.min()),
        "variance_max": float(variances_D.max()),
        "nearest_mean": float(distances.nearest_N.mean()),
        "nearest_std": float(distances.nearest_N.std()),
        "pair_mean": distances.pair_mean,
        "pair_std": distances.pair_std,
        "nearest_ratio": distances.ratio,
    }
    return Geometry(
        label=label,
        rows=count,
        dimension=dimension,
        measures=measures,
        eigenvalues_D=eigenvalues_D,
        norms_N=norms_N,
        nearest_N=distances.nearest_N,
        pair_distances_P=np.linalg.norm(centred_ND[first_P] - centred_ND[second_P], axis=1),
        pair_cosines_P=np.einsum("pd,pd->p", unit_ND[first_P], unit_ND[second_P]),
        plane_N2=centred_ND @ axes_DD[:, :2],
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
    chi_mean, chi_std = isotropy.chi_moments(geometry.dimension)
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
        chi={"norm_mean": chi_mean, "norm_std": chi_std},
    )


def isotropy_report(
    embeddings: npt.NDArray[np.floating], label: str = "", data: str = "", seed: int = 0, sample: int = SAMPLE
) -> IsotropyReport:
    """Measure at most `sample` rows of an (N, D) array beside an N(0, I) sample of the same shape.

    Deterministic for a seed. Memory is bounded by the sample, whatever N. Raises `UserError` as `measure` does.
    """
    rows = sample_rows(len(embeddings), sample, seed)
    return report(measure(label, embeddings[rows], seed), data, len(embeddings), seed)
