"""The best k documents of a query in one total order: higher scores first, equal scores by document id, descending.

This is trec_eval's order of a run file, so that search, run file and metrics agree at rank k. Score and id are combined
into one integer, the key: its upper half are the bits of the float32 score, mapped so that they sort like the scores,
and its lower half is the rank of the document's id in byte order. Keys of different documents are never equal.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.dtypes import StringDType

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Keys = npt.NDArray[np.int64]

EMPTY = np.iinfo(np.int64).min
_MAGNITUDE = np.int32(0x7FFFFFFF)
_ID_RANK = np.int64(0xFFFFFFFF)
_BATCH = 100_000


@dataclass(frozen=True)
class TopK:
    """The k best documents of each of Q queries, best first.

    Attributes:
        scores: the scores, (Q, k) float32, higher is better; -inf if there are fewer than k documents.
        rows: the documents' rows in the corpus, (Q, k) int64; -1 if there are fewer than k documents.
    """

    scores: Floats
    rows: Rows


def rank_ids(ids: Iterable[str]) -> Rows:
    """Return the rank of each id in the order of UTF-8 bytes up to a NUL (as in `strcmp`), 0 for the lowest."""
    remaining = iter(ids)
    batches: list[npt.NDArray[Any]] = [np.empty(0, StringDType())]
    while batch := list(islice(remaining, _BATCH)):
        batches.append(np.array(batch, StringDType()))  # strings of variable length
    return inverse(np.argsort(np.concatenate(batches), kind="stable"))


def inverse(permutation: Rows) -> Rows:
    """Return the inverse permutation."""
    undone = np.empty_like(permutation)
    undone[permutation] = np.arange(len(permutation))
    return undone


def pack(scores: Floats, id_ranks: Rows) -> Keys:
    """Combine scores (not NaN) and ranks of ids (below 2**32) into keys."""
    bits = (scores + np.float32(0)).view(np.int32)  # adding 0 turns -0 into 0
    return ((bits ^ ((bits >> 31) & _MAGNITUDE)).astype(np.int64) << 32) | id_ranks


def unpack(keys: Keys) -> tuple[Floats, Rows]:
    """Return the scores and id ranks of keys; -inf and -1 for `EMPTY`."""
    bits = (keys >> 32).astype(np.int32)
    scores = (bits ^ ((bits >> 31) & _MAGNITUDE)).view(np.float32)
    empty = keys == EMPTY
    return np.where(empty, np.float32(-np.inf), scores), np.where(empty, -1, keys & _ID_RANK)


def best(keys_QN: Keys, k: int) -> Keys:
    """Return the k highest keys of each row, (Q, k), highest first; filled with `EMPTY`."""
    n = keys_QN.shape[1]
    kept = np.full((len(keys_QN), k), EMPTY)
    highest = np.partition(keys_QN, n - k, axis=1)[:, n - k :] if n > k else keys_QN
    kept[:, : highest.shape[1]] = np.sort(highest, axis=1)[:, ::-1]
    return kept


def to_rows(keys_QK: Keys, id_ranks: Rows) -> TopK:
    """Turn sorted keys into scores and rows; `id_ranks` are those of all documents."""
    scores_QK, id_ranks_QK = unpack(keys_QK)
    return TopK(scores_QK, np.where(id_ranks_QK < 0, -1, inverse(id_ranks)[id_ranks_QK]))
