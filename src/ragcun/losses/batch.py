"""The batch, as the terms of the objective see it.

Shapes: B pairs, M documents, N = B + M texts, D dimensions, E dimensions of the base.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class EmbeddedBatch:
    """The embeddings of one process' share of a batch.

    Attributes:
        queries_BD: of the anchors.
        documents_MD: of the positives, then of the negatives that are present, row by row.
        positives_BD: the first B documents.
        teacher_BE: the base's embeddings of the positives, at the student's scale; None where they are not known.
        temperature: that of the contrastive loss, which may be learnt.
        step: the number of the training step, from which random choices follow.
    """

    queries_BD: Tensor
    documents_MD: Tensor
    positives_BD: Tensor
    teacher_BE: Tensor | None
    temperature: float | Tensor
    step: int

    @cached_property
    def embeddings_ND(self) -> Tensor:
        """Queries and documents together."""
        return torch.cat([self.queries_BD, self.documents_MD])
