"""Scores on held-out data during training: nDCG@10 by Euclidean distance, and the loss."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ragcun.analysis.isotropy import as_matrix, centred, effective_rank, principal_axes, sigreg
from ragcun.console import quietly, say
from ragcun.data.collection import Collection
from ragcun.data.pairs import Pairs
from ragcun.data.problems import OnError
from ragcun.data.texts import Selected, Texts
from ragcun.embedding.base import prompt_of
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.encode import encode_now
from ragcun.embedding.store import Floats
from ragcun.errors import UserError
from ragcun.evaluation.metrics import mean_scores
from ragcun.retrieval.search import search
from ragcun.training.encoder import EncoderWithObjective

MEASURE = "nDCG@10"
_MOST_DOCUMENTS = 20_000
_MOST_QUERIES = 2_000
_BLOCK = 8_192
_LOSS_BATCH = 256
_WATCHED = 1_000  # documents whose geometry is followed


@dataclass(frozen=True)
class DevTexts:
    """Held-out queries and the documents they are ranked against; `qrels` name both by row."""

    queries: Texts
    documents: Texts
    qrels: dict[str, dict[str, int]]
    source: dict[str, object]


def dev_from_collection(path: Path, split: str, on_error: OnError, seed: int) -> DevTexts:
    """A collection's held-out split: at most 2,000 of its queries, against at most 20,000 documents.

    Where the corpus is larger, the judged documents and a random sample of the others stand for it, and this is said.
    """
    collection = Collection.open(path, on_error=on_error)
    judged = collection.qrels(split)
    chosen = sorted(judged)
    if len(chosen) > _MOST_QUERIES:
        chosen = sorted(np.random.default_rng(seed).permutation(np.array(chosen, dtype=object))[:_MOST_QUERIES])
    query_rows = collection.queries.rows(chosen)
    wanted = sorted({document for query in chosen for document in judged[query]})
    judged_rows = collection.corpus.rows(wanted)
    row_of = dict(zip(wanted, judged_rows.tolist(), strict=True))
    judged_rows = judged_rows[judged_rows >= 0]  # a judged document that is not there counts in the ideal ranking only
    rows = np.arange(len(collection.corpus))
    if len(rows) > _MOST_DOCUMENTS:
        others = np.setdiff1d(rows, judged_rows)
        sampled = np.random.default_rng(seed).permutation(others)[: max(0, _MOST_DOCUMENTS - len(judged_rows))]
        rows = np.sort(np.concatenate([np.unique(judged_rows), sampled]))
        say(f"dev: {len(rows):,} of {len(collection.corpus):,} documents of {path.name}, the judged ones among them")
    place = {int(row): str(i) for i, row in enumerate(rows)}
    qrels = {
        str(i): {place.get(row_of[document], f"missing {document}"): grade for document, grade in judged[query].items()}
        for i, query in enumerate(chosen)
    }
    source = {"path": str(path), "split": split, "sha256": collection.fingerprint(split)}
    return DevTexts(
        Selected(collection.queries, query_rows),
        Selected(collection.corpus, rows),
        qrels,
        {**source, "queries": len(chosen), "documents": len(rows)},
    )


def dev_from_pairs(pairs: Pairs, seed: int) -> DevTexts:
    """Held-out pairs: each query, at most 2,000 of them, is ranked against the positives and negatives of all."""
    if len(pairs) < 2:
        raise UserError("dev: at least two held-out pairs are needed")
    queries = np.unique(pairs.anchor)
    if len(queries) > _MOST_QUERIES:
        chosen = np.random.default_rng(seed).permutation(queries)[:_MOST_QUERIES]
        pairs = pairs.where(np.isin(pairs.anchor, chosen))
        say(f"dev: {_MOST_QUERIES:,} of {len(queries):,} held-out queries, with their documents")
    query_rows, query_of = np.unique(pairs.anchor, return_inverse=True)
    documents = np.unique(np.concatenate([pairs.positive, pairs.negatives[pairs.negatives >= 0]]))
    positive = np.searchsorted(documents, pairs.positive)
    qrels: dict[str, dict[str, int]] = {}
    for query, document in zip(query_of.tolist(), positive.tolist(), strict=True):
        qrels.setdefault(str(query), {})[str(document)] = 1
    return DevTexts(
        Selected(pairs.queries, query_rows),
        Selected(pairs.documents, documents),
        qrels,
        {**pairs.source, "queries": len(query_rows), "documents": len(documents)},
    )


class Dev(ABC):
    """Scores an encoder in training, which is in evaluation mode, on held-out data."""

    def __init__(self, texts: DevTexts) -> None:
        self.texts = texts

    @abstractmethod
    def embed(self, encoder: EncoderWithObjective) -> tuple[Floats, Floats]:
        """Embeddings of all held-out queries and documents, (Q, d) and (N, d)."""

    def ndcg(self, encoder: EncoderWithObjective) -> float:
        """nDCG@10, by Euclidean distance, over all held-out queries."""
        return _ndcg(self.texts.qrels, *self.embed(encoder))

    def watch(self, encoder: EncoderWithObjective) -> dict[str, float]:
        """A row of the history: nDCG@10, the contrastive loss in fixed batches, and the geometry of a fixed sample.

        The geometry is that of documents: effective rank and SIGReg's statistic.
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
        """nDCG@10 of the base itself, by its own similarity."""
        queries, documents = (vectors.block(0, len(vectors)) for vectors in (self._queries, self._documents))
        return _ndcg(self.texts.qrels, queries, documents, similarity)

    def embed(self, encoder: EncoderWithObjective) -> tuple[Floats, Floats]:
        """As `Dev.embed`."""
        return _project(self._queries.blocks(_BLOCK), encoder), _project(self._documents.blocks(_BLOCK), encoder)


