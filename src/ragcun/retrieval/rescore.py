"""Final scores of candidates, computed from the vectors in float64 and rounded to float32.

Q queries, N documents, D dimensions, K candidates of a query, P pairs of query and candidate.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from ragcun.retrieval.matrices import Matrix
from ragcun.retrieval.topk import EMPTY, Floats, Keys, Rows, pack
from ragcun.slices import Slice, slices

_IN_CACHE = 128  # pairs whose vectors are converted to float64 at a time
_FEW = 256  # the minimum number of documents of a task
_TASKS = 16  # the minimum number of tasks, if there are enough documents, so that all cores are used

_Doubles = npt.NDArray[np.float64]


def rescored(
    queries_QD: Floats,
    documents: Matrix,
    rows_QK: Rows,
    similarity: str,
    id_ranks: Rows,
    vectors: int,
    pool: ThreadPoolExecutor,
) -> Keys:
    """Return the keys of the candidates, (Q, K); `EMPTY` if the row is -1.

    Each document is read once, in the corpus' order, at most `vectors` by a thread at a time. If many queries have the
    same candidates, a head is therefore applied only once to each document.
    """
    query_P, slot_P = np.nonzero(rows_QK >= 0)
    order = np.argsort(rows_QK[query_P, slot_P], kind="stable")
    query_P, slot_P = query_P[order], slot_P[order]
    rows_P = rows_QK[query_P, slot_P]
    distinct_N, first_N, counts_N = np.unique(rows_P, return_index=True, return_counts=True)
    size = min(vectors, max(_FEW, -(-len(distinct_N) // _TASKS)))

    def scores(part: Slice) -> Floats:
        read_ND = documents.rows(distinct_N[part])
        inside = np.repeat(np.arange(len(read_ND)), counts_N[part])
        first = first_N[part.start]
        asked = query_P[first : first + len(inside)]
        parts = slices(len(asked), _IN_CACHE)
        return np.concatenate([_scores(queries_QD[asked[p]], read_ND[inside[p]], similarity) for p in parts])

    scores_P = np.concatenate([np.empty(0, np.float32), *pool.map(scores, slices(len(distinct_N), size))])
    keys_QK = np.full(rows_QK.shape, EMPTY)
    keys_QK[query_P, slot_P] = pack(scores_P, id_ranks[rows_P])
    return keys_QK


def _scores(a: Floats, b: Floats, similarity: str) -> Floats:
    a_PD, b_PD = a.astype(np.float64), b.astype(np.float64)
    if similarity == "euclidean":
        a_PD -= b_PD
        scores_P = -np.sqrt(_dot(a_PD, a_PD))
    elif similarity == "dot":
        scores_P = _dot(a_PD, b_PD)
    else:
        lengths_P = np.sqrt(_dot(a_PD, a_PD) * _dot(b_PD, b_PD))
        scores_P = np.divide(_dot(a_PD, b_PD), lengths_P, out=np.zeros(len(a_PD)), where=lengths_P > 0)
    return scores_P.astype(np.float32)


def _dot(a_PD: _Doubles, b_PD: _Doubles) -> _Doubles:
    return np.asarray(np.einsum("pd,pd->p", a_PD, b_PD))
