"""Measures of isotropy, as pure functions on embeddings in fp64.

Shapes: N rows, D dimensions, K slices. Eigenvalues are those of the covariance, the variances along components.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ragcun.errors import UserError
from ragcun.slices import slices

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float64]

SLICES = 1024
ZETA = 0.2  # the weight of the stable covariance in IsoScore*
_SLICES_AT_ONCE = 256
_ROWS_AT_ONCE = 512


def as_matrix(embeddings: npt.ArrayLike) -> Floats:
    """Return embeddings as fp64 (N, D), N and D at least 2. Raises `UserError` on another shape, NaN or infinity."""
    matrix_ND = np.asarray(embeddings, dtype=np.float64)
    if matrix_ND.ndim != 2 or min(matrix_ND.shape) < 2:
        raise UserError(
            f"isotropy needs at least 2 embeddings of at least 2 dimensions, not an array of shape {matrix_ND.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(matrix_ND).all(axis=1))
    if len(bad):
        raise UserError(
            f"{len(bad)} of {len(matrix_ND)} embeddings contain NaN or infinity; the first is row {bad[0]}; "
            "check the model that made them"
        )
    return matrix_ND


def centred(embeddings_ND: Floats) -> Floats:
    """Return the embeddings minus their mean; exactly zero if all rows are equal."""
    shifted_ND: Floats = embeddings_ND - embeddings_ND[0]
    shifted_ND -= shifted_ND.mean(axis=0)
    return shifted_ND


def principal_axes(centred_ND: Floats) -> tuple[Floats, Floats]:
    """Return (eigenvalues_D, axes_DD): the covariance's eigenvalues, descending, and the axes in columns.

    The covariance is divided by N - 1. An eigenvalue below D machine epsilons of the first is a rounding error and set
    to 0. The sign of an axis is chosen so that its largest entry is positive.
    """
    eigenvalues_D, axes_DD = np.linalg.eigh(centred_ND.T @ centred_ND / (len(centred_ND) - 1))
    eigenvalues_D, axes_DD = eigenvalues_D[::-1], axes_DD[:, ::-1]
    floor = len(eigenvalues_D) * np.finfo(np.float64).eps * eigenvalues_D[0]
    largest_D = np.abs(axes_DD).argmax(axis=0)
    signs_D = np.sign(axes_DD[largest_D, np.arange(len(largest_D))])
    return np.where(eigenvalues_D > floor, eigenvalues_D, 0.0), axes_DD * signs_D


def iso_score(eigenvalues_D: Floats) -> float:
    """Return IsoScore: 0 if one component has all the variance, 1 if all components have the same variance.

    Rudman et al. 2022 (arXiv:2108.07344), Algorithm 1, whose seven steps reduce to (p - 1) / (D - 1) with
    p = (sum of eigenvalues)² / (sum of squared eigenvalues). It equals the `IsoScore` package, and is also defined for
    N < D. It is 0 for equal rows.
    """
    total = eigenvalues_D.sum()
    if total == 0:
        return 0.0
    shares_D = eigenvalues_D / total
    return float((1 / (shares_D @ shares_D) - 1) / (len(shares_D) - 1))


def iso_score_star(covariance_DD: Floats, stable_DD: Floats, zeta: float = ZETA) -> float:
    """Return IsoScore*: IsoScore of the eigenvalues of (1 - zeta) covariance + zeta stable covariance, 0 to 1.

    Rudman and Eickhoff 2024 (arXiv:2305.19358), section 3: the stable covariance comes from a larger sample, because
    the eigenvalues of few rows in many dimensions spread too widely. With zeta = 0, it equals IsoScore.
    """
    eigenvalues_D = np.linalg.eigvalsh((1 - zeta) * covariance_DD + zeta * stable_DD)
    return iso_score(np.maximum(eigenvalues_D, 0))


def participation_ratio(eigenvalues_D: Floats) -> float:
    """Return the participation ratio divided by D, 1/D to 1: (sum of eigenvalues)² / (D sum of squared eigenvalues).

    Gao et al. 2017 (bioRxiv 214262), divided by D. 0 for equal rows.
    """
    total = eigenvalues_D.sum()
    if total == 0:
        return 0.0
    shares_D = eigenvalues_D / total
    return float(1 / (shares_D @ shares_D) / len(shares_D))


def effective_rank(eigenvalues_D: Floats) -> float:
    """Return the effective rank, 1 to min(N - 1, D): exp of the entropy of the centred embeddings' singular values.

    Roy and Vetterli 2007, Definition 1, with singular values (not squares) divided by their sum. 0 for equal rows.
    """
    singular_D = np.sqrt(eigenvalues_D[eigenvalues_D > 0])
    shares_D = singular_D / singular_D.sum()
    return float(np.exp(-(shares_D @ np.log(shares_D)))) if len(shares_D) else 0.0


def top_variance(eigenvalues_D: Floats) -> float:
    """Return the share of the variance in the first principal component, 1/D to 1; 1 for equal rows."""
    total = eigenvalues_D.sum()
    return float(eigenvalues_D[0] / total) if total > 0 else 1.0


def partition_isotropy(embeddings_ND: Floats) -> float:
    """Return partition-function isotropy, 0 to 1: min Z(c) / max Z(c), where Z(c) = sum over rows x of exp(c·x).

    Mu and Viswanath 2018 (arXiv:1702.01417), section 2.1: c are the unit eigenvectors of XᵀX. The sign of an
    eigenvector is arbitrary, so both signs are used. The measure depends on scale: larger embeddings score lower.
    """
    _, axes_DD = np.linalg.eigh(embeddings_ND.T @ embeddings_ND)
    return partition_along(embeddings_ND @ axes_DD)


def partition_along(projections_NC: Floats) -> float:
    """Return partition-function isotropy, as `partition_isotropy`, from the products of rows and C unit vectors."""
    log_z: list[float] = []
    for part in slices(projections_NC.shape[1], _SLICES_AT_ONCE):
        for signed_NC in (projections_NC[:, part], -projections_NC[:, part]):
            peak_C = signed_NC.max(axis=0)
            log_z.extend(peak_C + np.log(np.exp(signed_NC - peak_C).sum(axis=0)))
    return math.exp(min(log_z) - max(log_z))


def partition_second_order(shape_variances_D: Floats) -> float:
    """Return the second-order approximation of partition-function isotropy, 0 to 1, of centred embeddings.

    Mu and Viswanath 2018 (arXiv:1702.01417), section 2.2: (N - |Xᵀ1| + σ²min / 2) / (N + |Xᵀ1| + σ²max / 2), where σ
    are the singular values of X. For centred embeddings, Xᵀ1 is 0, so that it depends only on the variances σ² / N.
    """
    return float((1 + shape_variances_D[-1] / 2) / (1 + shape_variances_D[0] / 2))


def unit_rows(embeddings_ND: Floats) -> Floats:
    """Return each row divided by its norm; a zero row stays zero."""
    norms_N = np.linalg.norm(embeddings_ND, axis=1)
    return embeddings_ND / np.where(norms_N > 0, norms_N, 1.0)[:, None]


def mean_cosine(unit_ND: Floats) -> float:
    """Return the mean cosine over all pairs of different rows, -1/(N-1) to 1; a zero row has cosine 0 with any.

    The input is that of `unit_rows`. Ethayarajh 2019 (arXiv:1909.00512), section 3.2, draws pairs at random.
    """
    count = len(unit_ND)
    total_D = unit_ND.sum(axis=0)
    return float((total_D @ total_D - np.vdot(unit_ND, unit_ND)) / (count * (count - 1)))


def uniformity(unit_ND: Floats) -> float:
    """Return the log of the mean of exp(-2 |x - y|²) over all pairs of different rows, about -4 (uniform) to 0.

    The input is that of `unit_rows`. Wang and Isola 2020 (arXiv:2005.10242), section 4.1.2, with t = 2. Products are
    fp32.
    """
    count = len(unit_ND)
    rows_ND = unit_ND.astype(np.float32)
    squares_N = np.einsum("nd,nd->n", unit_ND, unit_ND)  # 1, or 0 for a zero row
    total = 0.0
    for part in slices(count, _ROWS_AT_ONCE):
        rest = slice(part.start, None)
        exponents_BM = rows_ND[part] @ rows_ND[rest].T
        exponents_BM *= 4
        exponents_BM -= 2 * squares_N[part, None]
        exponents_BM -= 2 * squares_N[rest]
        kernel_BM = np.exp(exponents_BM, out=exponents_BM)
        np.fill_diagonal(kernel_BM, 0)
        block = float(kernel_BM[:, : len(kernel_BM)].sum(dtype=np.float64))
        total += 2 * float(kernel_BM.sum(dtype=np.float64)) - block
    return math.log(max(total, np.finfo(np.float64).tiny) / (count * (count - 1)))


def sigreg(embeddings_ND: Floats, seed: int = 0, directions: int = SLICES) -> float:
    """Return SIGReg's statistic, >= 0: the Epps-Pulley statistic against N(0, 1), averaged over random slices, over N.

    In LeJEPA (arXiv:2511.08544), the statistic is multiplied by N; without this factor, it estimates a property of the
    distribution, independent of the size of the sample. Projections are fp32, and sums over rows are fp64.
    """
    return sigreg_images(embeddings_ND, [(1.0, np.zeros(embeddings_ND.shape[1]))], seed, directions)[0]


def sigreg_images(
    embeddings_ND: Floats, images: Sequence[tuple[float, Floats]], seed: int = 0, directions: int = SLICES
) -> list[float]:
    """Return SIGReg's statistic, as `sigreg`, of scale · x + shift_D for each (scale, shift_D).

    All share the random slices and the projection, which is most of the work in many dimensions.
    """
    import torch

    from ragcun.losses import draw_directions  # imports torch, which a report of these measures does without

    directions_KD = draw_directions(directions, embeddings_ND.shape[1], seed)
    rows_ND = torch.from_numpy(embeddings_ND.astype(np.float32))
    totals = [0.0] * len(images)
    for part in slices(directions, _SLICES_AT_ONCE):
        along_NK = rows_ND @ directions_KD[part].T
        for at, (scale, shift_D) in enumerate(images):
            shift_K = (directions_KD[part].double() @ torch.from_numpy(shift_D)).float()
            totals[at] += _epps_pulley(along_NK * scale + shift_K)
    return [total / (directions * len(embeddings_ND)) for total in totals]


def sigreg_along(projections_NK: Floats) -> float:
    """Return SIGReg's statistic, as `sigreg`, from the products of rows and K unit directions."""
    import torch

    rows, count = projections_NK.shape
    total = 0.0
    for part in slices(count, _SLICES_AT_ONCE):
        total += _epps_pulley(torch.from_numpy(np.ascontiguousarray(projections_NK[:, part], dtype=np.float32)))
    return float(total / (count * rows))


