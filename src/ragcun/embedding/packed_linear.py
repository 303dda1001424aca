"""Linear layers that oneDNN computes on a CPU from weights in its own layout.

Torch uses MKL for matrix products in fp32. MKL reaches less than half of oneDNN's rate on AMD processors, and about the
same rate on Intel processors. The vectors are equal up to rounding.
"""

import copy
from itertools import chain
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from torch import nn
from transformers.activations import GELUActivation

from ragcun.products import onednn_available

_ROWS = 512  # the number of tokens for which oneDNN chooses the layout; any number can be computed


class _PackedLinear(nn.Linear):
    """A `Linear` that also keeps its weight in oneDNN's layout, and computes the activation after it."""

    packed: torch.Tensor
    activation = "none"

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        algorithm = (
            "none" if self.activation == "gelu" else ""
        )  # "none" is the exact GELU without the tanh approximation
        computed: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            input, self.packed, self.bias, self.activation, [], algorithm
        )
        return computed


def packed(base: SentenceTransformer) -> SentenceTransformer:
    """Return `base` with packed linear layers in its transformer, or `base` itself if this is not possible.

    The copy shares the parameters of `base`. The packed weights take as much memory again as the linear layers.
    """
    transformer = base[0]
    if not isinstance(transformer, Transformer) or not _available(base.dtype):
        return base
    shared = {id(tensor): tensor for tensor in chain(transformer.parameters(), transformer.buffers())}
    model = copy.deepcopy(transformer.model, shared)
    _pack(model)
    return _with_child(base, "0", _with_child(transformer, "model", model))


def _available(precision: torch.dtype | None) -> bool:
    if not onednn_available():
        return False
    if precision == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return precision == torch.float32


def _pack(module: nn.Module) -> None:
    for child in module.children():
        if type(child) is nn.Linear:
            weight = child.weight.detach()
            child.__class__ = _PackedLinear
            child.packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
        else:
            _pack(child)
    _join_activation(module)


def _join_activation(module: Any) -> None:
    """Let the linear layer compute the GELU that follows it in BERT and similar models."""
    dense = getattr(module, "dense", None)
    if isinstance(dense, _PackedLinear) and isinstance(getattr(module, "intermediate_act_fn", None), GELUActivation):
        dense.activation = "gelu"
        module.intermediate_act_fn = nn.Identity()


def _with_child(module: Any, name: str, child: nn.Module) -> Any:
    """Return a shallow copy of `module` with `child` as `name`."""
    other = copy.copy(module)
    other._modules = {**module._modules, name: child}
    return other
