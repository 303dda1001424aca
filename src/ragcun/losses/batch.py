"""The batch, as the terms of the objective see it.

Shapes: B pairs, M documents, N = B + M texts, R random documents, D dimensions, E dimensions of the base.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Treated = Literal["documents", "queries", "both"]  # the embeddings to which an isotropy regulariser is applied


@dataclass(frozen=True)
class EmbeddedBatch:
    """The embeddings of one process' part of a batch.

    Attributes:
        queries_BD: the embeddings of the anchors.
        documents_MD: the embeddings of the positives, then of the negatives that are present, row by row.
        positives_BD: the first B documents.
        teacher_BE: the base's embeddings of the positives, at the student's scale; None if they are unknown.
        temperature: the temperature of the contrastive loss, which may be learnt.
        step: the number of the training step, which seeds random choices.
        random_RD: the embeddings of random documents of the training data; None if none are drawn.
        general: the current and the initial embeddings of general texts, which are not trained on, (G, D) each; None if
            there are none.
    """

    queries_BD: "Tensor"
    documents_MD: "Tensor"
    positives_BD: "Tensor"
    teacher_BE: "Tensor | None"
    temperature: "float | Tensor"
    step: int
    random_RD: "Tensor | None" = None
    general: "tuple[Tensor, Tensor] | None" = None

    @cached_property
    def embeddings_ND(self) -> "Tensor":
        """The embeddings of queries and documents together."""
        import torch

        return torch.cat([self.queries_BD, self.documents_MD])

    def treated(self, which: Treated) -> "Tensor":
        """Return the embeddings for an isotropy regulariser; random documents, if drawn, replace the batch's."""
        import torch

        if which == "queries":
            return self.queries_BD
        documents = self.documents_MD if self.random_RD is None else self.random_RD
        return documents if which == "documents" else torch.cat([self.queries_BD, documents])
