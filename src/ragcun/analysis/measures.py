"""The registry of measures of geometry. To add one, add an entry here, and a row in docs/analyze.md."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ragcun.analysis import hubness, isotropy, normality
from ragcun.analysis.view import View

Transformation = Literal["translation", "scale", "rotation"]
_ARROWS = {"higher": " ↑", "lower": " ↓", "gaussian": "", "neither": ""}


@dataclass(frozen=True)
class Measure:
    """One number that describes a set of embeddings.

    Attributes:
        key: the name in files and in Python.
        name: the name in tables.
        function: computes the measure from a view of the embeddings; returns None if the view lacks the data.
        better: the direction of more isotropy; "gaussian" if closer to N(0, I) is more isotropic, "neither"
            if the measure is not about isotropy.
        invariant: the operations that do not change the measure: adding one vector to all embeddings, multiplying all
            by one positive number, rotating all.
        source: the paper that defines the measure; empty if the name is the definition.
        exact: the value for N(0, I) in D dimensions, if there is a closed form. Tables show the value of a sample of
            N(0, I) with the same N and D.
        headline: whether the measure is in a paper's main table and in ablations; the others are in the appendix.
        has_interval: whether resampling gives an interval; a p-value has none.
    """

    key: str
    name: str
    function: Callable[[View], float | None]
    better: Literal["higher", "lower", "gaussian", "neither"]
    invariant: frozenset[Transformation]
    source: str = ""
    exact: Callable[[int], float] | None = None
    headline: bool = False
    has_interval: bool = True

    @property
    def title(self) -> str:
        """The name with an arrow in the direction of more isotropy."""
        return self.name + _ARROWS[self.better]


_SHAPE: frozenset[Transformation] = frozenset({"translation", "scale", "rotation"})
_ROTATION: frozenset[Transformation] = frozenset({"rotation"})
_DISTANCE: frozenset[Transformation] = frozenset({"translation", "rotation"})
_ANGLE: frozenset[Transformation] = frozenset({"scale", "rotation"})
_MOVED_AND_SCALED: frozenset[Transformation] = frozenset({"translation", "scale"})
_COORDINATES: frozenset[Transformation] = frozenset({"translation"})

_ISOSCORE = "Rudman et al. (2022), Findings of ACL, arXiv:2108.07344"
_ISOSCORE_STAR = (
    "Rudman and Eickhoff (2024), ICLR, arXiv:2305.19358; zeta = 0.2, the stable covariance of all documents and "
    "queries, each about their mean"
)
_PARTITION = "Mu and Viswanath (2018), ICLR, arXiv:1702.01417"
_EFFECTIVE_RANK = "Roy and Vetterli (2007), EUSIPCO; singular values of the centred embeddings"
_COSINE = "Ethayarajh (2019), EMNLP, arXiv:1909.00512; mean over all pairs"
_PARTICIPATION = "Gao et al. (2017), bioRxiv 214262; divided by d"
_SIGREG = "Balestriero and LeCun (2025), arXiv:2511.08544; mean over slices, divided by the number of rows"
_CONTRAST = "Reciprocal of the relative contrast of He et al. (2012), ICML, arXiv:1206.6411"
_CHI = "Chi-distributed with d degrees of freedom for N(0, I)"
_ALIGNMENT = "Wang and Isola (2020), ICML, arXiv:2005.10242; of vectors divided by their norms"
_HUBNESS = "Radovanović et al. (2010), JMLR 11; k = 10"
_ROBIN_HOOD = "Feldbauer et al. (2018), ICBK; k = 10"
_MARDIA = "Mardia (1970), Biometrika 57; first 50 principal components, moments of Mardia (1974), Sankhya B 36"
_HENZE_ZIRKLER = "Henze and Zirkler (1990), Communications in Statistics 19; first 10 principal components"

MEASURES = (
    Measure(
        "participation_ratio",
        "Participation ratio over d",
        lambda view: isotropy.participation_ratio(view.eigenvalues_D),
        "higher",
        _SHAPE,
        _PARTICIPATION,
        headline=True,
    ),
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
        "sigreg_shape_axes",
        "SIGReg of shape along principal axes",
        lambda view: isotropy.sigreg_along(view.along_axes_ND / view.spread),
        "lower",
        _SHAPE,
        _SIGREG,
        headline=True,
    ),
    Measure(
        "mean_cosine",
        "Average cosine",
        lambda view: isotropy.mean_cosine(view.unit_ND),
        "gaussian",
        _ANGLE,
        _COSINE,
        exact=lambda _: 0.0,
        headline=True,
    ),
    Measure(
        "hubness_skewness",
        "Hubness, skewness of k-occurrence",
        lambda view: hubness.skewness(view.occurrences_N),
        "gaussian",
        _SHAPE,
        _HUBNESS,
        headline=True,
    ),
    Measure(
        "norm_ks_shape",
        "Norms of shape against chi",
        lambda view: normality.norms_against_chi(np.linalg.norm(view.shape_ND, axis=1), view.dimension).statistic,
        "lower",
        _SHAPE,
        _CHI,
        headline=True,
    ),
    Measure(
        "iso_score_star",
        "IsoScore*",
        lambda view: isotropy.iso_score_star(
            view.covariance_DD, view.covariance_DD if view.stable_DD is None else view.stable_DD
        ),
        "higher",
        _SHAPE,
        _ISOSCORE_STAR,
    ),
    Measure(
        "effective_rank",
        "Effective rank",
        lambda view: isotropy.effective_rank(view.eigenvalues_D),
        "higher",
        _SHAPE,
        _EFFECTIVE_RANK,
    ),
    Measure(
        "top_variance",
        "Variance in the top component",
        lambda view: isotropy.top_variance(view.eigenvalues_D),
        "lower",
        _SHAPE,
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
        "partition_shape",
        "Partition-function isotropy of shape",
        lambda view: isotropy.partition_along(view.along_axes_ND / view.spread),
        "higher",
        _SHAPE,
        _PARTITION,
    ),
    Measure(
        "partition_second_order",
        "Partition-function isotropy of shape, second order",
        lambda view: isotropy.partition_second_order(view.eigenvalues_D / view.spread**2),
        "higher",
        _SHAPE,
        _PARTITION,
    ),
    Measure(
        "uniformity",
        "Uniformity",
        lambda view: isotropy.uniformity(view.unit_ND),
        "lower",
        _ANGLE,
        _ALIGNMENT,
    ),
    Measure(
        "alignment",
        "Alignment of relevant pairs",
        lambda view: None if view.pairs is None else view.pairs.alignment,
        "neither",
        _ANGLE,
        _ALIGNMENT,
    ),
    Measure(
        "sigreg",
        "SIGReg statistic",
        lambda view: view.sigreg[0],
        "lower",
        frozenset(),  # a rotation has the same effect as other random slices
        _SIGREG,
    ),
    Measure(
        "sigreg_axes",
        "SIGReg along principal axes",
        lambda view: isotropy.sigreg_along(view.along_axes_ND + view.mean_D @ view.axes_DD),
        "lower",
        _ROTATION,
        _SIGREG,
    ),
    Measure(
        "sigreg_shape",
        "SIGReg of shape",
        lambda view: view.sigreg[1],
        "lower",
        _MOVED_AND_SCALED,
        _SIGREG,
    ),
    Measure(
        "sigreg_whitened",
        "SIGReg after whitening",
        lambda view: isotropy.sigreg(view.whitened_NR, view.seed, view.slices),
        "lower",
        _MOVED_AND_SCALED,
        _SIGREG,
    ),
    Measure(
        "sigreg_whitened_axes",
        "SIGReg after whitening, along principal axes",
        lambda view: isotropy.sigreg_along(view.whitened_NR),
        "lower",
        _SHAPE,
        _SIGREG,
    ),
    Measure(
        "mardia_skewness",
        "Mardia's skewness",
        lambda view: view.mardia[0].statistic,
        "lower",
        _SHAPE,
        _MARDIA,
    ),
    Measure(
        "mardia_skewness_p",
        "Mardia's skewness, p",
        lambda view: view.mardia[0].p_value,
        "neither",
        _SHAPE,
        _MARDIA,
        has_interval=False,
    ),
    Measure(
        "mardia_kurtosis",
        "Mardia's kurtosis",
        lambda view: view.mardia[1].statistic,
        "gaussian",
        _SHAPE,
        _MARDIA,
    ),
    Measure(
        "mardia_kurtosis_p",
        "Mardia's kurtosis, p",
        lambda view: view.mardia[1].p_value,
        "neither",
        _SHAPE,
        _MARDIA,
        has_interval=False,
    ),
    Measure(
        "henze_zirkler",
        "Henze and Zirkler's statistic",
        lambda view: view.henze_zirkler.statistic,
        "lower",
        _SHAPE,
        _HENZE_ZIRKLER,
    ),
    Measure(
        "henze_zirkler_p",
        "Henze and Zirkler's test, p",
        lambda view: view.henze_zirkler.p_value,
        "neither",
        _SHAPE,
        _HENZE_ZIRKLER,
        has_interval=False,
    ),
    Measure(
        "robin_hood",
        "Hubness, Robin Hood index",
        lambda view: hubness.robin_hood(view.occurrences_N),
        "gaussian",
        _SHAPE,
        _ROBIN_HOOD,
    ),
    Measure(
        "mean_gap",
        "Gap between the means of queries and documents",
        lambda view: view.mean_gap,
        "gaussian",
        _SHAPE,
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
        "norm_ks",
        "Norms against chi",
        lambda view: view.norms_against_chi.statistic,
        "lower",
        _ROTATION,
        _CHI,
    ),
    Measure(
        "norm_ks_p",
        "Norms against chi, p",
        lambda view: view.norms_against_chi.p_value,
        "neither",
        _ROTATION,
        _CHI,
        has_interval=False,
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
    Measure(
        "random_distance",
        "Distance of a query and a random document",
        lambda view: None if view.pairs is None else view.pairs.random,
        "gaussian",
        _DISTANCE,
    ),
    Measure(
        "relevant_distance",
        "Distance of a query and a relevant document",
        lambda view: None if view.pairs is None else view.pairs.relevant,
        "neither",
        _DISTANCE,
    ),
    Measure(
        "retrieved_distance",
        "Distance of a query and its 10 nearest documents",
        lambda view: None if view.pairs is None else view.pairs.retrieved,
        "gaussian",
        _DISTANCE,
    ),
    Measure(
        "relevant_ratio",
        "Relevant over random distance",
        lambda view: None if view.pairs is None else view.pairs.over_random(view.pairs.relevant),
        "neither",
        _SHAPE,
    ),
    Measure(
        "retrieved_ratio",
        "Retrieved over random distance",
        lambda view: None if view.pairs is None else view.pairs.over_random(view.pairs.retrieved),
        "gaussian",
        _SHAPE,
    ),
)

HEADLINES = tuple(measure.key for measure in MEASURES if measure.headline)


def compute(view: View, measures: Iterable[Measure] = MEASURES) -> dict[str, float]:
    """Return the values of measures by key, without those for which the view lacks the data."""
    values = ((measure.key, measure.function(view)) for measure in measures)
    return {key: value for key, value in values if value is not None}


def headlines(view: View) -> dict[str, float]:
    """Return the values of the main measures, by key."""
    return compute(view, (measure for measure in MEASURES if measure.headline))
