"""Matrix products in training, by the fastest library that computes them exactly.

Torch uses MKL for fp32 products on a CPU. MKL reaches less than half of oneDNN's rate on AMD processors, and about the
same rate on Intel processors (docs/log.md).
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def linear(input_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear`, N x O; on a CPU in fp32, for what is trained, by oneDNN, and then
    differentiable once."""
    tensors = [tensor for tensor in (input_NI, weight_OI, bias_O) if tensor is not None]
    if any(tensor.requires_grad for tensor in tensors) and _taken(*tensors):
        output: Tensor = _Linear.apply(input_NI, weight_OI, bias_O)  # type: ignore[no-untyped-call]
        return output
    return torch.nn.functional.linear(input_NI, weight_OI, bias_O)


def product(left_NI: Tensor, right_OI: Tensor) -> Tensor:
    """Return left times right transposed, N x O, without a gradient; oneDNN computes it on a CPU in fp32."""
    return _product(left_NI, right_OI) if _taken(left_NI, right_OI) else left_NI @ right_OI.T


def _taken(*tensors: Tensor) -> bool:
    """Return whether oneDNN supports these tensors."""
    return (
        all(one.dtype == torch.float32 and one.device.type == "cpu" and one.numel() for one in tensors)
        and not torch.is_autocast_enabled("cpu")
        and onednn_available()
    )


@cache
def onednn_available() -> bool:
    """Return whether this build of torch has oneDNN's linear layer."""
    there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(there) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _product(left_NI: Tensor, right_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    computed: Tensor = torch.ops.mkldnn._linear_pointwise(left_NI, right_OI, bias_O, "none", [], "")
    return computed


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(input_NI, weight_OI)
        return _product(input_NI, weight_OI, bias_O)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_NO: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        input_NI, weight_OI = ctx.saved_tensors
        gradient_NO = gradient_NO.contiguous()
        of_input, of_weight, of_bias = ctx.needs_input_grad
        return (
            _product(gradient_NO, weight_OI.T) if of_input else None,
            _product(gradient_NO.T, input_NI.T) if of_weight else None,
            gradient_NO.sum(0) if of_bias else None,
        )
