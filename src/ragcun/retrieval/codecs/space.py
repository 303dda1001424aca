"""The coordinates in which documents are coded: a model's own, or its principal components, rotated at random.

N documents, Q queries, b dimensions of the model, k that are coded.

A document is coded as y = (x - mean) T and a query is u = q T, T (b, k) being the first k principal directions, divided
by their standard deviations to a power, times a random rotation. u.y is q.x less what is the same for all documents and
less what the directions left out hold, so that at power 0 inner products of queries with codes rank as the model's own
similarity does; a vector is divided by its length first where that is the cosine. Where it is the Euclidean distance,
or where whitening has made lengths unequal, it is |u - mean T - y|.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragcun.errors import UserError
from ragcun.heads.spectrum import Spectrum, spectrum
from ragcun.retrieval.matrices import Matrix
from ragcun.retrieval.topk import Floats

SAMPLE = 65_536  # documents from which a codec is fitted, evenly spaced


@dataclass(frozen=True)
class Space:
    """The coordinates, and how they are compared.

    Attributes:
        unit: whether vectors are divided by their length first.
        similarity: "dot" or "euclidean", of queries' and documents' coordinates.
        mean: (b,), taken from documents; None: nothing is.
        transform: (b, k); None: the model's own coordinates.
        power: the power of whitening.
    """

    unit: bool
    similarity: str
    mean: Floats | None
    transform: Floats | None
    power: float = 0.0

    def documents(self, vectors_Nb: Floats) -> Floats:
        """Coordinates of documents, (N, k)."""
        moved_Nb = self._prepared(vectors_Nb)
        if self.mean is not None:
            moved_Nb = moved_Nb - self.mean
        return moved_Nb if self.transform is None else np.ascontiguousarray(moved_Nb @ self.transform)

    def queries(self, vectors_Qb: Floats) -> Floats:
        """Coordinates of queries, (Q, k)."""
        moved_Qb = self._prepared(vectors_Qb)
        if self.mean is not None and self.similarity == "euclidean":
            moved_Qb = moved_Qb - self.mean
        return moved_Qb if self.transform is None else np.ascontiguousarray(moved_Qb @ self.transform)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """What it consists of besides its attributes' words, by name."""
        return {
            name: value for name, value in (("mean", self.mean), ("transform", self.transform)) if value is not None
        }

    def _prepared(self, vectors: Floats) -> Floats:
        if not self.unit:
            return vectors
        lengths = np.sqrt(np.einsum("nb,nb->n", vectors, vectors))[:, None]
        return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0))


def sample(documents: Matrix, size: int = SAMPLE) -> Floats:
    """At most `size` documents, evenly spaced."""
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
    """The coordinates of documents of which `sample_Nb` is a sample.

    Args:
        sample_Nb: (N, b).
        similarity: the model's: "cosine", "dot" or "euclidean".
        dims: the first principal components that are kept; None: all dimensions as they are.
        rotate: whether the components are rotated at random.
        power: of the standard deviations by which components are divided, 0 to 1.
        centred: whether the mean is taken from documents even where `dims` and `power` do not ask for it.

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
    """(b, kept): the first principal directions over the standard deviations to the power."""
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
    """A random rotation, (d, d), the same for every codec of d dimensions: Haar's, by QR (Mezzadri 2007)."""
    drawn = np.random.default_rng(dimension).standard_normal((dimension, dimension))
    q, r = np.linalg.qr(drawn)
    return np.asarray(q * np.sign(np.diag(r)), dtype=np.float32)
