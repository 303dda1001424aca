"""Vectors whose inner products in float32 rank the documents of a query.

Q queries, B documents of a block, D dimensions.
"""

import math

import numpy as np

from ragcun.errors import RagcunError
from ragcun.retrieval.matrices import Matrix
from ragcun.retrieval.topk import Floats

_SAMPLE = 1_024


class InnerProducts:
    """Vectors whose inner products rank the documents of a query as `similarity` does.

    A point near the documents' mean is subtracted from every document. This changes all scores of a query by the same
    amount, and small numbers have small rounding errors. The point is rounded, so that whole numbers stay whole and
    exact ties stay exact.
    """

    def __init__(self, similarity: str, documents: Matrix) -> None:
        self._similarity = similarity
        self._documents = documents
        sample_BD = self._scaled(documents.block(0, min(_SAMPLE, documents.shape[0])), 0)
        mean_D = sample_BD.mean(0)
        spread = float(np.sqrt(np.square(sample_BD - mean_D).mean()))
        step = 2.0 ** math.floor(math.log2(max(spread, 1e-12)))
        self._centre_D = (np.round(mean_D / step) * step).astype(np.float32)

    def queries(self, queries_QD: Floats) -> Floats:
        """Return the queries' vectors, (Q, D) or (Q, D + 1)."""
        if self._similarity != "euclidean":
            return queries_QD
        return np.pad(queries_QD - self._centre_D, ((0, 0), (0, 1)), constant_values=1)

    def documents(self, start: int, stop: int) -> Floats:
        """Return the vectors of the documents start .. stop-1, as wide as those of the queries."""
        block_BD = self._scaled(self._documents.block(start, stop), start)
        if self._similarity != "euclidean":
            return np.asarray(block_BD - self._centre_D)
        wide = np.empty((len(block_BD), block_BD.shape[1] + 1), np.float32)
        moved_BD = np.subtract(block_BD, self._centre_D, out=wide[:, :-1])
        wide[:, -1] = -squares(moved_BD, "document", start) / 2  # q.d - |d|^2 / 2
        return wide

    def _scaled(self, block_BD: Floats, start: int) -> Floats:
        squares_B = squares(block_BD, "document", start)
        if self._similarity != "cosine":
            return block_BD
        return np.divide(block_BD, np.sqrt(np.maximum(squares_B, np.float32(1e-30)))[:, None], dtype=np.float32)


def squares(vectors_BD: Floats, kind: str, start: int) -> Floats:
    """Return squared lengths. Raises `RagcunError` with the row if one is not finite."""
    squares_B = np.asarray(np.einsum("bd,bd->b", vectors_BD, vectors_BD), dtype=np.float32)
    wrong = np.flatnonzero(~np.isfinite(squares_B))
    if len(wrong):
        raise RagcunError(f"{kind} row {start + wrong[0]}: its vector is NaN, infinite or too long to compare")
    return squares_B
