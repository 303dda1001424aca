"""Transformations of vectors without training. Their statistics are estimated on the documents.

Q queries, N documents, D dimensions.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragcun.analysis.isotropy import centred, principal_axes, unit_rows
from ragcun.console import quietly
from ragcun.retrieval.search import search

Floats = npt.NDArray[np.float32]
Pair = tuple[Floats, Floats]  # of queries and documents


@dataclass(frozen=True)
class Axes:
    """Mean (D,), variances (D,) in descending order and principal axes (D, D), one per column, of the documents."""

    mean: npt.NDArray[np.float64]
    variances: npt.NDArray[np.float64]
    axes: npt.NDArray[np.float64]

    @classmethod
    def of(cls, documents_ND: Floats) -> "Axes":
        wide = documents_ND.astype(np.float64)
        variances, axes = principal_axes(centred(wide))
        return cls(wide.mean(0), np.maximum(variances, 1e-12), axes)


def spectral(pair: Pair, found: Axes, power: float, keep: int | None = None) -> Pair:
    """Project centred vectors on the first axes and divide by deviation**power: 0 is PCA, 1 is whitening."""
    scale = found.variances[:keep] ** (-power / 2)
    queries, documents = (((x - found.mean) @ found.axes[:, :keep] * scale).astype(np.float32) for x in pair)
    return queries, documents


def off_the_mean(pair: Pair) -> Pair:
    """Remove from unit vectors their component along the documents' mean (Ren, Sun and Liang 2025, R2)."""
    queries, documents = (unit_rows(x.astype(np.float64)) for x in pair)
    mean = documents.mean(0)
    direction = mean / max(float(np.linalg.norm(mean)), 1e-12)
    out = [(x - np.outer(x @ direction, direction)).astype(np.float32) for x in (queries, documents)]
    return out[0], out[1]


def without_hubs(pair: Pair, neighbours: int = 10) -> Pair:
    """Return vectors with the dot product 2 cos(q, d) - r(d); r is d's mean cosine to its neighbours (CSLS)."""
    queries, documents = (unit_rows(x.astype(np.float64)).astype(np.float32) for x in pair)
    count = len(documents)
    with quietly():
        near = search(documents, documents, min(neighbours, count - 1), "cosine", exclude=np.arange(count)).scores
    crowd = near.mean(1, keepdims=True)
    return np.hstack([2 * queries, np.ones((len(queries), 1), np.float32)]), np.hstack([documents, -crowd])


def rotated(pair: Pair, seed: int = 0) -> Pair:
    """Centre vectors on the documents' mean and rotate them at random."""
    queries, documents = pair
    mean = documents.mean(0)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((documents.shape[1],) * 2))[0].astype(np.float32)
    return (queries - mean) @ turn, (documents - mean) @ turn


def one_bit(documents_ND: Floats) -> Floats:
    """Return sign bits, scaled so that their product with the vector is its squared length (as in RaBitQ)."""
    signs = np.where(documents_ND >= 0, np.float32(1), np.float32(-1))
    scale = np.square(documents_ND).sum(1) / np.maximum(np.abs(documents_ND).sum(1), 1e-12)
    return np.asarray(signs * scale[:, None], dtype=np.float32)


def signs(pair: Pair) -> Pair:
    """Return sign bits of queries and documents; their dot product ranks as the Hamming distance does."""
    queries, documents = (np.where(x >= 0, np.float32(1), np.float32(-1)) for x in pair)
    return queries, documents
