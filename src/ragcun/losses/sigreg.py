"""SIGReg, the sketched isotropic Gaussian regulariser of LeJEPA (arXiv 2511.08544), computed exactly in little memory.

Shapes: N embeddings, D dimensions, K slices.
"""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ragcun.distributed.collectives import add_up, process_count
from ragcun.errors import RagcunError, UserError
from ragcun.losses.characteristic import Characteristic, quadrature
from ragcun.losses.precision import full, full_precision
from ragcun.products import product
from ragcun.slices import slices


def epps_pulley(projections_NK: Tensor, knots: int = 17, t_max: float = 3.0) -> Tensor:
    """Return the Epps-Pulley statistic of each slice against N(0, 1), shape (K,), zero or larger; differentiable once.

    The statistic is N times the integral of |φ̂(t) - φ(t)|² φ(t) over [-t_max, t_max] with φ(t) = exp(-t²/2), by the
    trapezoidal rule with `knots` evenly spaced knots on [0, t_max], as in LeJEPA's reference implementation (arXiv
    2511.08544). The input are N samples of each of K slices, of this process alone. The computation is in fp32, or in
    fp64 for fp64 input. Raises `UserError` for another shape, fewer than 2 knots or t_max <= 0, and `RagcunError` if a
    second derivative is computed.
    """
    _require_matrix(projections_NK)
    wanted = torch.is_grad_enabled() and projections_NK.requires_grad
    statistics_K: Tensor = _EppsPulley.apply(projections_NK, knots, t_max, wanted)
    return statistics_K


def draw_directions(slices: int, dimensions: int, seed: int, step: int = 0) -> Tensor:
    """Draw `slices` random unit vectors as rows, K x D, fp32, on the CPU. They depend only on the seed and the step."""
    # The CPU's generator uses 32 bits of a seed, so seed and step are hashed into 32 bits.
    mixed = int(np.random.SeedSequence((seed, step)).generate_state(1)[0])
    directions_KD = torch.randn(slices, dimensions, generator=torch.Generator().manual_seed(mixed))
    return nn.functional.normalize(directions_KD, dim=1, out=directions_KD)


def sketched(
    embeddings_ND: Tensor, directions_KD: Tensor, knots: int = 17, t_max: float = 3.0, per_sample: bool = True
) -> Tensor:
    """Return the mean Epps-Pulley statistic of the joined batch along unit `directions_KD`; see `SIGReg`."""
    wanted = torch.is_grad_enabled() and embeddings_ND.requires_grad
    loss: Tensor = _Sketch.apply(embeddings_ND, directions_KD, knots, t_max, per_sample, wanted)
    return loss


class SIGReg(nn.Module):
    """LeJEPA's SIGReg (arXiv 2511.08544): the mean Epps-Pulley statistic over random slices, 0 or larger.

    `slices` directions are drawn at each step from (`seed`, step). With `per_sample`, the statistic is divided by the
    number of embeddings in the joined batch, so that a weight has the same effect with every batch size; without it,
    the scale is that of LeJEPA. On several processes, the statistic is that of the joined batch, and all processes must
    be at the same step; `ragcun.distributed.collectives` states the convention for gradients.
    """

    def __init__(
        self, slices: int = 1024, knots: int = 17, t_max: float = 3.0, per_sample: bool = True, seed: int = 0
    ) -> None:
        super().__init__()
        if slices < 1:
            raise UserError(f"SIGReg needs at least 1 slice, not {slices}")
        quadrature(knots, t_max, torch.device("cpu"))
        self.slices = slices
        self.knots = knots
        self.t_max = t_max
        self.per_sample = per_sample
        self.seed = seed
        self.step = 0

    def forward(self, embeddings_ND: Tensor, step: int | None = None) -> Tensor:
        """Return the scalar loss, fp32 (fp64 for fp64 input). Without `step`, calls in training mode are counted."""
        _require_matrix(embeddings_ND)
        if step is not None:
            self.step = step
        directions_KD = draw_directions(self.slices, embeddings_ND.shape[1], self.seed, self.step)
        if self.training:
            self.step += 1
        return sketched(embeddings_ND, directions_KD, self.knots, self.t_max, self.per_sample)

    def extra_repr(self) -> str:
        return f"slices={self.slices}, knots={self.knots}, t_max={self.t_max}, per_sample={self.per_sample}"


