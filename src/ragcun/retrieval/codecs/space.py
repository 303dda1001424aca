"""The coordinates in which documents are coded: a model's own, or its principal components, rotated at random.

N documents, Q queries, b dimensions of the model, k that are coded.

A document x is coded as y = (x - mean) T, and a query q is mapped to u = q T. T (b, k) is the first k principal
directions, divided by their standard deviations to a power, times a random rotation. u.y is q.x minus a term that is
the same for all documents and minus the part along the directions that are left out. With power 0, inner products of
queries with codes therefore rank like the model's own similarity; for cosine, vectors are normalised first. For
Euclidean distance, or with a power above 0, |u - mean T - y| is used.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragcun.errors import UserError
from ragcun.heads.spectrum import Spectrum, spectrum
from ragcun.retrieval.matrices import Matrix
from ragcun.retrieval.topk import Floats

SAMPLE = 65_536  # the maximum number of documents to which a codec is fitted, evenly spaced


@dataclass(frozen=True)
class Space:
    """The coordinates, and their similarity.

    Attributes:
        unit: whether vectors are normalised first.
        similarity: the similarity of queries' and documents' coordinates, "dot" or "euclidean".
        mean: the mean that is subtracted from documents, (b,); None for no mean.
        transform: the transform T, (b, k); None for the model's own coordinates.
        power: the whitening power.
    """

    unit: bool
    similarity: str
    mean: Floats | None
    transform: Floats | None
    power: float = 0.0

    def documents(self, vectors_Nb: Floats) -> Floats:
        """Return the coordinates of documents, (N, k)."""
        moved_Nb = self._prepared(vectors_Nb)
        if self.mean is not None:
            moved_Nb = moved_Nb - self.mean
        return moved_Nb if self.transform is None else np.ascontiguousarray(moved_Nb @ self.transform)

    def queries(self, vectors_Qb: Floats) -> Floats:
        """Return the coordinates of queries, (Q, k)."""
        moved_Qb = self._prepared(vectors_Qb)
        if self.mean is not None and self.similarity == "euclidean":
            moved_Qb = moved_Qb - self.mean
        return moved_Qb if self.transform is None else np.ascontiguousarray(moved_Qb @ self.transform)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the tensors of the space, by name."""
        return {
            name: value for name, value in (("mean", self.mean), ("transform", self.transform)) if value is not None
        }

    def _prepared(self, vectors: Floats) -> Floats:
        if not self.unit:
            return vectors
        lengths = np.sqrt(np.einsum("nb,nb->n", vectors, vectors))[:, None]
        return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0))


def sample(documents: Matrix, size: int = SAMPLE) -> Floats:
    """Return at most `size` documents, evenly spaced."""
    count = documents.shape[0]
    return documents.rows(np.unique(np.linspace(0, count - 1, min(size, count)).round().astype(np.int64)))


def fit_space(
    sample_Nb: Floats,
    similarity: str,
    dims: int | None,
    rotate: bool,
    power: float | Literal["auto"],
    centred: bool,
) -> Space:
    """Fit the coordinates to a sample of documents.

    Args:
        sample_Nb: the sample, (N, b).
        similarity: the model's similarity: "cosine", "dot" or "euclidean".
        dims: the number of leading principal components to keep; None keeps all dimensions without PCA.
        rotate: whether the components are rotated at random.
        power: the power of the standard deviations by which components are divided, 0 to 1.
        centred: whether the mean is subtracted even if `dims` and `power` do not require it.

    Raises:
        UserError: there are more `dims` than dimensions, or a component that would be whitened has no variance.
    """
    base = sample_Nb.shape[1]
    if dims is not None and dims > base:
        raise UserError(f"codec: {dims} dimensions are more than the {base} of the model's vectors")
    unit = similarity == "cosine"
    compared = "dot" if similarity == "cosine" else similarity
    plain = Space(unit, compared, None, None)
    turned = rotation(dims or base) if rotate else None
    if dims is None and power == 0:
        mean = plain.documents(sample_Nb).mean(axis=0, dtype=np.float64).astype(np.float32) if centred else None
        return Space(unit, compared, mean, turned)
    found = spectrum(plain.documents(sample_Nb))
    kept = dims or base
    used = found.auto_power(kept) if power == "auto" else power
    transform = _directions(found, kept, used)
    if turned is not None:
        transform = transform @ turned
    if used > 0 and similarity == "cosine":
        compared = "euclidean"
    return Space(unit, compared, found.mean.astype(np.float32), transform.astype(np.float32), used)


def _directions(found: Spectrum, kept: int, power: float) -> npt.NDArray[np.float64]:
    """Return the first principal directions, divided by the standard deviations to the power, (b, kept)."""
    directions = found.directions[:kept]
    if power == 0:
        return directions.T
    variances = found.variances[:kept]
    if not variances[-1] > 1e-10 * variances[0]:
        rank = int((found.variances > 1e-10 * found.variances[0]).sum())
        raise UserError(
            f"codec: {found.rows:,} documents span only {rank} dimensions, so no {kept} can be whitened; give fewer "
            "dimensions, or power 0"
        )
    return (directions / variances[:, None] ** (power / 2)).T


def rotation(dimension: int) -> Floats:
    """Return a random rotation from the Haar measure (Mezzadri 2007), (d, d), which depends only on d."""
    drawn = np.random.default_rng(dimension).standard_normal((dimension, dimension))
    q, r = np.linalg.qr(drawn)
    return np.asarray(q * np.sign(np.diag(r)), dtype=np.float32)
