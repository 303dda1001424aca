"""Heads: the trainable maps R^b -> R^d, with no normalisation behind them. To add one is one entry in `HEADS`.

b: base dimension, d: output dimension.
"""

from collections.abc import Callable

import torch
from sentence_transformers.sentence_transformer.modules import Dense
from torch import nn

from ragcun.errors import UserError
from ragcun.model.pca import Spectrum
from ragcun.settings.schema import ModelSettings


class MLPHead(nn.Module):
    """Linear(b, 2b), GELU, Dropout, Linear(2b, d): the guide's head."""

    def __init__(self, base_dimension: int, dimension: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(base_dimension, 2 * base_dimension)
        self.second = nn.Linear(2 * base_dimension, dimension)
        self.dropout = nn.Dropout(dropout)

    def forward(self, base_Nb: torch.Tensor) -> torch.Tensor:
        """(N, b) -> (N, d)."""
        output: torch.Tensor = self.second(self.dropout(nn.functional.gelu(self.first(base_Nb))))
        return output

    @torch.no_grad()
    def start_as(self, weight_db: torch.Tensor, bias_d: torch.Tensor) -> None:
        """Make the head compute `weight_db x + bias_d`, exactly: GELU(z) - GELU(-z) = z.

        The first 2d hidden units hold z and -z; the other 2(b - d) keep their random weights and count for nothing yet.
        """
        d = len(weight_db)
        self.first.weight[: 2 * d] = torch.cat([weight_db, -weight_db])
        self.first.bias[: 2 * d] = torch.cat([bias_d, -bias_d])
        self.second.weight.zero_()
        self.second.weight[:, :d] = torch.eye(d)
        self.second.weight[:, d : 2 * d] = -torch.eye(d)
        self.second.bias.zero_()

    def modules_to_save(self) -> list[Dense]:
        """The head as sentence-transformers modules."""
        return [_dense(self.first, nn.GELU()), _dense(self.second, nn.Identity())]

    def layers(self) -> list[nn.Linear]:
        """Its linear layers, in the order of `modules_to_save`."""
        return [self.first, self.second]


class LinearHead(nn.Module):
    """Linear(b, d)."""

    def __init__(self, base_dimension: int, dimension: int) -> None:
        super().__init__()
        self.linear = nn.Linear(base_dimension, dimension)

    def forward(self, base_Nb: torch.Tensor) -> torch.Tensor:
        """(N, b) -> (N, d)."""
        output: torch.Tensor = self.linear(base_Nb)
        return output

    @torch.no_grad()
    def start_as(self, weight_db: torch.Tensor, bias_d: torch.Tensor) -> None:
        """Make the head compute `weight_db x + bias_d`."""
        self.linear.weight.copy_(weight_db)
        self.linear.bias.copy_(bias_d)

    def modules_to_save(self) -> list[Dense]:
        """The head as sentence-transformers modules."""
        return [_dense(self.linear, nn.Identity())]

    def layers(self) -> list[nn.Linear]:
        """Its linear layers, in the order of `modules_to_save`."""
        return [self.linear]


AnyHead = MLPHead | LinearHead


def _mlp(settings: ModelSettings, spectrum: Spectrum) -> MLPHead:
    head = MLPHead(len(spectrum.mean), settings.output_dim, settings.dropout)
    if settings.init == "base":
        head.start_as(*spectrum.projection(settings.output_dim))
    return head


def _linear(settings: ModelSettings, spectrum: Spectrum) -> LinearHead:
    head = LinearHead(len(spectrum.mean), settings.output_dim)
    if settings.init == "base":
        head.start_as(*spectrum.projection(settings.output_dim))
    return head


def _whiten(settings: ModelSettings, spectrum: Spectrum) -> LinearHead:
    head = LinearHead(len(spectrum.mean), settings.output_dim)
    head.start_as(*spectrum.projection(settings.output_dim, settings.whiten_power))
    return head


def _identity(settings: ModelSettings, spectrum: Spectrum) -> LinearHead:
    base_dimension = len(spectrum.mean)
    if settings.output_dim != base_dimension:
        raise UserError(
            f"output_dim = {settings.output_dim}: head identity keeps the base's {base_dimension} dimensions"
        )
    head = LinearHead(base_dimension, base_dimension)
    head.start_as(torch.eye(base_dimension), torch.zeros(base_dimension))
    return head


HEADS: dict[str, Callable[[ModelSettings, Spectrum], AnyHead]] = {
    "mlp": _mlp,
    "linear": _linear,
    "whiten": _whiten,
    "identity": _identity,
}
TRAINABLE = {"mlp", "linear"}


def build_head(settings: ModelSettings, spectrum: Spectrum, seed: int) -> AnyHead:
    """The head that `settings` asks for, as it starts. Its random weights follow from `seed` alone.

    Raises:
        UserError: its output dimension is impossible for this base.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return HEADS[settings.head](settings, spectrum)


@torch.no_grad()
def interpolate(start: dict[str, torch.Tensor], end: dict[str, torch.Tensor], alpha: float) -> dict[str, torch.Tensor]:
    """Weights at `alpha` of the way from `start` (0) to `end` (1), as in WiSE-FT (arXiv 2109.01903, Eq. 1)."""
    return {name: torch.lerp(start[name], end[name], alpha) for name in start}


def _dense(layer: nn.Linear, activation: nn.Module) -> Dense:
    return Dense(
        layer.in_features,
        layer.out_features,
        activation_function=activation,
        init_weight=layer.weight.detach().clone().cpu(),
        init_bias=layer.bias.detach().clone().cpu(),
    )
