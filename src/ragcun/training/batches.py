"""Training batches, as stored base embeddings or as tokenised texts.

Shapes: B pairs of a batch, K negatives per pair, b base dimensions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer

from ragcun.data.pairs import Pairs
from ragcun.data.texts import Selected, Texts
from ragcun.embedding.base import Role, features_of, prompt_of
from ragcun.embedding.embedder import Embedder, Vectors
from ragcun.embedding.store import digest_texts
from ragcun.losses.infonce import pair_keys

_IN_MEMORY = 2 * 2**30
Index = npt.NDArray[np.int64]
Inputs = torch.Tensor | Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """One process' part of a step. Absent negatives have document id -1, and document 0 in their place.

    Attributes:
        anchors, positives, negatives: base embeddings (rows, b) or tokenised texts; B * K negatives, pair by pair.
        anchor_ids, document_ids: ids, which are equal for equal texts; those of the positives, then of the negatives.
        known_pairs: the sorted keys of all training pairs, since a document may be relevant to several anchors.
        teacher_Bb: the base's embeddings of the positives before training, if a term needs them.
        random: random documents of the training pairs, in the form of `negatives`, if some are drawn.
        general: the base's embeddings of general texts, which are not trained on, (G, b), if there are some.
    """

    anchors: Inputs
    positives: Inputs
    negatives: Inputs | None
    anchor_ids: torch.Tensor
    document_ids: torch.Tensor
    known_pairs: torch.Tensor
    teacher_Bb: torch.Tensor | None
    random: Inputs | None = None
    general: torch.Tensor | None = None


class PairSource(Protocol):
    """A source of batches of pairs, which may be a mixture (see `Pairs`)."""

    mixture: tuple[tuple[int, float], ...]

    def __len__(self) -> int: ...

    def batch(self, rows: Index, device: torch.device) -> Batch: ...


class _PairRows:
    """The distinct queries and documents of pairs, and the rows of each pair."""

    def __init__(self, pairs: Pairs) -> None:
        query_rows, self.anchor = np.unique(pairs.anchor, return_inverse=True)
        wanted = np.concatenate([pairs.positive, pairs.negatives[pairs.negatives >= 0]])
        document_rows = np.unique(wanted)
        self.positive = np.searchsorted(document_rows, pairs.positive)
        self.negatives = np.where(pairs.negatives < 0, -1, np.searchsorted(document_rows, pairs.negatives))
        self.queries = Selected(pairs.queries, query_rows)
        self.documents = Selected(pairs.documents, document_rows)

    def known(self, query_ids: Index, document_ids: Index) -> torch.Tensor:
        anchors, positives = query_ids[self.anchor], document_ids[self.positive]
        return pair_keys(torch.from_numpy(anchors), torch.from_numpy(positives)).sort().values

    def document_ids(self, rows: Index, ids: Index) -> torch.Tensor:
        negatives = self.negatives[rows]
        negative_ids = np.where(negatives < 0, -1, ids[np.maximum(negatives, 0)])
        return torch.from_numpy(np.concatenate([ids[self.positive[rows]], negative_ids.reshape(-1)]))


class PairVectors:
    """The base embeddings of training pairs, which are read from the store, or kept in memory if smaller than 2 GiB.

    For each batch, `random_documents` documents, and as many `general` texts as the batch has pairs, are drawn by
    torch's generator, which the training seeds at each step.
    """

    def __init__(
        self,
        pairs: Pairs,
        embedder: Embedder,
        what: str,
        random_documents: int = 0,
        general: Sequence[Texts] = (),
    ) -> None:
        self._rows = _PairRows(pairs)
        self.mixture = pairs.mixture
        queries = embedder.queries(self._rows.queries, f"encoding {what} queries")
        documents = embedder.documents(self._rows.documents, f"encoding {what} documents")
        self._query_ids, self._document_ids = _identities(self._rows.queries), _identities(self._rows.documents)
        self._queries, self._documents = _Rows(queries), _Rows(documents)
        self._known = self._rows.known(self._query_ids, self._document_ids)
        self._random_documents = random_documents
        self._general = [_Rows(embedder.documents(texts, "encoding general texts")) for texts in general]

    def __len__(self) -> int:
        return len(self._rows.anchor)

    def batch(self, rows: Index, device: torch.device) -> Batch:
        """The pairs at `rows`."""
        anchor, positive, negatives = self._rows.anchor[rows], self._rows.positive[rows], self._rows.negatives[rows]
        positives = torch.from_numpy(self._documents.take(positive)).to(device)
        absent_as_first = np.maximum(negatives, 0).reshape(-1)
        return Batch(
            torch.from_numpy(self._queries.take(anchor)).to(device),
            positives,
            torch.from_numpy(self._documents.take(absent_as_first)).to(device) if negatives.size else None,
            torch.from_numpy(self._query_ids[anchor]).to(device),
            self._rows.document_ids(rows, self._document_ids).to(device),
            self._known.to(device),
            positives,
            _draw([self._documents], self._random_documents).to(device) if self._random_documents else None,
            _draw(self._general, len(rows)).to(device) if self._general else None,
        )

    def sample(self, limit: int, seed: int) -> npt.NDArray[np.float32]:
        """Return base embeddings of at most `limit` queries and documents, drawn from both together, (n, b)."""
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


def _draw(sources: Sequence[_Rows], count: int) -> torch.Tensor:
    """Draw rows at random by torch's generator from all of `sources` together."""
    ends = np.cumsum([len(source) for source in sources])
    drawn = torch.randint(int(ends[-1]), (count,)).numpy()
    which = np.searchsorted(ends, drawn, side="right")
    found = [source.take(drawn[which == i] - (ends[i] - len(source))) for i, source in enumerate(sources)]
    return torch.from_numpy(np.concatenate(found))