class EncodedDev(Dev):
    """Held-out texts, encoded anew by a base that changes."""

    def embed(self, encoder: EncoderWithObjective) -> tuple[Floats, Floats]:
        """As `Dev.embed`."""
        base = encoder.base
        if base is None:
            raise ValueError("the encoder has no base of its own to encode with")
        with quietly():
            queries = encode_now(base, self.texts.queries, prompt_of(base, "query"))
            documents = encode_now(base, self.texts.documents, prompt_of(base, "document"))
        return _project(_blocks(queries), encoder), _project(_blocks(documents), encoder)


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
    """The mean contrastive loss of the judged pairs, a fixed random sample of them, in batches with each other."""
    pairs = np.array([(int(q), int(d)) for q, of in qrels.items() for d, grade in of.items() if grade > 0])
    known = torch.from_numpy((pairs[:, 0] << 32) | pairs[:, 1]).sort().values
    pairs = np.random.default_rng(0).permutation(pairs)[:_MOST_QUERIES]
    batches = np.array_split(pairs, -(-len(pairs) // _LOSS_BATCH))
    contrastive = encoder.objective.contrastive
    losses = []
    for anchor, positive in (torch.from_numpy(batch).unbind(1) for batch in batches):
        anchors_BD, positives_BD = torch.from_numpy(queries)[anchor], torch.from_numpy(documents)[positive]
        loss = contrastive(anchors_BD, positives_BD, None, anchor, positive, known)
        losses.append(float(loss) * len(anchor))
    return sum(losses) / len(pairs)


def _blocks(vectors: Floats) -> Iterator[Floats]:
    return (vectors[start : start + _BLOCK] for start in range(0, len(vectors), _BLOCK))


@torch.no_grad()
def _project(blocks: Iterator[Floats], encoder: EncoderWithObjective) -> Floats:
    device = next(encoder.head.parameters()).device
    return np.concatenate([encoder.head(torch.from_numpy(block).to(device)).float().cpu().numpy() for block in blocks])
