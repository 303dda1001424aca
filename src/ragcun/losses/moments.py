"""Regularisers of second moments: the covariance of embeddings, and the cosines between them.

Both need only sums over the joined batch of all processes; `ragcun.distributed.collectives` states the convention for
gradients.

Shapes: N embeddings of this process, M of all processes, D dimensions.
"""

import torch
from torch import Tensor, nn

from ragcun.distributed.collectives import rows_per_process, sum_over_processes
from ragcun.errors import UserError
from ragcun.losses.precision import full, full_precision


def covariance(embeddings_ND: Tensor) -> Tensor:
    """Return ||Cov(x) - I||² / D, estimated without bias for Gaussian embeddings; a scalar, fp32 or fp64.

    This is the penalty of Weak-SIGReg (arXiv 2603.05924) and, off the diagonal, of VICReg (arXiv 2105.04906). It is 0
    if every direction has variance 1. Noise makes the squared norm of a sample's covariance too large, which would
    shrink the embeddings. Srivastava's estimator (Journal of the Japan Statistical Society, 2005, equation 2.10) is
    free of this bias, and may be slightly negative.

    Raises:
        UserError: the joined batch has fewer than three embeddings.
    """
    counts, _ = rows_per_process(len(embeddings_ND), embeddings_ND.device)
    count, dimension = sum(counts), embeddings_ND.shape[1]
    if count < 3:
        raise UserError(f"the covariance term needs at least three embeddings, not {count}")
    embeddings_ND = full(embeddings_ND)
    with full_precision(embeddings_ND.device):
        # The covariance does not depend on the point that is subtracted, so the mean needs no gradient.
        mean_D = sum_over_processes(embeddings_ND.detach().sum(0)) / count
        centred_ND = embeddings_ND - mean_D
        covariance_DD = sum_over_processes(centred_ND.T @ centred_ND) / (count - 1)
    trace = covariance_DD.diagonal().sum()
    correction = (count - 1) ** 2 / ((count - 2) * (count + 1))
    squared_norm = correction * (covariance_DD.square().sum() - trace.square() / (count - 1))
    return (squared_norm - 2 * trace) / dimension + 1


def global_orthogonality(embeddings_ND: Tensor) -> Tensor:
    """Return (mean cosine)² + max(0, mean squared cosine - 1/D) over pairs of different embeddings; a scalar.

    This is global orthogonal regularisation (Zhang et al., arXiv 1708.06320, equation 5; EmbeddingGemma, arXiv
    2509.20354, uses the second part alone), which is 0 for the moments of uniformly distributed directions. It is
    computed from the sum and the second moment of the unit vectors, not from the pairs, in fp32 or fp64. It is 0 for
    fewer than two embeddings.
    """
    counts, _ = rows_per_process(len(embeddings_ND), embeddings_ND.device)
    count, dimension = sum(counts), embeddings_ND.shape[1]
    if count < 2:
        return full(embeddings_ND).sum() * 0
    with full_precision(embeddings_ND.device):
        units_ND = nn.functional.normalize(full(embeddings_ND), dim=1)
        sum_D = sum_over_processes(units_ND.sum(0))
        moment_DD = sum_over_processes(units_ND.T @ units_ND)
    lengths = moment_DD.diagonal().sum()  # the number of embeddings without zero vectors
    pairs = count * (count - 1)
    mean = (sum_D.square().sum() - lengths) / pairs
    mean_square = (moment_DD.square().sum() - lengths) / pairs
    return mean.square() + torch.relu(mean_square - 1 / dimension)