def _require_matrix(tensor: Tensor) -> None:
    if tensor.ndim != 2 or not tensor.is_floating_point():
        raise UserError(
            f"expected a matrix of floats, rows x columns, not {tensor.dtype} of shape {tuple(tensor.shape)}"
        )


def _block(device: torch.device) -> int:
    """Return the number of slices of a block, which fits a CPU's caches or keeps a GPU busy; equal on all processes."""
    return 256 if device.type == "cpu" else 512


_LOST = 0.01  # the share of a gradient's norm that may underflow in fp16 without a warning


class _Once(torch.autograd.Function):
    """Make a gradient part of the graph, so that its derivative raises an error instead of being zero."""

    @staticmethod
    def forward(_: Any, gradient: Tensor, source: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(_: Any, *upstream: Tensor) -> Tensor:
        raise RagcunError("SIGReg is differentiable once; a second derivative needs another implementation of it")


def _handed_back(gradient: Tensor, source: Tensor) -> Tensor:
    """The gradient by `source`, which PyTorch casts to the source's dtype; a warning where fp16 loses some of it."""
    if source.dtype == torch.float16:
        lost = (gradient - gradient.half()).norm() > _LOST * gradient.norm()
        kept = getattr(source, "grad_dtype", source.dtype)  # of the source as a leaf; since torch 2.10
        if kept == torch.float16 and lost:
            warnings.warn(
                "SIGReg: its gradient underflows in fp16; scale the loss (torch.amp.GradScaler), or use fp32 or bf16",
                RuntimeWarning,
                stacklevel=2,
            )
    return _Once.apply(gradient, source) if torch.is_grad_enabled() else gradient


class _EppsPulley(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, source_NK: Tensor, knots: int, t_max: float, wanted: bool) -> Tensor:
        projections_NK = full(source_NK)
        rows, count = projections_NK.shape
        device = projections_NK.device
        block = min(_block(device), count)
        work = Characteristic(block, rows, quadrature(knots, t_max, device), projections_NK)
        statistics_K = projections_NK.new_empty(count)
        gradient_NK = torch.empty_like(projections_NK) if wanted else None
        with full_precision(device):
            for part in slices(count, block):
                size = len(statistics_K[part])
                work.projections_KN[:size] = projections_NK[:, part].T
                statistics_K[part], residuals_K2T = work.statistic(work.sums(size))
                if gradient_NK is not None:
                    gradient_NK[:, part] = work.gradient(residuals_K2T).T
        ctx.save_for_backward(gradient_NK, source_NK)
        return statistics_K

    @staticmethod
    def backward(ctx: Any, upstream_K: Tensor) -> tuple[Tensor, None, None, None]:
        gradient_NK, source_NK = ctx.saved_tensors
        return _handed_back(gradient_NK * upstream_K, source_NK), None, None, None


class _Sketch(torch.autograd.Function):
    """Compute projection, statistic and gradient block by block, and keep only the gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        source_ND: Tensor,
        directions_KD: Tensor,
        knots: int,
        t_max: float,
        per_sample: bool,
        wanted: bool,
    ) -> Tensor:
        embeddings_ND = full(source_ND)
        device, slices = embeddings_ND.device, len(directions_KD)
        directions_KD = directions_KD.to(embeddings_ND)
        block = min(_block(device), slices)
        work = Characteristic(block, len(embeddings_ND), quadrature(knots, t_max, device), embeddings_ND)
        gradient_ND = torch.zeros_like(embeddings_ND) if wanted else None
        totals = []
        with full_precision(device):
            for part_KD in torch.split(directions_KD, block):
                size = len(part_KD)
                work.projections_KN[:size] = product(part_KD, embeddings_ND)
                sums_KUV = work.sums(size)
                add_up(sums_KUV)
                statistics_K, residuals_K2T = work.statistic(sums_KUV)
                totals.append(statistics_K.sum())
                if gradient_ND is not None:
                    gradient_ND += product(work.gradient(residuals_K2T).T, part_KD.T)
        scale = 1 / (slices * sums_KUV[0, 0, 0]) if per_sample else sums_KUV.new_tensor(1 / slices)
        if gradient_ND is not None:
            gradient_ND.mul_(scale * process_count())
        ctx.save_for_backward(gradient_ND, source_ND)
        return (torch.stack(totals).sum() * scale).to(embeddings_ND.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        gradient_ND, source_ND = ctx.saved_tensors
        return _handed_back(gradient_ND * upstream, source_ND), None, None, None, None, None
