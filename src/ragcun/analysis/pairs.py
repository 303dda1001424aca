"""Queries against documents: how far relevant, retrieved and random ones are, and how well relevant ones align.

Legend: Q queries, M documents, P relevant pairs, K retrieved documents of a query.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ragcun.analysis.isotropy import Floats, unit_rows
from ragcun.console import quietly
from ragcun.retrieval.search import search

RETRIEVED = 10
_RANDOM = 10  # random documents of each query

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """What queries have with documents, by Euclidean distance.

    Attributes:
        judged_P: the query of each relevant pair.
        relevant_P: the distances of relevant pairs.
        aligned_P: their squared distances after each vector was divided by its norm.
        retrieved_QK: the distances of each query's nearest documents, ascending.
        random_QR: those of random documents.
    """

    judged_P: Rows
    relevant_P: Floats
    aligned_P: Floats
    retrieved_QK: Floats
    random_QR: Floats

    @classmethod
    def compare(cls, queries_QD: Floats, documents_MD: Floats, relevant_P2: Rows, seed: int) -> Self:
        """Compare queries with documents; `relevant_P2` holds the rows of each relevant pair's query and document."""
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
        """The same of some queries, ascending."""
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
        """The mean squared distance of relevant pairs after each vector was divided by its norm, 0 to 4.

        Wang and Isola 2020 (arXiv:2005.10242), section 4.1.1, with alpha = 2. None where there are no relevant pairs.
        """
        return _mean(self.aligned_P)

    @property
    def relevant(self) -> float | None:
        """The mean distance of relevant pairs; None where there are none."""
        return _mean(self.relevant_P)

    @property
    def retrieved(self) -> float | None:
        """The mean distance of a query and its 10 nearest documents."""
        return _mean(self.retrieved_QK)

    @property
    def random(self) -> float | None:
        """The mean distance of a query and a random document."""
        return _mean(self.random_QR)

    def over_random(self, distance: float | None) -> float | None:
        """A mean distance over that of random documents; None where there is none."""
        return distance / self.random if distance is not None and self.random else None


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None


def _nearest(queries_QD: Floats, documents_MD: Floats) -> Floats:
    """Distances, (Q, K), of neighbours that are found on vectors of moderate size, which fp32 holds."""
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
