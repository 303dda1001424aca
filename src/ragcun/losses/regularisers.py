"""Regularisers of the scale of embeddings, and of their distance from the base and from the initial head.

Shapes: N embeddings of this process, M of all processes, D and E dimensions.
"""

import torch
from torch import Tensor

from ragcun.distributed.collectives import gather_rows, rows_per_process, sum_over_processes
from ragcun.errors import UserError
from ragcun.losses.distances import squared_distances
from ragcun.losses.precision import full, full_precision


def scale(embeddings_ND: Tensor) -> Tensor:
    """Return (mean of ||x||²/D - 1)², which is 0 if the mean squared norm is that of N(0, I); a scalar.

    The result is fp32 (fp64 for fp64 input). The mean is over the joined batch of all processes;
    `ragcun.distributed.collectives` states the convention for gradients.
    """
    counts, _ = rows_per_process(len(embeddings_ND), embeddings_ND.device)
    squares = full(embeddings_ND).square().sum()
    return (sum_over_processes(squares) / (sum(counts) * embeddings_ND.shape[1]) - 1).square()


def drift(embeddings_ND: Tensor, before_ND: Tensor) -> Tensor:
    """Return the mean over texts and dimensions of (x - before)²; a scalar >= 0, fp32 (fp64 for fp64 input).

    The term limits the change of embeddings of texts that are not trained on. `before_ND` gets no gradient. The mean is
    over the joined batch of all processes; `ragcun.distributed.collectives` states the convention for gradients.
    """
    counts, _ = rows_per_process(len(embeddings_ND), embeddings_ND.device)
    squares = (full(embeddings_ND) - full(before_ND.detach())).square().sum()
    return sum_over_processes(squares) / (sum(counts) * embeddings_ND.shape[1])


def distillation(student_ND: Tensor, teacher_NE: Tensor, temperature: float | Tensor) -> Tensor:
    """Return the mean KL(teacher || student) of the rows of softmax(-||x - y||² / temperature); a scalar >= 0.

    y are the other rows of the joined batch. The term keeps the similarities of the base (the teacher). The temperature
    is the same for both, so the teacher must be at the student's scale, which is that of the initial head's output.
    Neither the teacher nor the temperature gets a gradient. Raises `UserError` if the numbers of rows differ.
    """
    rows, device = len(student_ND), student_ND.device
    if len(teacher_NE) != rows:
        raise UserError(
            f"distillation needs one teacher row for each of the {rows} student rows, not {len(teacher_NE)}"
        )
    counts, first = rows_per_process(rows, device)
    if sum(counts) < 2:
        return full(student_ND).sum() * 0
    if isinstance(temperature, Tensor):
        temperature = temperature.detach()
    itself_NM = torch.zeros(rows, sum(counts), dtype=torch.bool, device=device)
    itself_NM.diagonal(first).fill_(True)

    def log_similarities(embeddings: Tensor) -> Tensor:
        everywhere = gather_rows(full(embeddings), counts)
        with full_precision(device):
            logits_NM = squared_distances(full(embeddings), everywhere) / -temperature
        # A row has probability 0 for itself in both distributions, which adds 0 to the divergence.
        logits_NM.diagonal(first).fill_(-torch.inf)
        similarities_NM = logits_NM.log_softmax(1)
        return similarities_NM.diagonal_scatter(similarities_NM.new_zeros(rows), offset=first)

    log_teacher_NM = log_similarities(teacher_NE.detach())
    log_student_NM = log_similarities(student_ND)
    divergence = (log_teacher_NM.exp() * (log_teacher_NM - log_student_NM)).sum()
    return sum_over_processes(divergence) / sum(counts)
