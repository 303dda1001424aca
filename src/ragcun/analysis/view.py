"""Embeddings with what several measures need of them, each computed once, when it is first asked for.

Legend: N rows, D dimensions.
"""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from ragcun.analysis import isotropy
from ragcun.analysis.isotropy import Distances, Floats


class View:
    """N embeddings of D dimensions, in fp64.

    Attributes:
        embeddings_ND: the embeddings as they are.
        seed: the seed of whatever a measure draws.
    """

    def __init__(self, embeddings: npt.ArrayLike, seed: int = 0) -> None:
        """Take an (N, D) array. Raises `UserError` on fewer than 2 rows or columns, NaN or infinity."""
        self.embeddings_ND = isotropy.as_matrix(embeddings)
        self.seed = seed

    @property
    def rows(self) -> int:
        """N."""
        return len(self.embeddings_ND)

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.embeddings_ND.shape[1])

    @cached_property
    def norms_N(self) -> Floats:
        """Euclidean norms of the embeddings."""
        norms_N: Floats = np.linalg.norm(self.embeddings_ND, axis=1)
        return norms_N

    @cached_property
    def unit_ND(self) -> Floats:
        """Embeddings divided by their norms; a zero row stays zero."""
        return isotropy.unit_rows(self.embeddings_ND)

    @cached_property
    def mean_D(self) -> Floats:
        """Mean of the embeddings."""
        mean_D: Floats = self.embeddings_ND.mean(axis=0)
        return mean_D

    @cached_property
    def centred_ND(self) -> Floats:
        """Embeddings less their mean."""
        return isotropy.centred(self.embeddings_ND)

    @cached_property
    def variances_D(self) -> Floats:
        """Variance of each coordinate, with N - 1."""
        variances_D: Floats = np.einsum("nd,nd->d", self.centred_ND, self.centred_ND) / (self.rows - 1)
        return variances_D

    @cached_property
    def _principal(self) -> tuple[Floats, Floats]:
        return isotropy.principal_axes(self.centred_ND)

    @property
    def eigenvalues_D(self) -> Floats:
        """Eigenvalues of the covariance, descending."""
        return self._principal[0]

    @property
    def axes_DD(self) -> Floats:
        """Eigenvectors of the covariance, in columns."""
        return self._principal[1]

    @cached_property
    def shape_ND(self) -> Floats:
        """Centred embeddings divided by one number, so that the mean variance is 1; zero where all rows are equal."""
        scale = float(self.eigenvalues_D.mean()) ** 0.5
        return self.centred_ND / scale if scale > 0 else self.centred_ND

    @cached_property
    def whitened_NR(self) -> Floats:
        """Coordinates along the R axes that have variance, each divided by its deviation; R is at least 1."""
        kept = max(1, int((self.eigenvalues_D > 0).sum()))
        deviations_R = np.sqrt(self.eigenvalues_D[:kept])
        along_NR: Floats = self.centred_ND @ self.axes_DD[:, :kept]
        return along_NR / np.where(deviations_R > 0, deviations_R, 1.0)

    @cached_property
    def distances(self) -> Distances:
        """Distances of each row to its nearest, and moments of the distances of all pairs."""
        return isotropy.distances(self.centred_ND)
