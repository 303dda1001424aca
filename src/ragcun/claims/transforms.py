"""What claims do to vectors, without training. Statistics are those of the documents.

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
    """Mean, variances (D,), the largest first, and principal axes (D, D), in columns, of the documents."""

    mean: npt.NDArray[np.float64]
    variances: npt.NDArray[np.float64]
    axes: npt.NDArray[np.float64]

    @classmethod
    def of(cls, documents_ND: Floats) -> "Axes":
        wide = documents_ND.astype(np.float64)
        variances, axes = principal_axes(centred(wide))
        return cls(wide.mean(0), np.maximum(variances, 1e-12), axes)


def spectral(pair: Pair, found: Axes, power: float, keep: int | None = None) -> Pair:
    """Centred, on the first principal axes, each divided by its deviation to the power: 0 is PCA, 1 whitening."""
    scale = found.variances[:keep] ** (-power / 2)
    queries, documents = (((x - found.mean) @ found.axes[:, :keep] * scale).astype(np.float32) for x in pair)
    return queries, documents


def off_the_mean(pair: Pair) -> Pair:
    """Unit vectors less their part along the documents' mean (Ren, Sun and Liang 2025, R2)."""
    queries, documents = (unit_rows(x.astype(np.float64)) for x in pair)
    mean = documents.mean(0)
    direction = mean / max(float(np.linalg.norm(mean)), 1e-12)
    out = [(x - np.outer(x @ direction, direction)).astype(np.float32) for x in (queries, documents)]
    return out[0], out[1]


def without_hubs(pair: Pair, neighbours: int = 10) -> Pair:
    """Vectors whose dot product is 2 cos(q, d) - r(d), r the mean cosine of d to its nearest documents (CSLS)."""
    queries, documents = (unit_rows(x.astype(np.float64)).astype(np.float32) for x in pair)
    count = len(documents)
    with quietly():
        near = search(documents, documents, min(neighbours, count - 1), "cosine", exclude=np.arange(count)).scores
    crowd = near.mean(1, keepdims=True)
    return np.hstack([2 * queries, np.ones((len(queries), 1), np.float32)]), np.hstack([documents, -crowd])


def rotated(pair: Pair, seed: int = 0) -> Pair:
    """Centred on the documents' mean, and turned by a random rotation."""
    queries, documents = pair
    mean = documents.mean(0)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((documents.shape[1],) * 2))[0].astype(np.float32)
    return (queries - mean) @ turn, (documents - mean) @ turn


def one_bit(documents_ND: Floats) -> Floats:
    """Sign bits, scaled so that the product with the vector itself is its squared length (RaBitQ's correction)."""
    signs = np.where(documents_ND >= 0, np.float32(1), np.float32(-1))
    scale = np.square(documents_ND).sum(1) / np.maximum(np.abs(documents_ND).sum(1), 1e-12)
    return np.asarray(signs * scale[:, None], dtype=np.float32)


def signs(pair: Pair) -> Pair:
    """Sign bits of both sides, whose dot product ranks as the Hamming distance does."""
    queries, documents = (np.where(x >= 0, np.float32(1), np.float32(-1)) for x in pair)
    return queries, documents
