"""The statistics of each query's ranking from which confidence scores are computed.

Shapes: Q queries, N documents, D dimensions, K documents of the model's ranking, W documents of BM25's ranking.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ragcun.console import quietly
from ragcun.data.texts import Texts
from ragcun.retrieval.bm25 import BM25
from ragcun.retrieval.matrices import Matrix
from ragcun.retrieval.search import search
from ragcun.retrieval.topk import Rows, TopK
from ragcun.slices import slices

Doubles = npt.NDArray[np.float64]

DEEP = 50  # documents of a ranking that are used
NEAR = 10  # nearest neighbours in the hub correction
_PAIRS = 5  # top documents that are compared with one another
_QUERIES, _DOCUMENTS = 512, 4_096  # the size of a block


class Vectors(Matrix, Protocol):
    """Vectors of texts with a fingerprint that identifies them."""

    @property
    def fingerprint(self) -> str: ...


@dataclass(frozen=True)
class Evidence:
    """Statistics of the rankings of Q queries.

    Similarities are those by which the model ranks: cosine, dot product, or negative Euclidean distance.

    Attributes:
        documents: N.
        dimension: D.
        top_QK: the similarities of the top documents, highest first; with fewer than K documents, the last is repeated.
        mean_Q, deviation_Q, skewness_Q: the moments of the query's similarities to all documents.
        squared_Q: the squared Euclidean distance to the top document, divided by the documents' mean variance per
            dimension.
        crowd_QK: for each of the `NEAR` top documents, its mean similarity to its `NEAR` nearest documents.
        neighbour_Q: the similarity of the top document to its nearest document.
        pairs_Q: the mean similarity among the top documents.
        second_Q: the similarity of the top two documents to each other.
        words_QW: BM25's scores, highest first; 0 where no word is shared.
        words_top_Q: BM25's score of the model's top document.
        words_place_Q: the rank of the model's top document in BM25's ranking, from 0.
        shared_Q: the number of documents that both top tens share.
    """

    documents: int
    dimension: int
    top_QK: Doubles
    mean_Q: Doubles
    deviation_Q: Doubles
    skewness_Q: Doubles
    squared_Q: Doubles
    crowd_QK: Doubles
    neighbour_Q: Doubles
    pairs_Q: Doubles
    second_Q: Doubles
    words_QW: Doubles
    words_top_Q: Doubles
    words_place_Q: Doubles
    shared_Q: Doubles


class Corpus:
    """A corpus with a model's vectors and similarity.

    Args:
        texts: the documents.
        vectors: the documents' vectors, (N, D).
        similarity: one of `search.SIMILARITIES`.
        id_ranks: the ranks of the documents' ids, (N,); see `topk.rank_ids`.
    """

    def __init__(self, texts: Texts, vectors: Matrix, similarity: str, id_ranks: Rows) -> None:
        self._texts = texts
        self._vectors = vectors
        self._similarity = similarity
        self._id_ranks = id_ranks
        self._words = BM25()

    def rankings(self, texts: Texts, exclude: Rows, depth: int) -> TopK:
        """Rank the documents for `texts` by BM25."""
        with quietly():
            return self._words.rank(self._texts, texts, depth, self._id_ranks, exclude)

    def evidence(self, queries_QD: npt.NDArray[np.float32], top: TopK, words: TopK, out: Sequence[Rows]) -> Evidence:
        """Compute the statistics of queries.

        Args:
            queries_QD: the queries' vectors.
            top: the model's rankings, at least `DEEP` documents deeper than the longest entry of `out`.
            words: BM25's rankings, of the same depth.
            out: for each query, the rows of the documents that are removed from the corpus.
        """
        rows_QK, top_QK = _without(top, out, DEEP)
        words_rows_QW, words_QW = _without(words, out, DEEP)
        nearest_QK = rows_QK[:, :NEAR]
        crowd, neighbour = self._crowds(nearest_QK)
        pairs_Q, second_Q, squared_Q = self._pairs(queries_QD, nearest_QK)
        same_QW = words_rows_QW == rows_QK[:, :1]
        place_Q = np.where(same_QW.any(1), same_QW.argmax(1), DEEP)
        words_QW = np.where(words_rows_QW >= 0, words_QW, 0.0)
        there_Q = np.minimum(place_Q, DEEP - 1)
        words_top_Q = np.where(place_Q < DEEP, words_QW[np.arange(len(rows_QK)), there_Q], 0.0)
        mean_Q, deviation_Q, skewness_Q = self._moments(queries_QD, out)
        shared = [
            len(set(a[a >= 0].tolist()) & set(b[b >= 0].tolist()))
            for a, b in zip(nearest_QK, words_rows_QW[:, :NEAR], strict=True)
        ]
        return Evidence(
            documents=self._vectors.shape[0],
            dimension=self._vectors.shape[1],
            top_QK=_filled(top_QK),
            mean_Q=mean_Q,
            deviation_Q=deviation_Q,
            skewness_Q=skewness_Q,
            squared_Q=squared_Q,
            crowd_QK=crowd,
            neighbour_Q=neighbour,
            pairs_Q=pairs_Q,
            second_Q=second_Q,
            words_QW=words_QW,
            words_top_Q=words_top_Q,
            words_place_Q=place_Q.astype(np.float64),
            shared_Q=np.array(shared, dtype=np.float64),
        )

    def _crowds(self, rows_QK: Rows) -> tuple[Doubles, Doubles]:
        """Return each document's mean similarity to its nearest documents, and that of the first to its nearest."""
        distinct_U, which = np.unique(np.maximum(rows_QK, 0), return_inverse=True)
        keep = min(NEAR, self._vectors.shape[0] - 1)
        with quietly():
            found = search(
                self._vectors.rows(distinct_U), self._vectors, keep, self._similarity, exclude=distinct_U
            ).scores.astype(np.float64)
        which_QK = which.reshape(rows_QK.shape)
        return found.mean(1)[which_QK], found[:, 0][which_QK[:, 0]]

    def _pairs(self, queries_QD: npt.NDArray[np.float32], rows_QK: Rows) -> tuple[Doubles, Doubles, Doubles]:
        """Return the mean similarity among the top documents, that of the first two, and the squared distance."""
        variance = self._variance()
        parts = []
        for part in slices(len(rows_QK), _QUERIES):
            rows = np.maximum(rows_QK[part, :_PAIRS], 0)
            best_PKD = self._vectors.rows(rows.ravel()).reshape(*rows.shape, -1).astype(np.float64)
            pairs_PKK = _similarities(best_PKD, best_PKD, self._similarity)
            k = rows.shape[1]
            others = pairs_PKK.sum((1, 2)) - np.einsum("pkk->p", pairs_PKK)
            squared = np.square(queries_QD[part].astype(np.float64) - best_PKD[:, 0]).sum(1) / variance
            parts.append(np.stack([others / max(1, k * (k - 1)), pairs_PKK[:, 0, min(1, k - 1)], squared]))
        mean_Q, second_Q, squared_Q = np.concatenate(parts, axis=1)
        return mean_Q, second_Q, squared_Q

    def _variance(self) -> float:
        """Return the mean over dimensions of the documents' variance."""
        total, squares, count = np.zeros(self._vectors.shape[1]), 0.0, self._vectors.shape[0]
        for part in slices(count, _DOCUMENTS):
            block = self._vectors.block(part.start, part.stop).astype(np.float64)
            total += block.sum(0)
            squares += float(np.square(block).sum())
        return max((squares / count - float(np.square(total / count).sum())) / self._vectors.shape[1], 1e-30)

    def _moments(self, queries_QD: npt.NDArray[np.float32], out: Sequence[Rows]) -> tuple[Doubles, Doubles, Doubles]:
        """Return mean, deviation and skewness of each query's similarities to the documents that are not removed."""
        count, sums_3Q = self._vectors.shape[0], np.zeros((3, len(queries_QD)))
        first = self._vectors.block(0, min(count, _DOCUMENTS))
        # Subtracting a value close to the mean keeps the powers small, and so exact.
        near_Q = np.concatenate([one.mean(1) for _, one in self._blocks(queries_QD, first)])
        for start in slices(count, _DOCUMENTS):
            block = self._vectors.block(start.start, start.stop)
            for part, similar in self._blocks(queries_QD, block):
                _add(sums_3Q[:, part], similar - near_Q[part, None], 1)
        for query, rows in enumerate(out):
            if len(rows):
                similar = _similarities(queries_QD[query][None], self._vectors.rows(rows), self._similarity)
                _add(sums_3Q[:, query : query + 1], similar - near_Q[query], -1)
        left_Q = count - np.array([len(rows) for rows in out])
        first_Q, second_Q, third_Q = np.asarray(sums_3Q / left_Q)
        variance_Q = np.maximum(second_Q - first_Q**2, 1e-30)
        skewness_Q = (third_Q - 3 * first_Q * second_Q + 2 * first_Q**3) / variance_Q**1.5
        return near_Q + first_Q, np.sqrt(variance_Q), skewness_Q

    def _blocks(
        self, queries_QD: npt.NDArray[np.float32], block_BD: npt.NDArray[np.float32]
    ) -> Iterator[tuple["slice[int, int, None]", Doubles]]:
        for part in slices(len(queries_QD), _QUERIES):
            yield part, _similarities(queries_QD[part], block_BD, self._similarity).astype(np.float64)


