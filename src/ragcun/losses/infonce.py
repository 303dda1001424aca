"""InfoNCE on squared Euclidean distance.

Shapes: B rows of this process, R rows of all processes, N negatives per row, M documents of all processes, D
dimensions.
"""

import math

import torch
from torch import Tensor, nn

from ragcun.distributed.collectives import gather_rows, rows_per_process, sum_over_processes, with_mean_gradient
from ragcun.errors import UserError
from ragcun.losses.distances import squared_distances
from ragcun.losses.precision import full, full_precision

_DOCUMENT = 2**32 - 1  # the bits of a pair's key that contain the document's id


class EuclideanInfoNCE(nn.Module):
    """Cross-entropy of the positive among all documents of the joined batch; logits are -||a - p||² / temperature.

    InfoNCE (van den Oord et al., arXiv 1807.03748, equation 4) with in-batch and hard negatives. A document that is
    known to be relevant to the anchor, but is not the row's own positive, is masked. Documents are gathered from all
    processes; `ragcun.distributed.collectives` states the convention for gradients. Distances between samples of N(0,
    I) grow with D, so the `temperature` should be of the order of D/10; `learnable` trains its logarithm. Raises
    `UserError` if the temperature is not positive.
    """

    def __init__(self, temperature: float = 51.2, learnable: bool = False) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise UserError(f"the temperature must be positive and finite, not {temperature}")
        self._fixed = temperature
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature))) if learnable else None

    @property
    def temperature(self) -> Tensor | float:
        """The temperature: a number, or a differentiable scalar if it is learnt."""
        return self._fixed if self.log_temperature is None else with_mean_gradient(self.log_temperature).exp()

    def forward(
        self,
        anchors_BD: Tensor,
        positives_BD: Tensor,
        negatives_BND: Tensor | None = None,
        anchor_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        known_pairs: Tensor | None = None,
    ) -> Tensor:
        """Return the scalar loss, the mean over the rows of the joined batch, in fp32 (fp64 for fp64 input).

        `anchor_ids` (B,) and `document_ids` (B + B*N,) are int64; the latter are those of the positives, then of the
        negatives row by row, where -1 marks an absent negative. Documents with equal ids are the same, and the
        positives of all rows with an anchor's id are relevant to it. Without ids, all anchors and all documents are
        different. Raises `UserError` if the shapes do not fit.
        """
        rows, device = len(anchors_BD), anchors_BD.device
        local_documents = [positives_BD] if negatives_BND is None else [positives_BD, negatives_BND.flatten(0, 1)]
        documents_MD = torch.cat(local_documents)
        _require(positives_BD.shape == anchors_BD.shape, "positives", positives_BD, anchors_BD)
        _require(len(documents_MD) % max(rows, 1) == 0, "negatives", documents_MD, anchors_BD)
        _require(anchor_ids is None or len(anchor_ids) == rows, "anchor_ids", anchor_ids, anchors_BD)
        _require(
            document_ids is None or len(document_ids) == len(documents_MD), "document_ids", document_ids, documents_MD
        )

        row_counts, first_row = rows_per_process(rows, device)
        document_counts, _ = rows_per_process(len(documents_MD), device)
        documents_MD = gather_rows(full(documents_MD), document_counts)
        starts = torch.tensor([0, *document_counts[:-1]]).cumsum(0).tolist()
        positive_columns_R = torch.cat(
            [torch.arange(start, start + count, device=device) for start, count in zip(starts, row_counts, strict=True)]
        )
        own = slice(first_row, first_row + rows)

        with full_precision(device):
            logits_BM = squared_distances(full(anchors_BD), documents_MD) / -self.temperature
        if anchor_ids is not None or document_ids is not None:
            anchor_ids_R = _gathered_ids(anchor_ids, row_counts, device)
            document_ids_M = _gathered_ids(document_ids, document_counts, device)
            excluded_BM = _relevant(anchor_ids_R, document_ids_M, positive_columns_R, own, known_pairs)
            excluded_BM |= document_ids_M == -1
            excluded_BM.scatter_(1, positive_columns_R[own, None], False)
            logits_BM = logits_BM.masked_fill(excluded_BM, -torch.inf)
        loss = nn.functional.cross_entropy(logits_BM, positive_columns_R[own], reduction="sum")
        return sum_over_processes(loss) / sum(row_counts)


def pair_keys(anchor_ids: Tensor, document_ids: Tensor) -> Tensor:
    """Combine each pair of ids, which are from 0 to 2**31 - 1, into one int64; the arguments are broadcast."""
    return (anchor_ids << 32) | document_ids


def _require(fits: bool, name: str, tensor: Tensor | None, against: Tensor) -> None:
    if not fits:
        shape = None if tensor is None else tuple(tensor.shape)
        raise UserError(f"{name} of shape {shape} do not fit {tuple(against.shape)}")


def _gathered_ids(ids: Tensor | None, counts: list[int], device: torch.device) -> Tensor:
    return torch.arange(sum(counts), device=device) if ids is None else gather_rows(ids.to(device), counts)


def _relevant(
    anchor_ids_R: Tensor, document_ids_M: Tensor, positive_columns_R: Tensor, own: slice, known_pairs: Tensor | None
) -> Tensor:
    """Return which documents are relevant to this process' anchors, by the batch and `known_pairs`, B x M."""
    anchors, anchor_of_R = torch.unique(anchor_ids_R, return_inverse=True)
    documents, document_of_M = torch.unique(document_ids_M, return_inverse=True)
    relevant = torch.zeros(len(anchors), len(documents), dtype=torch.bool, device=anchor_ids_R.device)
    relevant[anchor_of_R, document_of_M[positive_columns_R]] = True
    if known_pairs is not None and len(known_pairs):
        asked = torch.unique(anchor_of_R[own])
        known, place = _known_documents(anchors[asked], known_pairs)
        column = torch.searchsorted(documents, known).clamp_max(len(documents) - 1)
        there = documents[column] == known
        relevant[asked[place[there]], column[there]] = True
    return relevant[anchor_of_R[own]][:, document_of_M]


def _known_documents(anchors: Tensor, known_pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the documents that the known pairs have for these ids, and the positions of their anchors."""
    first = torch.searchsorted(known_pairs, anchors << 32)
    counts = torch.searchsorted(known_pairs, (anchors << 32) | _DOCUMENT, right=True) - first
    place = torch.repeat_interleave(counts)
    rank = torch.arange(len(place), device=place.device) - (counts.cumsum(0) - counts)[place]
    return known_pairs[first[place] + rank] & _DOCUMENT, place
