"""Candidates found by an accelerator with torch; they are the same as those of the processor.

Q queries, B documents of a block, D dimensions, K documents kept.
"""

import torch
from torch import Tensor

from ragcun.retrieval.topk import Floats, Keys, Rows
from ragcun.slices import slices

_QUERIES = 1_024  # queries whose scores with a block are in memory at a time


def accelerator(asked: str | None) -> str | None:
    """Return the CUDA device for searches: the requested one, or the default one; None without a CUDA device."""
    if asked is None:
        return "cuda" if torch.cuda.is_available() else None
    return asked if asked.startswith("cuda") else None


class DeviceCandidates:
    """The K best documents of all queries so far, as keys, on a device.

    Args:
        queries_QD: the queries' vectors.
        exclude_Q: the row of a document that must not be found for a query, or -1.
        keys_QK: the keys that were found before, or `EMPTY`.
        device: the device, as torch names it.
    """

    def __init__(self, queries_QD: Floats, exclude_Q: Rows, keys_QK: Keys, device: str) -> None:
        self._device = device
        self._queries_QD = torch.from_numpy(queries_QD).to(device)
        self._exclude_Q = torch.from_numpy(exclude_Q).to(device)
        self._keys_QK = torch.tensor(keys_QK, device=device)

    def show(self, documents_BD: Floats, start: int, id_ranks_B: Rows) -> None:
        """Add a block of documents with their vectors, the row of the first, and the ranks of their ids."""
        documents, id_ranks = (torch.from_numpy(array).to(self._device) for array in (documents_BD, id_ranks_B))
        for some in slices(len(self._queries_QD), _QUERIES):
            scores_QB = self._queries_QD[some] @ documents.T
            own_Q = self._exclude_Q[some] - start
            hidden = ((own_Q >= 0) & (own_Q < len(documents))).nonzero()[:, 0]
            scores_QB[hidden, own_Q[hidden]] = -torch.inf
            both = torch.cat([self._keys_QK[some], _pack(scores_QB, id_ranks)], dim=1)
            self._keys_QK[some] = both.topk(self._keys_QK.shape[1], dim=1, sorted=False).values

    def keys(self) -> Keys:
        """Return the keys of the K best documents of each query, (Q, K), unordered."""
        return self._keys_QK.cpu().numpy()


def _pack(scores: Tensor, id_ranks: Tensor) -> Tensor:
    """As `topk.pack`."""
    bits = (scores + 0).view(torch.int32)
    return ((bits ^ ((bits >> 31) & 0x7FFFFFFF)).long() << 32) | id_ranks
