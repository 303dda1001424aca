"""SIGReg along the principal axes of the embeddings and along random directions.

In many dimensions, the variance along a random direction is close to the mean variance, so that random slices hardly
respond to an uneven spectrum. Statistics along the principal axes respond to it fully.

Shapes: N embeddings of this process, M of all processes, D dimensions, K random slices.
"""

import torch
from torch import Tensor, nn

from ragcun.distributed.collectives import add_up, rows_per_process
from ragcun.errors import UserError
from ragcun.losses.sigreg import draw_directions, sketched

_REFRESH = 10  # steps between two computations of the axes, which change slowly


class AxesSIGReg(nn.Module):
    """The mean Epps-Pulley statistic over the principal axes of a running covariance and over random slices.

    The statistic is that of `SIGReg`, divided by the number of embeddings in the joined batch. The axes are those of an
    exponential moving average of the batches' covariances, because the axes of a single batch would follow its noise.
    The average is part of the state, so that a resumed training continues with the same values.

    Args:
        dimension: D.
        slices: the number of random directions, which are drawn at each step from (`seed`, step); 0 is allowed.
        momentum: the momentum of the moving average, from 0 (the last batch alone) to below 1.
        knots, t_max, seed: as in `SIGReg`.

    Raises:
        UserError: the momentum or the number of slices is out of its range.
    """

    covariance_DD: Tensor
    axes_DD: Tensor
    batches: Tensor

    def __init__(
        self,
        dimension: int,
        slices: int = 256,
        momentum: float = 0.9,
        knots: int = 17,
        t_max: float = 3.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= momentum < 1 or slices < 0:
            raise UserError(f"the axes term needs momentum from 0 to below 1 and slices >= 0, not {momentum}, {slices}")
        self.slices = slices
        self.momentum = momentum
        self.knots = knots
        self.t_max = t_max
        self.seed = seed
        self.register_buffer("covariance_DD", torch.zeros(dimension, dimension, dtype=torch.float64))
        self.register_buffer("axes_DD", torch.eye(dimension))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, embeddings_ND: Tensor, step: int = 0) -> Tensor:
        """Return the scalar loss, fp32 (fp64 for fp64 input). In training mode, the batch updates the covariance."""
        if self.training:
            self._take_in(embeddings_ND.detach())
        directions_KD = self.axes_DD
        if self.slices:
            random_KD = draw_directions(self.slices, embeddings_ND.shape[1], self.seed, step).to(self.axes_DD)
            directions_KD = torch.cat([directions_KD, random_KD])
        return sketched(embeddings_ND, directions_KD, self.knots, self.t_max)

    def _take_in(self, embeddings_ND: Tensor) -> None:
        counts, _ = rows_per_process(len(embeddings_ND), embeddings_ND.device)
        if sum(counts) < 2:
            return
        wide_ND = embeddings_ND.double()
        moments = torch.cat([wide_ND.sum(0, keepdim=True), wide_ND.T @ wide_ND])
        add_up(moments)
        mean_D, moment_DD = moments[0] / sum(counts), moments[1:] / sum(counts)
        batch_DD = moment_DD - mean_D[:, None] * mean_D
        kept = min(self.momentum, 1 - 1 / (float(self.batches) + 1))
        self.covariance_DD.lerp_(batch_DD.to(self.covariance_DD), 1 - kept)
        if int(self.batches) % _REFRESH == 0:
            self.axes_DD.copy_(torch.linalg.eigh(self.covariance_DD.cpu()).eigenvectors.T)
        self.batches += 1
