"""The statistics of base embeddings from which heads are initialised.

Shapes: b base dimensions, d output dimensions, N sampled texts.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ragcun.errors import UserError
from ragcun.slices import slices

_EXAMPLES = 8_192
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """Mean (b,), principal directions (b, b) as rows, and variances (b,) along them, largest first, of N rows.

    `examples` are some of these rows, evenly spaced, (n, b) in fp32.
    """

    mean: Matrix
    directions: Matrix
    variances: Matrix
    rows: int
    examples: npt.NDArray[np.float32]

    @property
    def dimension(self) -> int:
        """The number of base dimensions, b."""
        return len(self.mean)

    def projection(self, dimension: int, power: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the affine map onto the first `dimension` principal directions: weight (d, b) and bias (d,), fp32.

        Each output is divided by its standard deviation to the `power` (0 is PCA, which keeps distances; 1 is
        whitening, which makes all variances equal). Then all are scaled to a mean variance of 1 and shifted to mean 0.

        Raises:
            UserError: `dimension` is larger than that of the base or, when whitening, than the rank of the sample.
        """
        if dimension > len(self.mean):
            raise UserError(
                f"output_dim = {dimension}: a head that starts as the base's projection has at most the base's "
                f"{len(self.mean)} dimensions (or use init = 'random')"
            )
        kept = self.variances[:dimension]
        rank = int((self.variances > self.variances[0] * 1e-10).sum())
        if power > 0 and dimension > rank:
            raise UserError(
                f"output_dim = {dimension}: {self.rows} sampled texts span only {rank} dimensions, so no more "
                "can be whitened"
            )
        weight = (
            self.directions[:dimension] / kept[:, None] ** (power / 2) if power > 0 else self.directions[:dimension]
        )
        weight = weight * self.scale(dimension, power)
        return (
            torch.from_numpy(weight).to(torch.float32),
            torch.from_numpy(-weight @ self.mean).to(torch.float32),
        )

    def auto_power(self, dimension: int) -> float:
        """Choose a whitening power for `dimension`: the share of Σ λ^¾ that the projection leaves out.

        This is a heuristic without labels, whose exponent was chosen on MiniLM and MPNet (docs/measurements.md): the
        more variance a projection leaves out, the more equal the weights of the remaining directions should be.
        """
        weights = self.variances**0.75
        return float(1 - weights[:dimension].sum() / weights.sum())

    def target(self, dimension: int, power: float) -> torch.Tensor | None:
        """Return the target variances of regularisers, (d,), fp32, with mean 1; None for power 1, which is N(0, I).

        They are the base's variances to the power 1 - `power`, as `projection` with this power has them. Power 0 is the
        base's own spectrum (spectral targets: arXiv 2603.19339).

        Raises:
            UserError: `dimension` is larger than the rank of the sample.
        """
        if power == 1:
            return None
        kept = self.variances[:dimension]
        if len(kept) < dimension or not kept[-1] > 1e-10 * kept[0]:
            raise UserError(
                f"target_power = {power:g}: the sampled texts have no variance in some of the {dimension} dimensions "
                "of output_dim; lower it, or use target_power = 1"
            )
        variances = kept ** (1 - power)
        return torch.from_numpy(variances / variances.mean()).to(torch.float32)

    def scale(self, dimension: int, power: float = 0.0) -> float:
        """Return the factor that makes the mean variance of the first `dimension` projected components 1."""
        mean_variance = float((self.variances[:dimension] ** (1 - power)).mean())
        if not mean_variance > 0:
            raise UserError("all sampled base embeddings are equal, so there is nothing to project")
        return 1 / math.sqrt(mean_variance)


def spectrum(base_Nb: npt.NDArray[np.float32]) -> Spectrum:
    """Compute the PCA of base embeddings (N, b), in fp64. The largest entry of each direction is made positive."""
    mean = base_Nb.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((base_Nb.shape[1], base_Nb.shape[1]))
    for part in slices(len(base_Nb), 16_384):
        centred = base_Nb[part] - mean
        covariance += centred.T @ centred
    variances, vectors = np.linalg.eigh(covariance / max(1, len(base_Nb) - 1))
    directions = vectors.T[::-1]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    examples = base_Nb[np.linspace(0, len(base_Nb) - 1, min(_EXAMPLES, len(base_Nb)), dtype=np.int64)]
    return Spectrum(mean, directions * np.sign(largest), np.maximum(variances[::-1], 0), len(base_Nb), examples)
