"""Candidates that an accelerator finds: the same as the processor's cores find, in torch.

Q queries, B documents of a block, D dimensions, K documents kept.
"""

import torch
from torch import Tensor

from ragcun.retrieval.topk import Floats, Keys, Rows
from ragcun.slices import slices

_QUERIES = 1_024  # whose scores with a block are there at a time


def accelerator(asked: str | None) -> str | None:
    """The CUDA device that searches go through: the one asked for, or else the one there is; None: there is none."""
    if asked is None:
        return "cuda" if torch.cuda.is_available() else None
    return asked if asked.startswith("cuda") else None


class DeviceCandidates:
    """The K best documents of all queries so far, as keys, on a device.

    Args:
        queries_QD: the queries.
        exclude_Q: the row of a document that a query shall not find, or -1.
        keys_QK: what has been found before, or else `EMPTY`.
        device: as torch names it.
    """

    def __init__(self, queries_QD: Floats, exclude_Q: Rows, keys_QK: Keys, device: str) -> None:
        self._device = device
        self._queries_QD = torch.from_numpy(queries_QD).to(device)
        self._exclude_Q = torch.from_numpy(exclude_Q).to(device)
        self._keys_QK = torch.tensor(keys_QK, device=device)

    def show(self, documents_BD: Floats, start: int, id_ranks_B: Rows) -> None:
        """Take in a block of documents: their vectors, the row of the first, and the ranks of their ids."""
        documents, id_ranks = (torch.from_numpy(array).to(self._device) for array in (documents_BD, id_ranks_B))
        for some in slices(len(self._queries_QD), _QUERIES):
            scores_QB = self._queries_QD[some] @ documents.T
            own_Q = self._exclude_Q[some] - start
            hidden = ((own_Q >= 0) & (own_Q < len(documents))).nonzero()[:, 0]
            scores_QB[hidden, own_Q[hidden]] = -torch.inf
            both = torch.cat([self._keys_QK[some], _pack(scores_QB, id_ranks)], dim=1)
            self._keys_QK[some] = both.topk(self._keys_QK.shape[1], dim=1, sorted=False).values

    def keys(self) -> Keys:
        """Keys of the K best documents of each query, (Q, K), in no order."""
        return self._keys_QK.cpu().numpy()


def _pack(scores: Tensor, id_ranks: Tensor) -> Tensor:
    """`topk.pack`."""
    bits = (scores + 0).view(torch.int32)
    return ((bits ^ ((bits >> 31) & 0x7FFFFFFF)).long() << 32) | id_ranks
