"""The layers of heads.

Shapes: N texts, b base dimensions, d output dimensions.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from sentence_transformers.sentence_transformer.modules import Dense
from torch import nn

from ragcun.heads.dropout import Dropout
from ragcun.products import linear


class Head(nn.Module, ABC):
    """A map R^b -> R^d of linear layers, (N, b) -> (N, d), that sentence-transformers' `Dense` modules can hold."""

    @abstractmethod
    def start_as(self, weight_db: torch.Tensor, bias_d: torch.Tensor) -> None:
        """Initialise the weights so that the head computes `weight_db x + bias_d` exactly."""

    @abstractmethod
    def modules_to_save(self) -> list[Dense]:
        """Return the head as sentence-transformers modules."""

    @abstractmethod
    def layers(self) -> list[nn.Linear]:
        """List the linear layers, in the order of `modules_to_save`."""

    @torch.no_grad()
    def load(self, layers: Sequence[nn.Linear]) -> None:
        """Copy the weights of `layers`, which have the shapes of the head's own layers."""
        for own, given in zip(self.layers(), layers, strict=True):
            own.weight.copy_(given.weight)
            own.bias.copy_(given.bias)

    def _apply_layer(self, layer: nn.Linear, input_NI: torch.Tensor) -> torch.Tensor:
        """Apply a layer: outside training with the same bits as the saved layer, in training by the fastest library."""
        output: torch.Tensor = linear(input_NI, layer.weight, layer.bias) if self.training else layer(input_NI)
        return output


class MLPHead(Head):
    """Linear(b, 2b), GELU, Dropout, Linear(2b, d): the guide's head."""

    def __init__(self, base_dimension: int, dimension: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(base_dimension, 2 * base_dimension)
        self.second = nn.Linear(2 * base_dimension, dimension)
        self.dropout = Dropout(dropout)

    def forward(self, base_Nb: torch.Tensor) -> torch.Tensor:
        """(N, b) -> (N, d)."""
        output: torch.Tensor = self._apply_layer(
            self.second, self.dropout(nn.functional.gelu(self._apply_layer(self.first, base_Nb)))
        )
        return output

    @torch.no_grad()
    def start_as(self, weight_db: torch.Tensor, bias_d: torch.Tensor) -> None:
        """Initialise the weights so that the head computes `weight_db x + bias_d` exactly: GELU(z) - GELU(-z) = z.

        The first 2d hidden units compute z and -z. The other 2(b - d) keep their random weights, with outgoing weights
        0.
        """
        d = len(weight_db)
        self.first.weight[: 2 * d] = torch.cat([weight_db, -weight_db])
        self.first.bias[: 2 * d] = torch.cat([bias_d, -bias_d])
        self.second.weight.zero_()
        self.second.weight[:, :d] = torch.eye(d)
        self.second.weight[:, d : 2 * d] = -torch.eye(d)
        self.second.bias.zero_()

    def modules_to_save(self) -> list[Dense]:
        """As `Head.modules_to_save`."""
        return [dense(self.first, nn.GELU()), dense(self.second, nn.Identity())]

    def layers(self) -> list[nn.Linear]:
        """As `Head.layers`."""
        return [self.first, self.second]


class LinearHead(Head):
    """Linear(b, d)."""

    def __init__(self, base_dimension: int, dimension: int) -> None:
        super().__init__()
        self.linear = nn.Linear(base_dimension, dimension)

    def forward(self, base_Nb: torch.Tensor) -> torch.Tensor:
        """(N, b) -> (N, d)."""
        output: torch.Tensor = self._apply_layer(self.linear, base_Nb)
        return output

    @torch.no_grad()
    def start_as(self, weight_db: torch.Tensor, bias_d: torch.Tensor) -> None:
        """As `Head.start_as`."""
        self.linear.weight.copy_(weight_db)
        self.linear.bias.copy_(bias_d)

    def modules_to_save(self) -> list[Dense]:
        """As `Head.modules_to_save`."""
        return [dense(self.linear, nn.Identity())]

    def layers(self) -> list[nn.Linear]:
        """As `Head.layers`."""
        return [self.linear]


def dense(layer: nn.Linear, activation: nn.Module) -> Dense:
    """Return a linear layer and its activation as a module of sentence-transformers."""
    return Dense(
        layer.in_features,
        layer.out_features,
        activation_function=activation,
        init_weight=layer.weight.detach().clone().cpu(),
        init_bias=layer.bias.detach().clone().cpu(),
    )
