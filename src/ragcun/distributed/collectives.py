"""Collective operations of joined processes: sums and gathered rows, with gradients, and barriers.

The convention of every loss in ragcun: each process returns the loss of the joined batch and calls backward on it;
the gradient that reaches a process' own tensors is the joined gradient times the number of processes, because
DistributedDataParallel then averages over the processes. (torch.distributed.nn's collectives follow it too.) Batches
may have different lengths on different processes. Without a process group, all functions return their input.

Shapes: N rows of this process, M rows of all processes, D dimensions.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def process_count() -> int:
    """Return the number of joined processes; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_rank() -> int:
    """Return the rank of this process among the joined ones, from 0."""
    return dist.get_rank() if process_count() > 1 else 0


def wait_for_all() -> None:
    """Return when all processes have called this function."""
    if process_count() > 1:
        dist.barrier()


def rows_per_process(rows: int, device: torch.device) -> tuple[list[int], int]:
    """Return the number of rows on each process, and the position of this process' first row in the joined batch."""
    if process_count() == 1:
        return [rows], 0
    counts = torch.zeros(process_count(), dtype=torch.int64, device=device)
    counts[process_rank()] = rows
    dist.all_reduce(counts)
    listed = counts.tolist()
    return listed, sum(listed[: process_rank()])


def add_up(tensor: Tensor) -> None:
    """Replace `tensor` by its element-wise sum over all processes, without a gradient."""
    if process_count() > 1:
        dist.all_reduce(tensor)


def gather_arrays(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Return the arrays of all processes, which must have the same shape, in the order of ranks."""
    if process_count() == 1:
        return [array]
    sent = torch.tensor(array, device="cuda" if dist.get_backend() == "nccl" else "cpu")
    received = [torch.empty_like(sent) for _ in range(process_count())]
    dist.all_gather(received, sent)
    return [np.asarray(one.cpu().numpy()) for one in received]


def average_gradients(weights: Iterable[torch.nn.Parameter]) -> None:
    """Replace each gradient by its mean over processes, in one message."""
    if process_count() == 1:
        return
    gradients = []
    for weight in weights:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        gradients.append(weight.grad)
    joined = torch.nn.utils.parameters_to_vector(gradients)
    dist.all_reduce(joined)
    torch.nn.utils.vector_to_parameters(joined / process_count(), gradients)


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Return the element-wise sum over all processes; differentiable."""
    return tensor if process_count() == 1 else _Sum.apply(tensor)


def gather_rows(tensor_ND: Tensor, counts: list[int]) -> Tensor:
    """Return the rows of all processes in the order of ranks, M x ...; `counts` are their numbers. Differentiable."""
    return tensor_ND if process_count() == 1 else _Gather.apply(tensor_ND, counts)


def with_mean_gradient(parameter: Tensor) -> Tensor:
    """Return the parameter with a gradient that is averaged over processes, so that it is correct without DDP, too."""
    return parameter if process_count() == 1 else _MeanGradient.apply(parameter)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * process_count()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor_ND: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        padded = tensor_ND.new_zeros(max(counts), *tensor_ND.shape[1:])
        padded[: len(tensor_ND)] = tensor_ND
        gathered = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(gathered, padded)
        return torch.cat([rows[:count] for rows, count in zip(gathered, counts, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_MD: Tensor) -> tuple[Tensor, None]:
        gradient_MD = gradient_MD.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient_MD)
        return torch.split(gradient_MD, ctx.counts)[process_rank()], None


class _MeanGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parameter: Tensor) -> Tensor:
        return parameter.view_as(parameter)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(gradient)
        return gradient / process_count()
