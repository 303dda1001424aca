"""Search by several processes: each searches a part of the documents, and all get the merged result.

Q queries, N documents, K documents of a result.
"""

import hashlib
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ragcun.distributed.collectives import gather_arrays, process_count, process_rank
from ragcun.errors import RagcunError
from ragcun.retrieval.matrices import Matrix
from ragcun.retrieval.memory import Resources
from ragcun.retrieval.search import search
from ragcun.retrieval.topk import EMPTY, Floats, Rows, TopK, best, inverse, pack, to_rows


def distributed_search(
    queries: Matrix,
    documents: Matrix,
    k: int,
    similarity: str,
    *,
    id_ranks: Rows,
    exclude: Rows,
    resources: Resources,
) -> TopK:
    """Search as `search.search`, by all processes of the group or, without a group, by this process alone.

    The arguments are the same, and must be equal on all processes; the resources are those of each process. A process
    reads only its part of the documents.

    Raises:
        RagcunError: the processes were given different searches.
    """
    if process_count() == 1:
        return search(queries, documents, k, similarity, id_ranks=id_ranks, exclude=exclude, resources=resources)
    (n_queries, _), n_documents = queries.shape, documents.shape[0]
    _agree(f"{similarity} {k} {documents.shape}", queries.block(0, n_queries), id_ranks, exclude)
    start, stop = (n_documents * (process_rank() + end) // process_count() for end in (0, 1))
    keys_QK = np.full((n_queries, k), EMPTY)
    if start < stop:
        mine = id_ranks[start:stop]
        kept = resources.checkpoints
        top = search(
            queries,
            _Part(documents, start, stop),
            k,
            similarity,
            id_ranks=inverse(np.argsort(mine)),
            exclude=np.where((exclude >= start) & (exclude < stop), exclude - start, -1),
            resources=replace(
                resources, checkpoints=kept and replace(kept, documents=f"{kept.documents} {start}-{stop}")
            ),
        )
        keys_QK = np.where(top.rows < 0, EMPTY, pack(top.scores, mine[top.rows]))
    return to_rows(best(np.concatenate(gather_arrays(keys_QK), axis=1), k), id_ranks)


class _Part:
    """The documents start .. stop-1 as a `Matrix`."""

    def __init__(self, documents: Matrix, start: int, stop: int) -> None:
        self._documents = documents
        self._start = start
        self.shape = (stop - start, documents.shape[1])

    def block(self, start: int, stop: int, /) -> Floats:
        return self._documents.block(self._start + start, self._start + stop)

    def rows(self, index: Rows, /) -> Floats:
        return self._documents.rows(self._start + index)


def _agree(settings: str, *arrays: npt.NDArray[np.generic]) -> None:
    """Raise if the processes search differently, as after a failure in one of them; such results must not be merged."""
    digest = hashlib.sha256(settings.encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    digests = gather_arrays(np.frombuffer(digest.digest(), np.int64))
    if any((other != digests[0]).any() for other in digests):
        raise RagcunError("the processes were given different searches; nothing was merged")