def _add(sums_3Q: Doubles, values_QB: Doubles, sign: int) -> None:
    sums_3Q[0] += sign * values_QB.sum(1)
    squares_QB = values_QB**2
    sums_3Q[1] += sign * squares_QB.sum(1)
    sums_3Q[2] += sign * np.einsum("qb,qb->q", squares_QB, values_QB)


def _similarities(left: npt.NDArray[Any], right: npt.NDArray[Any], similarity: str) -> npt.NDArray[Any]:
    """Return the similarities of all pairs of vectors, (..., A, D) and (..., B, D), in the arrays' own precision."""
    if similarity == "cosine":
        left, right = (x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-30) for x in (left, right))
    products = np.asarray(left @ np.swapaxes(right, -1, -2))
    if similarity != "euclidean":
        return products
    squares = np.square(left).sum(-1)[..., :, None] + np.square(right).sum(-1)[..., None, :] - 2 * products
    return np.asarray(-np.sqrt(np.maximum(squares, 0)))


def _without(top: TopK, out: Sequence[Rows], keep: int) -> tuple[Rows, Doubles]:
    """Return rows and scores of the `keep` best documents that are not removed; -1 and -inf fill short rankings."""
    rows_QK = np.full((len(top.rows), keep), -1)
    scores_QK = np.full((len(top.rows), keep), -np.inf)
    for query, taken in enumerate(out):
        stays = (top.rows[query] >= 0) & ~np.isin(top.rows[query], taken)
        rows, scores = top.rows[query][stays][:keep], top.scores[query][stays][:keep]
        rows_QK[query, : len(rows)], scores_QK[query, : len(rows)] = rows, scores
    return rows_QK, scores_QK


def _filled(scores_QK: Doubles) -> Doubles:
    """Replace missing scores by the lowest that is present."""
    lowest_Q = np.where(np.isfinite(scores_QK), scores_QK, np.inf).min(1, keepdims=True)
    return np.where(np.isfinite(scores_QK), scores_QK, lowest_Q)
