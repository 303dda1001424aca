"""GradCache: the gradient of a whole batch's loss, with the memory of a part of the batch (arXiv 2101.06983).

The embeddings of the batch are first computed in parts without a graph. The loss on all of them gives the gradient of
each embedding. Then every part is computed again with its graph, through which this gradient is propagated. InfoNCE and
SIGReg therefore use the whole batch. Dropout is the same in both computations.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import torch

from ragcun.slices import slices
from ragcun.training.batches import Batch, Inputs
from ragcun.training.encoder import EncoderWithObjective, Tensors

Autocast = Callable[[], AbstractContextManager[None]]


def cached_backward(
    encoder: EncoderWithObjective,
    batch: Batch,
    step: int,
    size: int,
    seed: int,
    autocast: Autocast,
    backward: Callable[[Tensors], None],
) -> Tensors:
    """Accumulate the gradient of a batch's loss, `size` texts at a time; return the parts of the loss.

    `backward` takes the parts and calls backward on their sum, with the scaling of mixed precision.
    """
    columns = [column for column in (batch.anchors, batch.positives, batch.negatives) if column is not None]
    parts_of = [list(_parts(column, size)) for column in columns]
    leaves = []
    for column, parts in enumerate(parts_of):
        with torch.no_grad(), autocast():
            embeddings = [_embed(encoder, part, seed, column, at) for at, part in enumerate(parts)]
        leaves.append(torch.cat(embeddings).float().requires_grad_())
    waiting = iter(leaves)
    with autocast():
        losses: Tensors = encoder(batch, step, embed=lambda _: next(waiting))
    backward(losses)
    for column, (parts, leaf) in enumerate(zip(parts_of, leaves, strict=True)):
        if leaf.grad is None:
            continue
        for at, (part, gradient) in enumerate(zip(parts, torch.split(leaf.grad, size), strict=True)):
            with autocast():
                embeddings_again = _embed(encoder, part, seed, column, at)
            torch.autograd.backward((embeddings_again.float() * gradient).sum())
    return losses


def _embed(encoder: EncoderWithObjective, part: Inputs, seed: int, column: int, at: int) -> torch.Tensor:
    torch.manual_seed(((seed * 3 + column) * 1_000_003 + at) % 2**63)
    return encoder.embed(part)


def _parts(inputs: Inputs, size: int) -> Iterator[Inputs]:
    """Yield the rows of `inputs`, `size` at a time, without unnecessary padding."""
    if isinstance(inputs, torch.Tensor):
        yield from torch.split(inputs, size)
        return
    mask = inputs["attention_mask"]
    for rows in slices(len(mask), size):
        longest = int(mask[rows].sum(1).max())
        left = not bool(mask[:, 0].all())
        columns = slice(mask.shape[1] - longest, None) if left else slice(longest)
        yield {
            name: value[rows, columns] if torch.is_tensor(value) and value.shape[:2] == mask.shape else value
            for name, value in inputs.items()
        }
