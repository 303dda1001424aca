"""The module that is trained: an encoder with its objective.

Shapes: N texts, b base dimensions, d output dimensions.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from ragcun.heads.layers import Head
from ragcun.losses.retrieval import RetrievalObjective
from ragcun.training.batches import Batch, Inputs

Tensors = dict[str, torch.Tensor]
Embed = Callable[[Inputs], torch.Tensor]


class EncoderWithObjective(nn.Module):
    """A head on a base, and the objective that trains them.

    Args:
        head: the head.
        objective: the losses on the embeddings.
        scale: the factor that brings the base's embeddings to the scale of the head's, for distillation.
        base: the base if it is trained; None if it is frozen, and the inputs are stored embeddings.
    """

    def __init__(
        self, head: Head, objective: RetrievalObjective, scale: float, base: SentenceTransformer | None = None
    ) -> None:
        super().__init__()
        self.head = head
        self.objective = objective
        self.scale = scale
        self.base = base
        self.before = copy.deepcopy(head).requires_grad_(False)  # the initial head

    def embed(self, inputs: Inputs) -> torch.Tensor:
        """Return embeddings (N, d) of base embeddings (N, b) or of a tokenised batch."""
        if self.base is not None:
            inputs = self.base(dict(inputs))["sentence_embedding"]
        output: torch.Tensor = self.head(inputs)
        return output

    def forward(self, batch: Batch, step: int, embed: Embed | None = None) -> Tensors:
        """Return the weighted parts of the loss, by name; `embed` replaces this encoder's own method."""
        embed = embed or self.embed
        anchors, positives = embed(batch.anchors), embed(batch.positives)
        negatives = None if batch.negatives is None else embed(batch.negatives)
        parts: Tensors = self.objective(
            anchors,
            positives,
            None if negatives is None else negatives.view(len(positives), -1, negatives.shape[-1]),
            anchor_ids=batch.anchor_ids,
            document_ids=batch.document_ids,
            known_pairs=batch.known_pairs,
            teacher_BE=None if batch.teacher_Bb is None else batch.teacher_Bb * self.scale,
            step=step,
            random_RD=None if batch.random is None else self.embed(batch.random),
            general=None if batch.general is None else (self.embed(batch.general), self.before.eval()(batch.general)),
        )
        return parts

    def trained(self) -> Tensors:
        """Return the encoder's trained weights, by name."""
        return {name: weights.detach() for name, weights in self._weights() if weights.requires_grad}

    @torch.no_grad()
    def load_trained(self, tensors: Tensors) -> None:
        """Load the weights that `trained` returned."""
        weights = dict(self._weights())
        for name, tensor in tensors.items():
            weights[name].copy_(tensor)

    def groups(self, learning_rate: float, base_learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Group the parameters: head and objective; matrices of the base; its biases and norms without decay."""
        own = [
            weights for part in (self.head, self.objective) for weights in part.parameters() if weights.requires_grad
        ]
        groups = [{"params": own, "highest": learning_rate, "weight_decay": weight_decay}]
        base = [] if self.base is None else [weights for weights in self.base.parameters() if weights.requires_grad]
        for matrices, decay in ((True, weight_decay), (False, 0.0)):
            chosen = [weights for weights in base if (weights.ndim > 1) == matrices]
            if chosen:
                groups.append({"params": chosen, "highest": base_learning_rate, "weight_decay": decay})
        return groups

    def _weights(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, p) for name, p in self.named_parameters() if not name.startswith("objective.")]
