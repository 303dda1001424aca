"""Scores on held-out data during training: nDCG@10 by Euclidean distance, and the loss."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ragcun.analysis.isotropy import as_matrix, centred, effective_rank, principal_axes, sigreg
from ragcun.analysis.treatment import ROWS, checked, checked_gaussian
from ragcun.console import quietly
from ragcun.data.texts import Selected, Texts
from ragcun.embedding.base import Role
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.encode import encode_now
from ragcun.embedding.store import Floats
from ragcun.evaluation.metrics import mean_scores
from ragcun.retrieval.search import search
from ragcun.slices import slices
from ragcun.training.data import DevTexts
from ragcun.training.encoder import EncoderWithObjective

MEASURE = "nDCG@10"
_MOST_PAIRS = 2_000  # the maximum number of pairs for the loss
_BLOCK = 8_192
_LOSS_BATCH = 256
_WATCHED = 1_000  # the number of documents whose geometry is logged

Index = npt.NDArray[np.int64]


class Dev(ABC):
    """Held-out data on which an encoder in training, in evaluation mode, is scored."""

    def __init__(self, texts: DevTexts) -> None:
        self.texts = texts

    @abstractmethod
    def embed(self, encoder: EncoderWithObjective) -> tuple[Floats, Floats]:
        """Embed all held-out queries and documents, (Q, d) and (N, d)."""

    @abstractmethod
    def embed_documents(self, encoder: EncoderWithObjective, rows: Index) -> Floats:
        """Embed the held-out documents at `rows`."""

    def isotropy(self, encoder: EncoderWithObjective) -> dict[str, float] | None:
        """Measure isotropy on a fixed sample of held-out documents; return None for fewer than 2."""
        rows = self._sample()
        return checked(self.embed_documents(encoder, rows)) if len(rows) > 1 else None

    def gaussian(self, dimension: int) -> dict[str, Any]:
        """Return the size of this sample, and the measures of as many samples of N(0, I)."""
        rows = len(self._sample())
        return {"documents": rows, "dimension": dimension, "gaussian": dict(checked_gaussian(rows, dimension))}

    def _sample(self) -> Index:
        return np.sort(np.random.default_rng(0).permutation(len(self.texts.documents))[:ROWS])

    def ndcg(self, encoder: EncoderWithObjective) -> float:
        """Return nDCG@10 by Euclidean distance over all held-out queries."""
        return _ndcg(self.texts.qrels, *self.embed(encoder))

    def watch(self, encoder: EncoderWithObjective) -> dict[str, float]:
        """Return a row of the history: nDCG@10, the contrastive loss in fixed batches, and the documents' geometry.

        The geometry is the effective rank and SIGReg's statistic of a fixed sample of documents.
        """
        queries, documents = self.embed(encoder)
        rows = np.random.default_rng(0).permutation(len(documents))[:_WATCHED]
        sample = documents[np.sort(rows)]
        watched = {
            "dev_ndcg@10": _ndcg(self.texts.qrels, queries, documents),
            "dev_contrastive": _contrastive(self.texts.qrels, queries, documents, encoder),
        }
        if len(sample) > 1:
            variances, _ = principal_axes(centred(as_matrix(sample)))
            watched |= {"dev_effective_rank": effective_rank(variances), "dev_sigreg": sigreg(as_matrix(sample))}
        return watched


class StoredDev(Dev):
    """Held-out base embeddings from the store, for any head on that base."""

    def __init__(self, texts: DevTexts, embedder: Embedder) -> None:
        super().__init__(texts)
        self._queries = embedder.queries(texts.queries, "encoding dev queries")
        self._documents = embedder.documents(texts.documents, "encoding dev documents")

    def ndcg_of_base(self, similarity: str) -> float:
        """Return nDCG@10 of the base itself, by its own similarity."""
        queries, documents = (vectors.block(0, len(vectors)) for vectors in (self._queries, self._documents))
        return _ndcg(self.texts.qrels, queries, documents, similarity)

    def embed(self, encoder: EncoderWithObjective) -> tuple[Floats, Floats]:
        """As `Dev.embed`."""
        return _project(self._queries.blocks(_BLOCK), encoder), _project(self._documents.blocks(_BLOCK), encoder)

    def embed_documents(self, encoder: EncoderWithObjective, rows: Index) -> Floats:
        """As `Dev.embed_documents`."""
        return _project(_blocks(self._documents.rows(rows)), encoder)


class EncodedDev(Dev):
    """Held-out texts, which a trained base encodes again for each score."""

    def embed(self, encoder: EncoderWithObjective) -> tuple[Floats, Floats]:
        """As `Dev.embed`."""
        return self._encode(encoder, self.texts.queries, "query"), self._encode(
            encoder, self.texts.documents, "document"
        )

    def embed_documents(self, encoder: EncoderWithObjective, rows: Index) -> Floats:
        """As `Dev.embed_documents`."""
        return self._encode(encoder, Selected(self.texts.documents, rows), "document")

    def _encode(self, encoder: EncoderWithObjective, texts: Texts, role: Role) -> Floats:
        if encoder.base is None:
            raise ValueError("the encoder has no base of its own to encode with")
        with quietly():
            return _project(_blocks(encode_now(encoder.base, texts, role)), encoder)


def _ndcg(qrels: dict[str, dict[str, int]], queries: Floats, documents: Floats, similarity: str = "euclidean") -> float:
    with quietly():
        found = search(queries, documents, 10, similarity)
    run = {
        str(query): {str(row): float(s) for row, s in zip(rows, scores, strict=True) if row >= 0}
        for query, (rows, scores) in enumerate(zip(found.rows.tolist(), found.scores.tolist(), strict=True))
    }
    return mean_scores(qrels, run, [MEASURE])[MEASURE]


@torch.no_grad()
def _contrastive(
    qrels: dict[str, dict[str, int]], queries: Floats, documents: Floats, encoder: EncoderWithObjective
) -> float:
    """Return the mean contrastive loss of a fixed random sample of the judged pairs, in batches."""
    pairs = np.array([(int(q), int(d)) for q, of in qrels.items() for d, grade in of.items() if grade > 0])
    known = torch.from_numpy((pairs[:, 0] << 32) | pairs[:, 1]).sort().values
    pairs = np.random.default_rng(0).permutation(pairs)[:_MOST_PAIRS]
    batches = np.array_split(pairs, -(-len(pairs) // _LOSS_BATCH))
    contrastive = encoder.objective.contrastive
    losses = []
    for anchor, positive in (torch.from_numpy(batch).unbind(1) for batch in batches):
        anchors_BD, positives_BD = torch.from_numpy(queries)[anchor], torch.from_numpy(documents)[positive]
        loss = contrastive(anchors_BD, positives_BD, None, anchor, positive, known)
        losses.append(float(loss) * len(anchor))
    return sum(losses) / len(pairs)


def _blocks(vectors: Floats) -> Iterator[Floats]:
    return (vectors[block] for block in slices(len(vectors), _BLOCK))


@torch.no_grad()
def _project(blocks: Iterator[Floats], encoder: EncoderWithObjective) -> Floats:
    device = next(encoder.head.parameters()).device
    return np.concatenate([encoder.head(torch.from_numpy(block).to(device)).float().cpu().numpy() for block in blocks])
