"""An isotropy regulariser as a term of the loss: the embeddings that it is applied to, and its target.

Shapes: N embeddings, D dimensions.
"""

from collections.abc import Callable

from torch import Tensor, nn

from ragcun.errors import UserError
from ragcun.losses.batch import EmbeddedBatch, Treated


class Treatment(nn.Module):
    """An isotropy regulariser that is applied to a part of a batch.

    Args:
        penalty: a function of embeddings (N, D) and the step, which returns a scalar that is minimal for N(0, I). If it
            is a module, its parameters and buffers are part of the state.
        which: the embeddings that the penalty is applied to.
        target_D: target variances other than 1. Each coordinate is first divided by its target standard deviation, so
            that any penalty is minimal for N(0, diag(target)). None is N(0, I).

    Raises:
        UserError: the target is not positive, or the embeddings have another number of dimensions.
    """

    target_D: Tensor | None

    def __init__(
        self, penalty: Callable[[Tensor, int], Tensor], which: Treated, target_D: Tensor | None = None
    ) -> None:
        super().__init__()
        if target_D is not None and not bool((target_D > 0).all()):
            raise UserError("the target of a regulariser must have a variance above 0 in each dimension")
        self.penalty = penalty
        self.which = which
        self.register_buffer("target_D", target_D, persistent=False)

    def forward(self, batch: EmbeddedBatch) -> Tensor:
        """Return the penalty of the batch, a scalar."""
        embeddings_ND = batch.treated(self.which)
        if self.target_D is not None:
            if len(self.target_D) != embeddings_ND.shape[1]:
                raise UserError(
                    f"the target has {len(self.target_D)} dimensions, the embeddings have {embeddings_ND.shape[1]}"
                )
            embeddings_ND = embeddings_ND / self.target_D.sqrt()
        return self.penalty(embeddings_ND, batch.step)
