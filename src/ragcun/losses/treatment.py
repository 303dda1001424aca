"""A regulariser of isotropy as a term: which embeddings of a batch it acts on, and what it makes of them.

Shapes: N embeddings, D dimensions.
"""

from collections.abc import Callable

from torch import Tensor, nn

from ragcun.errors import UserError
from ragcun.losses.batch import EmbeddedBatch, Treated


class Treatment(nn.Module):
    """`penalty`, a scalar of embeddings (N, D) and the step that is least for N(0, I), on a part of a batch.

    Args:
        penalty: the regulariser; its parameters and buffers are part of the state.
        which: the embeddings that it acts on.
        target_D: variances in place of 1. Each coordinate is divided by its standard deviation first, so that the
            penalty is least for N(0, diag(target)), whichever it is. None is N(0, I).

    Raises:
        UserError: the target is not positive, or the embeddings have another number of dimensions.
    """

    target_D: Tensor | None

    def __init__(
        self, penalty: Callable[[Tensor, int], Tensor], which: Treated, target_D: Tensor | None = None
    ) -> None:
        super().__init__()
        if target_D is not None and not bool((target_D > 0).all()):
            raise UserError("the target of a regulariser needs a variance above 0 in each dimension")
        self.penalty = penalty
        self.which = which
        self.register_buffer("target_D", target_D, persistent=False)

    def forward(self, batch: EmbeddedBatch) -> Tensor:
        """The penalty of the batch, a scalar."""
        embeddings_ND = batch.treated(self.which)
        if self.target_D is not None:
            if len(self.target_D) != embeddings_ND.shape[1]:
                raise UserError(
                    f"the target has {len(self.target_D)} dimensions, the embeddings have {embeddings_ND.shape[1]}"
                )
            embeddings_ND = embeddings_ND / self.target_D.sqrt()
        return self.penalty(embeddings_ND, batch.step)
