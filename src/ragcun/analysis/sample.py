"""The sample of a collection that is embedded and measured."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragcun.analysis.geometry import sample_rows
from ragcun.data.collection import Collection

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of a collection.

    Attributes:
        documents: the rows of the measured documents, (N,), ascending.
        judged: the rows of relevant documents that are not among them, (M,), ascending.
        queries: the rows of the queries, (Q,), ascending.
        asked: the number of queries before sampling.
        relevant_P2: for each relevant pair, the position of the query in `queries`, and of the document in `documents`
            and `judged` together.
    """

    documents: Rows
    judged: Rows
    queries: Rows
    asked: int
    relevant_P2: Rows


def draw_sample(collection: Collection, size: int, seed: int, split: str | None = None) -> Sample:
    """Draw at most `size` documents and `size` queries of `split`, or of all queries for None.

    Raises `UserError` if there is no such split.
    """
    documents = sample_rows(len(collection.corpus), size, seed)
    pairs_P2 = np.concatenate(
        [
            np.empty((0, 2), np.int64),
            *(_relevant(collection, name) for name in ([split] if split else collection.splits())),
        ]
    )
    asked = np.arange(len(collection.queries)) if split is None else np.unique(collection.judgements(split).query_rows)
    queries = asked[sample_rows(len(asked), size, seed)]
    pairs_P2 = np.unique(pairs_P2[np.isin(pairs_P2[:, 0], queries)], axis=0)
    judged = np.setdiff1d(pairs_P2[:, 1], documents)
    embedded = np.concatenate([documents, judged])
    order = np.argsort(embedded)
    answers_P = order[np.searchsorted(embedded, pairs_P2[:, 1], sorter=order)]
    relevant_P2 = np.stack([np.searchsorted(queries, pairs_P2[:, 0]), answers_P], axis=1)
    return Sample(documents, judged, queries, len(asked), relevant_P2)


def _relevant(collection: Collection, split: str) -> Rows:
    judgements = collection.judgements(split)
    kept_P = (judgements.grades > 0) & (judgements.document_rows >= 0)
    return np.stack([judgements.query_rows[kept_P], judgements.document_rows[kept_P]], axis=1)