class PairTexts:
    """The texts of training pairs, which are tokenised at each step for a trained base, with its prompts.

    Args:
        pairs: the pairs.
        base: the base, with its tokenizer and prompts.
        teacher: the source of the base's embeddings before training; None if no term with a weight needs them.
    """

    def __init__(self, pairs: Pairs, base: SentenceTransformer, teacher: Embedder | None) -> None:
        self._rows = _PairRows(pairs)
        self.mixture = pairs.mixture
        self._base = base
        self._query_ids, self._document_ids = _identities(self._rows.queries), _identities(self._rows.documents)
        self._known = self._rows.known(self._query_ids, self._document_ids)
        self._teacher = None if teacher is None else teacher.documents(self._rows.documents)

    def __len__(self) -> int:
        return len(self._rows.anchor)

    def batch(self, rows: Index, device: torch.device) -> Batch:
        """The pairs at `rows`."""
        anchor, positive, negatives = self._rows.anchor[rows], self._rows.positive[rows], self._rows.negatives[rows]
        absent_as_first = np.maximum(negatives, 0).reshape(-1)
        teacher = None if self._teacher is None else torch.from_numpy(self._teacher.rows(positive)).to(device)
        return Batch(
            self._tokens(self._rows.queries, anchor, "query", device),
            self._tokens(self._rows.documents, positive, "document", device),
            self._tokens(self._rows.documents, absent_as_first, "document", device) if negatives.size else None,
            torch.from_numpy(self._query_ids[anchor]).to(device),
            self._rows.document_ids(rows, self._document_ids).to(device),
            self._known.to(device),
            teacher,
        )

    def _tokens(self, texts: Texts, rows: Index, role: Role, device: torch.device) -> Inputs:
        features = features_of(self._base, [texts[int(row)] for row in rows], role, prompt_of(self._base, role))
        return {name: value.to(device) if torch.is_tensor(value) else value for name, value in features.items()}


def sample_vectors(pairs: Pairs, embedder: Embedder, limit: int, seed: int) -> npt.NDArray[np.float32]:
    """Return base embeddings of at most `limit` queries and documents of pairs, drawn from both together, (n, b)."""
    rows = _PairRows(pairs)
    parts = []
    for name, (texts, embed) in enumerate(((rows.queries, embedder.queries), (rows.documents, embedder.documents))):
        chosen = np.sort(np.random.default_rng((seed, name)).permutation(len(texts))[: limit // 2])
        parts.append(embed(Selected(texts, chosen)).block(0, len(chosen)))
    return np.concatenate(parts)


def _identities(texts: Texts) -> Index:
    """Return numbers that are equal for equal texts, (n,)."""
    return np.unique(digest_texts(texts), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