def _epps_pulley(projections_NK: "Tensor") -> float:
    from ragcun.losses import epps_pulley

    return float(epps_pulley(projections_NK).double().sum())


@dataclass(frozen=True)
class Distances:
    """Euclidean distances of rows to their nearest rows, with the mean and standard deviation over all pairs."""

    nearest_N: Floats
    pair_mean: float
    pair_std: float

    @property
    def ratio(self) -> float:
        """The mean nearest-neighbour distance divided by the mean distance, 0 to 1; 1 if all rows are equal."""
        return float(self.nearest_N.mean()) / self.pair_mean if self.pair_mean > 0 else 1.0


def distances(centred_ND: Floats) -> Distances:
    """Compare all pairs of rows, in blocks of bounded size: O(N²D) time, O(N) memory."""
    count = len(centred_ND)
    squares_N = np.einsum("nd,nd->n", centred_ND, centred_ND)
    nearest_N = np.full(count, np.inf)
    total = total_square = 0.0
    for block in slices(count, _ROWS_AT_ONCE):
        rows_BD, following = centred_ND[block], slice(block.start, None)
        squared_BM = rows_BD @ centred_ND[following].T
        squared_BM *= -2
        squared_BM += squares_N[block, None]
        squared_BM += squares_N[following]
        np.maximum(squared_BM, 0, out=squared_BM)
        seen = np.tril_indices(len(rows_BD))
        squared_BM[seen] = np.inf
        here_B, there_M = nearest_N[block], nearest_N[following]
        np.minimum(here_B, squared_BM.min(axis=1), out=here_B)
        np.minimum(there_M, squared_BM.min(axis=0), out=there_M)
        squared_BM[seen] = 0.0
        total_square += float(squared_BM.sum())
        total += float(np.sqrt(squared_BM, out=squared_BM).sum())
    pairs = count * (count - 1) / 2
    mean = total / pairs
    return Distances(np.sqrt(nearest_N), mean, math.sqrt(max(total_square / pairs - mean * mean, 0.0)))


def chi_moments(dimension: int) -> tuple[float, float]:
    """Return the mean and standard deviation of the norm of a sample of N(0, I), which has a chi distribution."""
    mean = math.sqrt(2) * math.exp(math.lgamma((dimension + 1) / 2) - math.lgamma(dimension / 2))
    return mean, math.sqrt(max(dimension - mean * mean, 0.0))
