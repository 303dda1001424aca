"""The training objective: a contrastive loss and weighted terms, and the same for sentence-transformers.

Shapes: B rows, N negatives a row, D dimensions.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ragcun.errors import UserError
from ragcun.losses.batch import EmbeddedBatch, Treated
from ragcun.losses.infonce import EuclideanInfoNCE
from ragcun.losses.terms import SLICES, TERMS, TermOptions

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class RetrievalObjective(nn.Module):
    """The contrastive loss plus each of `TERMS` times its weight.

    Weights are given by their settings' names (`lambda_isotropy=1.0`); one that is not given has its term's default, or
    0 where the term needs the base's embeddings or general texts. A term with weight 0 is not computed. `slices` and
    `seed` are those of the random directions; `dimension`, `treat` and `target_D` are as in `TermOptions`. What weights
    are relative to stands at the terms. With `nested`, the contrastive loss is the mean over the first so many
    dimensions of each entry and over all (Matryoshka, arXiv 2205.13147), the temperature in proportion to them. Raises
    `UserError` for a negative weight, or one that no term has.
    """

    def __init__(
        self,
        *,
        temperature: float = 51.2,
        learnable_temperature: bool = False,
        slices: int = SLICES,
        seed: int = 0,
        dimension: int | None = None,
        treat: Treated | None = None,
        target_D: Tensor | None = None,
        nested: Sequence[int] = (),
        **weights: float,
    ) -> None:
        super().__init__()
        self.nested = tuple(nested)
        self.contrastive = EuclideanInfoNCE(temperature, learnable_temperature)
        self.weights = _weights(weights)
        self.step = 0
        options = TermOptions(slices, seed, dimension, treat, target_D)
        self._terms = {term.name: term.make(options) for term in TERMS if self.weights[term.name]}
        for name, function in self._terms.items():
            if isinstance(function, nn.Module):
                self.add_module(name, function)

    def forward(
        self,
        anchors_BD: Tensor,
        positives_BD: Tensor,
        negatives_BND: Tensor | None = None,
        anchor_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        teacher_BE: Tensor | None = None,
        step: int | None = None,
        known_pairs: Tensor | None = None,
        random_RD: Tensor | None = None,
        general: tuple[Tensor, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The weighted parts by name, to be summed: contrastive, then the terms that have a weight.

        Ids and `known_pairs` are as in `EuclideanInfoNCE`. `teacher_BE` are the base's embeddings of the positives, at
        the student's scale; a `UserError` is raised where a term needs them and they are missing. Absent negatives
        (id -1) are left out of every part. `step` sets the step; without it, training counts its calls. `random_RD` are
        documents that regularisers of isotropy see in place of the batch's. `general` is as in `EmbeddedBatch`.
        """
        ids = (anchor_ids, document_ids, known_pairs)
        contrastive = self._contrastive(anchors_BD, positives_BD, negatives_BND, *ids)
        documents_MD = positives_BD
        if negatives_BND is not None:
            present = ... if document_ids is None else document_ids[len(positives_BD) :] != -1
            documents_MD = torch.cat([positives_BD, negatives_BND.flatten(0, 1)[present]])
        self.step = self.step if step is None else step
        batch = EmbeddedBatch(
            anchors_BD,
            documents_MD,
            positives_BD,
            teacher_BE,
            self.contrastive.temperature,
            self.step,
            random_RD,
            general,
        )
        if self.training:
            self.step += 1
        return {"contrastive": contrastive} | {
            name: self.weights[name] * function(batch) for name, function in self._terms.items()
        }

    def _contrastive(
        self, anchors_BD: Tensor, positives_BD: Tensor, negatives_BND: Tensor | None, *ids: Tensor | None
    ) -> Tensor:
        dimension = anchors_BD.shape[1]
        if any(not 0 < first < dimension for first in self.nested):
            raise UserError(
                f"nested dimensions are at least 1 and fewer than the {dimension} of the embeddings, "
                f"not {', '.join(map(str, self.nested))}"
            )
        losses = []
        for first in (*self.nested, dimension):
            scale = math.sqrt(dimension / first)  # the temperature is that of all dimensions
            parts = (None if x is None else scale * x[..., :first] for x in (anchors_BD, positives_BD, negatives_BND))
            losses.append(self.contrastive(*parts, *ids))
        return torch.stack(losses).mean()


def _weights(given: Mapping[str, float]) -> dict[str, float]:
    """The weights of all terms, by their names."""
    weights = {term.weight: 0.0 if term.needs_teacher or term.needs_general else term.default for term in TERMS}
    for name, weight in given.items():
        if name not in weights:
            raise UserError(f"{name}: no term has this weight; choose from {', '.join(weights)}")
        if not 0 <= weight < math.inf:
            raise UserError(f"{name} must be 0 or larger, not {weight}")
        weights[name] = weight
    return {term.name: weights[term.weight] for term in TERMS}


class IsotropicRetrievalLoss(nn.Module):
    """`RetrievalObjective` as a loss for sentence-transformers' trainer, which sums and logs its parts by name.

    Columns are anchor, positive, and none, one or more negatives; the model must not normalise its output. Equal texts
    in a batch are recognised by their tokens and masked as in `EuclideanInfoNCE`. Where `lambda_distill` has a weight,
    the data's column `label` holds the base's embeddings of the positives, at the model's scale. The other arguments
    are `RetrievalObjective`'s.
    """

    def __init__(
        self,
        model: "SentenceTransformer",
        *,
        temperature: float = 51.2,
        learnable_temperature: bool = False,
        slices: int = SLICES,
        seed: int = 0,
        dimension: int | None = None,
        treat: Treated | None = None,
        target_D: Tensor | None = None,
        nested: Sequence[int] = (),
        **weights: float,
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = RetrievalObjective(
            temperature=temperature,
            learnable_temperature=learnable_temperature,
            slices=slices,
            seed=seed,
            dimension=dimension,
            treat=treat,
            target_D=target_D,
            nested=nested,
            **weights,
        )

    def forward(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The weighted parts by name. Raises `UserError` for fewer than two columns."""
        columns = list(sentence_features)
        if len(columns) < 2:
            raise UserError(f"the loss needs the columns anchor and positive, not {len(columns)} column")
        ids = [text_ids(features) for features in columns]
        anchors_BD, positives_BD, *negatives = [self.model(features)["sentence_embedding"] for features in columns]
        # Negatives go row by row: all of the first row, then all of the second.
        negatives_BND = torch.stack(negatives, 1) if negatives else None
        negative_ids = [torch.stack(ids[2:], 1).flatten()] if negatives else []
        document_ids = torch.cat([ids[1], *negative_ids])
        parts: dict[str, Tensor] = self.objective(
            anchors_BD, positives_BD, negatives_BND, ids[0], document_ids, teacher_BE=labels
        )
        return parts


def text_ids(features: Mapping[str, Tensor]) -> Tensor:
    """A number for each text of a tokenised batch, int64, >= 0: equal for equal tokens, whatever the padding."""
    rows = zip(features["input_ids"].cpu(), features["attention_mask"].cpu().bool(), strict=True)
    digests = (blake2b(tokens[mask].to(torch.int64).numpy().tobytes(), digest_size=8).digest() for tokens, mask in rows)
    return torch.tensor([int.from_bytes(digest) >> 1 for digest in digests], device=features["input_ids"].device)
