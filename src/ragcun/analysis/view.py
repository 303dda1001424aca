"""Embeddings with the quantities that several measures share, each of which is computed on first use.

Shapes: N rows, D dimensions.
"""

import math
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from ragcun.analysis import hubness, isotropy, normality
from ragcun.analysis.isotropy import Distances, Floats
from ragcun.analysis.pairs import Pairs

Of = Literal["documents", "queries", "both"]


class View:
    """N embeddings of D dimensions, in fp64.

    Attributes:
        embeddings_ND: the embeddings; documents come first.
        seed: the seed of all random choices of measures.
        of: the embedded texts: documents, queries or both.
        queries: the number of queries, which are the last rows.
        stable_DD: the covariance of a larger sample; None if there is none.
        pairs: the distances of queries and documents, if the view is of both.
        slices: the number of SIGReg's random slices.
    """

    def __init__(
        self,
        embeddings: npt.ArrayLike,
        seed: int = 0,
        of: Of = "documents",
        queries: int = 0,
        stable_DD: Floats | None = None,
        pairs: Pairs | None = None,
        slices: int = isotropy.SLICES,
    ) -> None:
        """View an (N, D) array. Raises `UserError` for fewer than 2 rows or columns, NaN or infinity."""
        self.embeddings_ND = isotropy.as_matrix(embeddings)
        self.seed = seed
        self.of = of
        self.queries = queries
        self.stable_DD = stable_DD
        self.pairs = pairs
        self.slices = slices

    def part(self, share: float, generator: np.random.Generator) -> "View":
        """Return a share of the rows, drawn without replacement, the same of documents and queries; at least 2 of each.

        SIGReg uses an eighth of the slices, which suffices to estimate its variation with the rows.
        """
        ends = [(0, self.rows - self.queries), (self.rows - self.queries, self.rows)]
        drawn = [
            start + np.sort(generator.choice(stop - start, max(2, round(share * (stop - start))), replace=False))
            for start, stop in ends
            if stop > start
        ]
        pairs = self.pairs.of(drawn[-1] - ends[1][0]) if self.pairs is not None else None
        queries = len(drawn[-1]) if self.queries else 0
        rows_ND = self.embeddings_ND[np.concatenate(drawn)]
        return View(rows_ND, self.seed, self.of, queries, self.stable_DD, pairs, self.slices // 8)

    @property
    def rows(self) -> int:
        """The number of rows, N."""
        return len(self.embeddings_ND)

    @property
    def dimension(self) -> int:
        """The number of dimensions, D."""
        return int(self.embeddings_ND.shape[1])

    @cached_property
    def norms_N(self) -> Floats:
        """The Euclidean norms of the embeddings."""
        norms_N: Floats = np.linalg.norm(self.embeddings_ND, axis=1)
        return norms_N

    @cached_property
    def unit_ND(self) -> Floats:
        """The embeddings divided by their norms; a zero row stays zero."""
        return isotropy.unit_rows(self.embeddings_ND)

    @cached_property
    def mean_D(self) -> Floats:
        """The mean of the embeddings."""
        mean_D: Floats = self.embeddings_ND.mean(axis=0)
        return mean_D

    @cached_property
    def centred_ND(self) -> Floats:
        """The embeddings minus their mean."""
        return isotropy.centred(self.embeddings_ND)

    @cached_property
    def variances_D(self) -> Floats:
        """The variance of each coordinate, with N - 1."""
        variances_D: Floats = np.einsum("nd,nd->d", self.centred_ND, self.centred_ND) / (self.rows - 1)
        return variances_D

    @cached_property
    def _principal(self) -> tuple[Floats, Floats]:
        return isotropy.principal_axes(self.centred_ND)

    @property
    def eigenvalues_D(self) -> Floats:
        """The eigenvalues of the covariance, descending."""
        return self._principal[0]

    @property
    def axes_DD(self) -> Floats:
        """The eigenvectors of the covariance, in columns."""
        return self._principal[1]

    @property
    def covariance_DD(self) -> Floats:
        """The covariance, with N - 1."""
        covariance_DD: Floats = self.axes_DD * self.eigenvalues_D @ self.axes_DD.T
        return covariance_DD

    @property
    def spread(self) -> float:
        """The square root of the mean variance of a dimension; 1 if all rows are equal."""
        return float(self.eigenvalues_D.mean()) ** 0.5 or 1.0

    @cached_property
    def shape_ND(self) -> Floats:
        """The centred embeddings, divided by one number to a mean variance of 1; zero if all rows are equal."""
        return self.centred_ND / self.spread

    @cached_property
    def along_axes_ND(self) -> Floats:
        """The coordinates of the centred embeddings along the principal axes."""
        along_axes_ND: Floats = self.centred_ND @ self.axes_DD
        return along_axes_ND

    @cached_property
    def whitened_NR(self) -> Floats:
        """The coordinates along the R axes with variance, each divided by its standard deviation; R is at least 1."""
        kept = max(1, int((self.eigenvalues_D > 0).sum()))
        deviations_R = np.sqrt(self.eigenvalues_D[:kept])
        return self.along_axes_ND[:, :kept] / np.where(deviations_R > 0, deviations_R, 1.0)

    def leading_NK(self, dimensions: int) -> Floats:
        """Return the first `dimensions` whitened coordinates, with variance 1 (1/N); fewer if N or R is small."""
        kept = max(1, min(dimensions, (self.rows - 1) // 2))
        return self.whitened_NR[:, :kept] * math.sqrt(self.rows / (self.rows - 1))

    @cached_property
    def distances(self) -> Distances:
        """The distances of rows to their nearest rows, and the moments of the distances of all pairs."""
        return isotropy.distances(self.centred_ND)

    @cached_property
    def occurrences_N(self) -> npt.NDArray[np.int64]:
        """The numbers of rows that have each row among their 10 nearest."""
        return hubness.k_occurrences(self.shape_ND)

    @cached_property
    def sigreg(self) -> tuple[float, float]:
        """SIGReg's statistics along random slices, of the embeddings and of their shape."""
        images = [(self.spread, self.mean_D), (1.0, np.zeros(self.dimension))]
        raw, shape = isotropy.sigreg_images(self.shape_ND, images, self.seed, self.slices)
        return raw, shape

    @cached_property
    def mardia(self) -> tuple[normality.Tested, normality.Tested]:
        """Mardia's skewness and kurtosis of the first 50 whitened coordinates."""
        leading_NK = self.leading_NK(normality.MARDIA_DIMENSIONS)
        return normality.mardia_skewness(leading_NK), normality.mardia_kurtosis(leading_NK)

    @cached_property
    def henze_zirkler(self) -> normality.Tested:
        """Henze and Zirkler's test of the first 10 whitened coordinates."""
        return normality.henze_zirkler(self.leading_NK(normality.HENZE_ZIRKLER_DIMENSIONS))

    @cached_property
    def norms_against_chi(self) -> normality.Tested:
        """Norms against the chi distribution with D degrees."""
        return normality.norms_against_chi(self.norms_N, self.dimension)

    @property
    def mean_gap(self) -> float | None:
        """The distance between the means of queries and documents, over the root mean square distance from the means.

        None if the view is not of both.
        """
        if self.of != "both":
            return None
        parts = np.split(self.centred_ND, [self.rows - self.queries])
        means = [part_ND.mean(axis=0) for part_ND in parts]
        spread = np.mean([part_ND.var(axis=0).sum() for part_ND in parts]) ** 0.5
        return float(np.linalg.norm(means[0] - means[1]) / spread) if spread > 0 else 0.0
