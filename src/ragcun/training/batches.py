"""Training rows as base embeddings: which rows a step takes, and their vectors.

B: pairs of a batch, K: negatives a pair, b: base dimension.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ragcun.data.pairs import Pairs
from ragcun.data.texts import Selected
from ragcun.embedding.embedder import Embedder, Vectors
from ragcun.losses.infonce import pair_keys

_IN_MEMORY = 2 * 2**30
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """One process' share of a step. Absent negatives have document id -1 and the vector of document 0.

    `known_pairs` are the keys of all training pairs, sorted: a document may answer an anchor it is not paired with.
    """

    anchors_Bb: torch.Tensor
    positives_Bb: torch.Tensor
    negatives_BKb: torch.Tensor | None
    anchor_ids: torch.Tensor
    document_ids: torch.Tensor
    known_pairs: torch.Tensor


class PairVectors:
    """The base embeddings of training pairs, read from the store, or held in memory where they take less than 2 GiB."""

    def __init__(self, pairs: Pairs, embedder: Embedder, what: str) -> None:
        query_rows, self._anchor = np.unique(pairs.anchor, return_inverse=True)
        wanted = np.concatenate([pairs.positive, pairs.negatives[pairs.negatives >= 0]])
        document_rows = np.unique(wanted)
        self._positive = np.searchsorted(document_rows, pairs.positive)
        self._negatives = np.where(pairs.negatives < 0, -1, np.searchsorted(document_rows, pairs.negatives))
        queries = embedder.queries(Selected(pairs.queries, query_rows), f"encoding {what} queries")
        documents = embedder.documents(Selected(pairs.documents, document_rows), f"encoding {what} documents")
        self._query_ids, self._document_ids = queries.identities, documents.identities
        self._queries, self._documents = _Rows(queries), _Rows(documents)
        anchors, positives = self._query_ids[self._anchor], self._document_ids[self._positive]
        self._known = pair_keys(torch.from_numpy(anchors), torch.from_numpy(positives)).sort().values

    def __len__(self) -> int:
        return len(self._anchor)

    def batch(self, rows: Index, device: torch.device) -> Batch:
        """The pairs at `rows`."""
        anchor, positive, negatives = self._anchor[rows], self._positive[rows], self._negatives[rows]
        document_ids = self._document_ids[positive]
        negatives_BKb = None
        if negatives.shape[1]:
            absent = negatives < 0
            vectors = self._documents.take(np.maximum(negatives, 0).reshape(-1))
            negatives_BKb = torch.from_numpy(vectors).reshape(*negatives.shape, -1).to(device)
            negative_ids = np.where(absent, -1, self._document_ids[np.maximum(negatives, 0)])
            document_ids = np.concatenate([document_ids, negative_ids.reshape(-1)])
        return Batch(
            torch.from_numpy(self._queries.take(anchor)).to(device),
            torch.from_numpy(self._documents.take(positive)).to(device),
            negatives_BKb,
            torch.from_numpy(self._query_ids[anchor]).to(device),
            torch.from_numpy(document_ids).to(device),
            self._known.to(device),
        )

    def sample(self, limit: int, seed: int) -> npt.NDArray[np.float32]:
        """Base embeddings of at most `limit` queries and documents, drawn alike from both, (n, b)."""
        parts = []
        for name, rows in enumerate((self._queries, self._documents)):
            chosen = np.random.default_rng((seed, name)).permutation(len(rows))[: limit // 2]
            parts.append(rows.take(np.sort(chosen)))
        return np.concatenate(parts)


class _Rows:
    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        small = 4 * vectors.shape[0] * vectors.shape[1] < _IN_MEMORY
        self._array = vectors.block(0, len(vectors)) if small else None

    def __len__(self) -> int:
        return len(self._vectors)

    def take(self, rows: Index) -> npt.NDArray[np.float32]:
        return self._vectors.rows(rows) if self._array is None else self._array[rows]


@dataclass(frozen=True)
class Schedule:
    """Which pairs each optimiser step takes. It follows from the seed alone, on any number of processes.

    A global batch is `batch_size` pairs of each of `processes`; an epoch's leftover pairs wait for the next.
    """

    pairs: int
    batch_size: int
    accumulation: int
    processes: int
    epochs: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps."""
        return max(1, self.pairs // (self.batch_size * self.processes * self.accumulation))

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.steps_per_epoch * self.epochs

    def rows(self, step: int, process: int) -> list[Index]:
        """The pairs of optimiser step `step` (from 0) on `process`: one array for each accumulated batch."""
        epoch, within = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.pairs)
        batches = []
        for part in range(self.accumulation):
            start = ((within * self.accumulation + part) * self.processes + process) * self.batch_size
            batches.append(order[start : start + self.batch_size])
        return [rows for rows in batches if len(rows) > 1]
