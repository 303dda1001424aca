"""The measures of geometry. To add one is to write its entry here, and its section in docs/analyze.md."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ragcun.analysis import isotropy
from ragcun.analysis.view import View

Transformation = Literal["translation", "scale", "rotation"]
_ARROWS = {"higher": " ↑", "lower": " ↓", "gaussian": ""}


@dataclass(frozen=True)
class Measure:
    """One number that describes a set of embeddings.

    Attributes:
        key: its name in files and in Python.
        name: its name in tables.
        function: computes it from a view of the embeddings.
        better: in which direction a set is more isotropic; "gaussian" where nearer to N(0, I)'s value is.
        invariant: what the embeddings may undergo without moving it: adding one vector to all, multiplying all by one
            positive number, rotating all.
        source: the paper that defines it; empty where the name is the definition.
        exact: its value for N(0, I) in D dimensions, where that is known in closed form. Beside it, and in its place
            where it is not known, stands what the same function gives for a sample of N(0, I) of the same N and D.
        headline: whether it stands in the table of an ablation.
    """

    key: str
    name: str
    function: Callable[[View], float]
    better: Literal["higher", "lower", "gaussian"]
    invariant: frozenset[Transformation]
    source: str = ""
    exact: Callable[[int], float] | None = None
    headline: bool = False

    @property
    def title(self) -> str:
        """Its name, with an arrow in the direction of more isotropy."""
        return self.name + _ARROWS[self.better]


_SHAPE: frozenset[Transformation] = frozenset({"translation", "scale", "rotation"})
_ROTATION: frozenset[Transformation] = frozenset({"rotation"})
_DISTANCE: frozenset[Transformation] = frozenset({"translation", "rotation"})
_MOVED_AND_SCALED: frozenset[Transformation] = frozenset({"translation", "scale"})
_COORDINATES: frozenset[Transformation] = frozenset({"translation"})

_ISOSCORE = "Rudman et al. (2022), Findings of ACL, arXiv:2108.07344"
_PARTITION = "Mu and Viswanath (2018), ICLR, arXiv:1702.01417"
_EFFECTIVE_RANK = "Roy and Vetterli (2007), EUSIPCO; singular values of the centred embeddings"
_COSINE = "Ethayarajh (2019), EMNLP, arXiv:1909.00512; mean over all pairs"
_PARTICIPATION = "Gao et al. (2017), bioRxiv 214262; divided by d"
_SIGREG = "Balestriero and LeCun (2025), arXiv:2511.08544; mean over slices, divided by the number of rows"
_CONTRAST = "Reciprocal of the relative contrast of He et al. (2012), ICML, arXiv:1206.6411"
_CHI = "Chi-distributed with d degrees of freedom for N(0, I)"

MEASURES = (
    Measure(
        "iso_score",
        "IsoScore",
        lambda view: isotropy.iso_score(view.eigenvalues_D),
        "higher",
        _SHAPE,
        _ISOSCORE,
        headline=True,
    ),
    Measure(
        "partition",
        "Partition-function isotropy",
        lambda view: isotropy.partition_isotropy(view.embeddings_ND),
        "higher",
        _ROTATION,
        _PARTITION,
    ),
    Measure(
        "participation_ratio",
        "Participation ratio over d",
        lambda view: isotropy.participation_ratio(view.eigenvalues_D),
        "higher",
        _SHAPE,
        _PARTICIPATION,
    ),
    Measure(
        "effective_rank",
        "Effective rank",
        lambda view: isotropy.effective_rank(view.eigenvalues_D),
        "higher",
        _SHAPE,
        _EFFECTIVE_RANK,
        headline=True,
    ),
    Measure(
        "top_variance",
        "Variance in the top component",
        lambda view: isotropy.top_variance(view.eigenvalues_D),
        "lower",
        _SHAPE,
    ),
    Measure(
        "mean_cosine",
        "Average cosine",
        lambda view: isotropy.mean_cosine(view.unit_ND),
        "gaussian",
        frozenset({"scale", "rotation"}),
        _COSINE,
        exact=lambda _: 0.0,
    ),
    Measure(
        "sigreg",
        "SIGReg statistic",
        lambda view: isotropy.sigreg(view.embeddings_ND, view.seed),
        "lower",
        frozenset(),  # a rotation moves what is averaged over random slices as other slices do
        _SIGREG,
        headline=True,
    ),
    Measure(
        "sigreg_axes",
        "SIGReg along principal axes",
        lambda view: isotropy.sigreg_along(view.embeddings_ND, view.axes_DD.T),
        "lower",
        _ROTATION,
        _SIGREG,
    ),
    Measure(
        "sigreg_shape",
        "SIGReg of shape",
        lambda view: isotropy.sigreg(view.shape_ND, view.seed),
        "lower",
        _MOVED_AND_SCALED,
        _SIGREG,
    ),
    Measure(
        "sigreg_shape_axes",
        "SIGReg of shape along principal axes",
        lambda view: isotropy.sigreg_along(view.shape_ND, view.axes_DD.T),
        "lower",
        _SHAPE,
        _SIGREG,
    ),
    Measure(
        "sigreg_whitened",
        "SIGReg after whitening",
        lambda view: isotropy.sigreg(view.whitened_NR, view.seed),
        "lower",
        _MOVED_AND_SCALED,
        _SIGREG,
    ),
    Measure(
        "sigreg_whitened_axes",
        "SIGReg after whitening, along principal axes",
        lambda view: isotropy.sigreg_along(view.whitened_NR, np.eye(view.whitened_NR.shape[1])),
        "lower",
        _SHAPE,
        _SIGREG,
    ),
    Measure(
        "mean_vector_norm",
        "Norm of the mean vector",
        lambda view: math.hypot(*view.mean_D),
        "gaussian",
        _ROTATION,
    ),
    Measure(
        "norm_mean",
        "Norm, mean",
        lambda view: float(view.norms_N.mean()),
        "gaussian",
        _ROTATION,
        _CHI,
        exact=lambda dimension: isotropy.chi_moments(dimension)[0],
    ),
    Measure(
        "norm_std",
        "Norm, standard deviation",
        lambda view: float(view.norms_N.std()),
        "gaussian",
        _ROTATION,
        _CHI,
        exact=lambda dimension: isotropy.chi_moments(dimension)[1],
    ),
    Measure(
        "mean_square",
        "Squared norm per dimension",
        lambda view: float((view.norms_N**2).mean() / view.dimension),
        "gaussian",
        _ROTATION,
        exact=lambda _: 1.0,
    ),
    Measure(
        "variance_min",
        "Variance of a dimension, least",
        lambda view: float(view.variances_D.min()),
        "gaussian",
        _COORDINATES,
    ),
    Measure(
        "variance_max",
        "Variance of a dimension, greatest",
        lambda view: float(view.variances_D.max()),
        "gaussian",
        _COORDINATES,
    ),
    Measure(
        "nearest_mean",
        "Nearest-neighbour distance, mean",
        lambda view: float(view.distances.nearest_N.mean()),
        "gaussian",
        _DISTANCE,
    ),
    Measure(
        "nearest_std",
        "Nearest-neighbour distance, standard deviation",
        lambda view: float(view.distances.nearest_N.std()),
        "gaussian",
        _DISTANCE,
    ),
    Measure(
        "pair_mean",
        "Distance of two rows, mean",
        lambda view: view.distances.pair_mean,
        "gaussian",
        _DISTANCE,
    ),
    Measure(
        "pair_std",
        "Distance of two rows, standard deviation",
        lambda view: view.distances.pair_std,
        "gaussian",
        _DISTANCE,
    ),
    Measure(
        "nearest_ratio",
        "Nearest over mean distance",
        lambda view: view.distances.ratio,
        "gaussian",
        _SHAPE,
        _CONTRAST,
    ),
)

HEADLINES = tuple(measure.key for measure in MEASURES if measure.headline)
