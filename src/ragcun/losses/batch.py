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
    """The embeddings of one process' share of a batch.

    Attributes:
        queries_BD: of the anchors.
        documents_MD: of the positives, then of the negatives that are present, row by row.
        positives_BD: the first B documents.
        teacher_BE: the base's embeddings of the positives, at the student's scale; None where they are not known.
        temperature: that of the contrastive loss, which may be learnt.
        step: the number of the training step, from which random choices follow.
        random_RD: of documents drawn from all that are trained on, whatever the pairs; None where none are drawn.
        general: of general texts, which are not trained on, and what they were at the start, (G, D) each; None where
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
        """Queries and documents together."""
        import torch

        return torch.cat([self.queries_BD, self.documents_MD])

    def treated(self, which: Treated) -> "Tensor":
        """The embeddings that a regulariser of isotropy acts on; random documents stand for the batch's where drawn."""
        import torch

        if which == "queries":
            return self.queries_BD
        documents = self.documents_MD if self.random_RD is None else self.random_RD
        return documents if which == "documents" else torch.cat([self.queries_BD, documents])
