"""Distances of queries to relevant, retrieved and random documents, and the alignment of relevant pairs.

Shapes: Q queries, M documents, P relevant pairs, K retrieved documents of a query.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ragcun.analysis.isotropy import Floats, unit_rows
from ragcun.console import quietly
from ragcun.retrieval.search import search

RETRIEVED = 10
_RANDOM = 10  # random documents per query

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Euclidean distances of queries and documents.

    Attributes:
        judged_P: the query of each relevant pair.
        relevant_P: the distances of relevant pairs.
        aligned_P: the squared distances of relevant pairs of normalised vectors.
        retrieved_QK: the distances of each query's nearest documents, ascending.
        random_QR: the distances of random documents.
    """

    judged_P: Rows
    relevant_P: Floats
    aligned_P: Floats
    retrieved_QK: Floats
    random_QR: Floats

    @classmethod
    def compare(cls, queries_QD: Floats, documents_MD: Floats, relevant_P2: Rows, seed: int) -> Self:
        """Compare queries with documents; `relevant_P2` has the rows of each relevant pair's query and document."""
        asked_P, answering_P = relevant_P2.T
        aligned_PD = unit_rows(queries_QD)[asked_P] - unit_rows(documents_MD)[answering_P]
        drawn_QR = np.random.default_rng((seed, 3)).integers(len(documents_MD), size=(len(queries_QD), _RANDOM))
        return cls(
            asked_P,
            np.linalg.norm(queries_QD[asked_P] - documents_MD[answering_P], axis=1),
            np.einsum("pd,pd->p", aligned_PD, aligned_PD),
            _nearest(queries_QD, documents_MD),
            _distances(queries_QD, documents_MD, drawn_QR),
        )

    def of(self, queries: Rows) -> "Pairs":
        """Return the distances of some queries, ascending."""
        kept_P = np.isin(self.judged_P, queries)
        return Pairs(
            np.searchsorted(queries, self.judged_P[kept_P]),
            self.relevant_P[kept_P],
            self.aligned_P[kept_P],
            self.retrieved_QK[queries],
            self.random_QR[queries],
        )

    @property
    def alignment(self) -> float | None:
        """Return the mean squared distance of relevant pairs of normalised vectors, 0 to 4.

        Wang and Isola 2020 (arXiv:2005.10242), section 4.1.1, with alpha = 2. None without relevant pairs.
        """
        return _mean(self.aligned_P)

    @property
    def relevant(self) -> float | None:
        """Return the mean distance of relevant pairs; None if there are none."""
        return _mean(self.relevant_P)

    @property
    def retrieved(self) -> float | None:
        """Return the mean distance of a query and its 10 nearest documents."""
        return _mean(self.retrieved_QK)

    @property
    def random(self) -> float | None:
        """Return the mean distance of a query and a random document."""
        return _mean(self.random_QR)

    def over_random(self, distance: float | None) -> float | None:
        """Divide a mean distance by that of random documents; None if there is none."""
        return distance / self.random if distance is not None and self.random else None


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None


def _nearest(queries_QD: Floats, documents_MD: Floats) -> Floats:
    """Return the distances of the nearest documents, (Q, K), which are found on vectors scaled to the range of fp32."""
    mean_D = documents_MD.mean(axis=0)
    scale = float(np.abs(documents_MD - mean_D).max()) or 1.0
    queries, documents = (
        np.ascontiguousarray((some_ND - mean_D) / scale, dtype=np.float32) for some_ND in (queries_QD, documents_MD)
    )
    with quietly():
        found = search(queries, documents, min(RETRIEVED, len(documents_MD)), "euclidean")
    return _distances(queries_QD, documents_MD, found.rows)


def _distances(queries_QD: Floats, documents_MD: Floats, rows_QK: Rows) -> Floats:
    return np.stack([np.linalg.norm(queries_QD - documents_MD[rows_Q], axis=1) for rows_Q in rows_QK.T], axis=1)
