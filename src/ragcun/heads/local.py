"""A head that keeps the base's projection and corrects it only near training texts.

Shapes: N texts, b base dimensions, d output dimensions, m local units.
"""

from collections.abc import Sequence

import numpy as np
import torch
from sentence_transformers.sentence_transformer.modules import Dense
from torch import nn

from ragcun.errors import UserError
from ragcun.heads.dropout import Dropout
from ragcun.heads.layers import Head, dense
from ragcun.heads.spectrum import Spectrum

_SLOPE = 1.25  # the slope k of a hidden unit, per standard deviation


class LocalHead(Head):
    """The base's projection plus corrections, P x + V GELU(k (z(x) - t)), with P fixed.

    A hidden unit is initialised with the embedding v of a training text. Its z is the inner product v·x, standardised
    over the training texts by the mean μ·v and the standard deviation sqrt(vᵀΣv), where μ and Σ are the mean and the
    covariance of the base's embeddings of training texts. A unit is active for texts whose similarity to v exceeds the
    threshold t, and nearly inactive for others. Far from the training texts, all units are inactive, so that the head
    computes the base's projection, whatever it has learnt. Units with centres are known from radial basis functions
    (Broomhead and Lowe 1988).

    P is initialised as in all heads, and V as 0. v, t and V are trained.

    Args:
        spectrum: the spectrum of the base's embeddings of training texts, with examples of these.
        dimension: d.
        units: m. The training texts are drawn at random by torch's generator.
        threshold: t, in standard deviations.
        dropout: the probability of dropout of a unit.
    """

    def __init__(self, spectrum: Spectrum, dimension: int, units: int, threshold: float, dropout: float) -> None:
        super().__init__()
        self.projection = nn.Linear(spectrum.dimension, dimension).requires_grad_(requires_grad=False)
        self.units = nn.Linear(spectrum.dimension, units)
        self.corrections = nn.Linear(units, dimension, bias=False)
        self.dropout = Dropout(dropout)
        drawn = torch.randint(len(spectrum.examples), (units,)).numpy()
        texts_mb = spectrum.examples[drawn].astype(np.float64)
        variances_m = (texts_mb @ spectrum.directions.T) ** 2 @ spectrum.variances
        slopes_m = _SLOPE / np.sqrt(np.maximum(variances_m, 1e-12 * spectrum.variances.sum()))
        with torch.no_grad():
            self.units.weight.copy_(torch.from_numpy(slopes_m[:, None] * texts_mb))
            self.units.bias.copy_(torch.from_numpy(-slopes_m * (texts_mb @ spectrum.mean) - _SLOPE * threshold))
            self.corrections.weight.zero_()

    def forward(self, base_Nb: torch.Tensor) -> torch.Tensor:
        """(N, b) -> (N, d)."""
        open_Nm = self.dropout(nn.functional.gelu(self._apply_layer(self.units, base_Nb)))
        output: torch.Tensor = self._apply_layer(self.projection, base_Nb) + self._apply_layer(
            self.corrections, open_Nm
        )
        return output

    @torch.no_grad()
    def start_as(self, weight_db: torch.Tensor, bias_d: torch.Tensor) -> None:
        """As `Head.start_as`."""
        self.projection.weight.copy_(weight_db)
        self.projection.bias.copy_(bias_d)

    def modules_to_save(self) -> list[Dense]:
        """As `Head.modules_to_save`."""
        first, second = self.layers()
        return [dense(first, nn.GELU()), dense(second, nn.Identity())]

    @torch.no_grad()
    def layers(self) -> list[nn.Linear]:
        """As `Head.layers`. The first 2d hidden units compute the projection, since GELU(z) - GELU(-z) = z."""
        d, m = self.corrections.weight.shape
        first, second = nn.Linear(self.units.in_features, 2 * d + m), nn.Linear(2 * d + m, d)
        weight_db, bias_d = self.projection.weight, self.projection.bias
        first.weight.copy_(torch.cat([weight_db, -weight_db, self.units.weight]))
        first.bias.copy_(torch.cat([bias_d, -bias_d, self.units.bias]))
        identity_dd = torch.eye(d)
        second.weight.copy_(torch.cat([identity_dd, -identity_dd, self.corrections.weight], dim=1))
        second.bias.zero_()
        return [first, second]

    @torch.no_grad()
    def load(self, layers: Sequence[nn.Linear]) -> None:
        """As `Head.load`. Raises `UserError` if the layers are those of another head."""
        first, second = layers
        d = len(second.weight)
        identity_dd = torch.eye(d)
        kept = torch.cat([identity_dd, -identity_dd], dim=1)
        if not (
            torch.equal(second.weight[:, : 2 * d], kept) and torch.equal(first.weight[:d], -first.weight[d : 2 * d])
        ):
            raise UserError("the saved head is not a local one; give the --head that it was trained with")
        self.projection.weight.copy_(first.weight[:d])
        self.projection.bias.copy_(first.bias[:d])
        self.units.weight.copy_(first.weight[2 * d :])
        self.units.bias.copy_(first.bias[2 * d :])
        self.corrections.weight.copy_(second.weight[:, 2 * d :])
