"""The training objective: a contrastive loss and weighted regularisers, and the same for sentence-transformers.

Shapes: B rows, N negatives a row, D dimensions.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ragcun.errors import UserError
from ragcun.losses import regularisers
from ragcun.losses.infonce import EuclideanInfoNCE
from ragcun.losses.sigreg import SIGReg

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class RetrievalObjective(nn.Module):
    """contrastive + lambda_isotropy * SIGReg + lambda_reg * scale + lambda_distill * KL to the base.

    A part with weight 0 is not computed. SIGReg and scale see all embeddings of the batch jointly, lambda_distill the
    positives. `slices`, `knots`, `t_max`, `per_sample` and `seed` are SIGReg's: by default lambda_isotropy is relative
    to the statistic divided by the joined batch. Raises `UserError` for a negative weight.
    """

    def __init__(
        self,
        lambda_isotropy: float = 1.0,
        lambda_reg: float = 0.1,
        lambda_distill: float = 0.0,
        temperature: float = 51.2,
        learnable_temperature: bool = False,
        slices: int = 1024,
        knots: int = 17,
        t_max: float = 3.0,
        per_sample: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        weights = {"lambda_isotropy": lambda_isotropy, "lambda_reg": lambda_reg, "lambda_distill": lambda_distill}
        for name, weight in weights.items():
            if not 0 <= weight < float("inf"):
                raise UserError(f"{name} must be 0 or larger, not {weight}")
        self.lambda_isotropy = lambda_isotropy
        self.lambda_reg = lambda_reg
        self.lambda_distill = lambda_distill
        self.contrastive = EuclideanInfoNCE(temperature, learnable_temperature)
        self.isotropy = SIGReg(slices, knots, t_max, per_sample, seed)

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
    ) -> dict[str, Tensor]:
        """The weighted parts by name, to be summed: contrastive, and isotropy, scale and distillation where weighted.

        Ids and `known_pairs` as in `EuclideanInfoNCE`, `step` as in `SIGReg`; `teacher_BE` are the base's
        embeddings of the positives, at the student's scale, and a `UserError` if lambda_distill has a weight and
        they are missing. Absent negatives (id -1) are left out of every part.
        """
        contrastive = self.contrastive(anchors_BD, positives_BD, negatives_BND, anchor_ids, document_ids, known_pairs)
        parts = {"contrastive": contrastive}
        embeddings = [anchors_BD, positives_BD]
        if negatives_BND is not None:
            negatives_ND = negatives_BND.flatten(0, 1)
            present = ... if document_ids is None else document_ids[len(positives_BD) :] != -1
            embeddings.append(negatives_ND[present])
        embeddings_ND = torch.cat(embeddings)
        if self.lambda_isotropy:
            parts["isotropy"] = self.lambda_isotropy * self.isotropy(embeddings_ND, step)
        if self.lambda_reg:
            parts["scale"] = self.lambda_reg * regularisers.scale(embeddings_ND)
        if self.lambda_distill:
            if teacher_BE is None:
                raise UserError("lambda_distill has a weight, so the base's embeddings of the positives are needed")
            divergence = regularisers.distillation(positives_BD, teacher_BE, self.contrastive.temperature)
            parts["distillation"] = self.lambda_distill * divergence
        return parts


class IsotropicRetrievalLoss(nn.Module):
    """`RetrievalObjective` as a loss for sentence-transformers' trainer, which sums and logs its parts by name.

    Columns are anchor, positive, and none, one or more negatives; the model must not normalise its output. Equal texts
    in a batch are recognised by their tokens and masked as in `EuclideanInfoNCE`. The other arguments are
    `RetrievalObjective`'s.
    """

    def __init__(
        self,
        model: "SentenceTransformer",
        lambda_isotropy: float = 1.0,
        lambda_reg: float = 0.1,
        temperature: float = 51.2,
        learnable_temperature: bool = False,
        slices: int = 1024,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = RetrievalObjective(
            lambda_isotropy,
            lambda_reg,
            temperature=temperature,
            learnable_temperature=learnable_temperature,
            slices=slices,
            seed=seed,
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
        parts: dict[str, Tensor] = self.objective(anchors_BD, positives_BD, negatives_BND, ids[0], document_ids)
        return parts


def text_ids(features: Mapping[str, Tensor]) -> Tensor:
    """A number for each text of a tokenised batch, int64, >= 0: equal for equal tokens, whatever the padding."""
    rows = zip(features["input_ids"].cpu(), features["attention_mask"].cpu().bool(), strict=True)
    digests = (blake2b(tokens[mask].to(torch.int64).numpy().tobytes(), digest_size=8).digest() for tokens, mask in rows)
    return torch.tensor([int.from_bytes(digest) >> 1 for digest in digests], device=features["input_ids"].device)
