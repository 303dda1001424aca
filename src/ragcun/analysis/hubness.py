"""Hubness: the unevenness with which rows occur among the nearest neighbours of other rows."""

import numpy as np
import numpy.typing as npt

from ragcun.analysis.isotropy import Floats
from ragcun.console import quietly
from ragcun.retrieval.search import search

NEIGHBOURS = 10


def k_occurrences(embeddings_ND: Floats, k: int = NEIGHBOURS) -> npt.NDArray[np.int64]:
    """Count the rows that have each row among their k nearest by Euclidean distance, (N,); the mean is k.

    With fewer rows, k is N - 1.
    """
    count = len(embeddings_ND)
    rows_ND = np.ascontiguousarray(embeddings_ND, dtype=np.float32)
    with quietly():
        found = search(rows_ND, rows_ND, min(k, count - 1), "euclidean", exclude=np.arange(count))
    return np.bincount(found.rows.ravel(), minlength=count)


def skewness(occurrences_N: npt.NDArray[np.int64]) -> float:
    """Return the third standardised moment of k-occurrences; 0 if all are equal.

    Radovanović, Nanopoulos and Ivanović 2010 (JMLR 11), equation 1.
    """
    deviations_N = occurrences_N - occurrences_N.mean()
    spread = float(np.sqrt((deviations_N**2).mean()))
    return float((deviations_N**3).mean()) / spread**3 if spread > 0 else 0.0


def robin_hood(occurrences_N: npt.NDArray[np.int64]) -> float:
    """Return the share of k-occurrences that would have to be moved until all rows have equally many, 0 to 1.

    Hoover's index, as Feldbauer et al. 2018 (ICBK) use it.
    """
    return float(np.abs(occurrences_N - occurrences_N.mean()).sum() / (2 * occurrences_N.sum()))
