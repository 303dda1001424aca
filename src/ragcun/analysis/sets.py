"""The embeddings of a collection, and their views: documents, queries, and both."""

from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ragcun.analysis import isotropy
from ragcun.analysis.isotropy import Floats
from ragcun.analysis.pairs import Pairs
from ragcun.analysis.view import View
from ragcun.errors import UserError

_NO_PAIRS = np.empty((0, 2), dtype=np.int64)


class Sizes(NamedTuple):
    """The numbers of documents, queries and dimensions."""

    documents: int
    queries: int
    judged: int
    dimension: int


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings of a sample of a collection.

    Attributes:
        documents: the embeddings of a random sample of documents, (N, D).
        queries: the embeddings of queries, (Q, D); none if only documents are measured.
        judged: the embeddings of relevant documents outside the sample, (M, D), which are only compared with queries.
        relevant_P2: for each relevant pair, the row of the query, and of the document in `documents` and `judged`.
    """

    documents: npt.NDArray[np.floating]
    queries: npt.NDArray[np.floating] | None = None
    judged: npt.NDArray[np.floating] | None = None
    relevant_P2: npt.NDArray[np.int64] = field(default_factory=_NO_PAIRS.copy)

    @classmethod
    def gaussian(cls, sizes: Sizes, seed: int) -> Self:
        """Draw a sample of N(0, I) of these sizes, with a random relevant document for each query."""
        generator = np.random.default_rng((seed, 2))
        documents, queries, judged = (
            generator.standard_normal((rows, sizes.dimension), dtype=np.float32) for rows in sizes[:3]
        )
        answers_Q = generator.integers(sizes.documents, size=sizes.queries)
        relevant_P2 = np.stack([np.arange(sizes.queries), answers_Q], axis=1)
        return cls(documents, queries if sizes.queries else None, judged, relevant_P2)

    @property
    def sizes(self) -> Sizes:
        """The sizes of the embeddings."""
        queries, judged = (0 if some is None else len(some) for some in (self.queries, self.judged))
        return Sizes(len(self.documents), queries, judged, self.documents.shape[1])

    def views(self, seed: int) -> list[View]:
        """Return views of the documents and, if there are queries, of the queries and of both.

        Raises `UserError` for fewer than 2 rows or columns, NaN or infinity.
        """
        if self.queries is None:
            return [View(self.documents, seed)]
        documents_ND, queries_QD = isotropy.as_matrix(self.documents), isotropy.as_matrix(self.queries)
        if documents_ND.shape[1] != queries_QD.shape[1]:
            raise UserError(f"documents of {documents_ND.shape[1]} dimensions, but queries of {queries_QD.shape[1]}")
        stable_DD = _pooled_covariance(documents_ND, queries_QD)
        found_MD = documents_ND
        if self.judged is not None and len(self.judged):
            found_MD = np.concatenate([documents_ND, self.judged])
        pairs = Pairs.compare(queries_QD, found_MD, self.relevant_P2, seed)
        both_ND = np.concatenate([documents_ND, queries_QD])
        return [
            View(documents_ND, seed, "documents", stable_DD=stable_DD),
            View(queries_QD, seed, "queries", stable_DD=stable_DD),
            View(both_ND, seed, "both", len(queries_QD), stable_DD, pairs),
        ]


def _pooled_covariance(*parts: Floats) -> Floats:
    """Return the covariance of all rows, centred about the means of their parts."""
    centred_ND = np.concatenate([isotropy.centred(part_ND) for part_ND in parts])
    covariance_DD: Floats = centred_ND.T @ centred_ND / (len(centred_ND) - len(parts))
    return covariance_DD
