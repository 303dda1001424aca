"""Trellis-coded quantisation of principal components, with bits allocated by variance.

The first byte is the nearest of at most 256 centroids (k-means), and the other bytes code the principal components of
the residual. Components with more variance get more bits, at most 6, so that the sum of squared errors is minimal
("reverse water-filling"). The components with the same number of bits form a group. They are divided by their common
standard deviation, rotated at random, which makes them nearly Gaussian, and coded together. There is at most one
centroid for 16 documents, so that centroids cannot store a small corpus, and none if they do not reduce the error.

The bits of a group form one circular stream with b bits per coordinate. A coordinate's value is looked up by the last 8
bits of the stream, up to its own: it is one of 256 levels, of which the bits before leave 2^b to choose from (Marcellin
and Fischer 1990; the bitshift trellis of QTIP, arXiv 2406.11235). The codes with the least squared error are found by
Viterbi's algorithm, in two passes: the second pass fixes the bits at the ends to those that the first pass has found in
the middle, so that the stream closes. The error for N(0, 1) is in `DISTORTIONS`. That of a scalar quantiser is .363,
.1175, .0345 and .0095, and the lower bound is 2^-2b: .25, .0625, .0156 and .0039 (Shannon 1959).

Documents of length 1 are normalised again after decoding.

N vectors, k coordinates, c components that have bits, b bits of each, S = 256 states, B bytes, K centroids.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import faiss
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from ragcun.errors import UserError
from ragcun.heads.spectrum import spectrum
from ragcun.retrieval.codecs.codec import Codes
from ragcun.retrieval.codecs.space import rotation
from ragcun.retrieval.topk import Floats, Rows
from ragcun.slices import Slice, slices

DISTORTIONS = (1.0, 0.292, 0.0755, 0.0203, 0.0054, 0.0014, 0.0004)  # the error of N(0, 1) at 0, 1, ... 6 bits

_STATES = 256
# The level of a state is a factor times the Gaussian quantile at (state * multiplier) modulo 256.
_LEVELS = {1: (155, 0.95), 2: (67, 1.08), 3: (77, 1.14), 4: (207, 1.2), 5: (111, 1.3), 6: (95, 1.3)}
_STEP = 8  # the size of a group is a multiple of this, so that its stream fills whole bytes
_AT_ONCE = 256  # vectors that are encoded together
_CLOSED = np.float32(1e30)
_CENTROIDS = 256
_DOCUMENTS = 16  # the minimum number of documents per centroid

States = npt.NDArray[np.int64]


def levels(bits: int) -> Floats:
    """Return the value of each state, (S,)."""
    multiplier, factor = _LEVELS[bits]
    order = np.arange(_STATES) * multiplier % _STATES
    return np.asarray(factor * ndtri((order + 0.5) / _STATES), dtype=np.float32)


def shares(variances_k: npt.NDArray[np.float64], size: int) -> dict[int, int]:
    """Choose the numbers of components with 6, 5, ... 1 bits that minimise the error for `size` bytes in all.

    `variances_k` is descending. Each byte gives one more bit to eight components, to those whose error it lowers most.
    This greedy choice is optimal, because each further bit of a component lowers the error less than the one before.

    Raises `UserError` if the components cannot use so many bytes.
    """
    gains_SG = _gains(variances_k)
    if size > gains_SG.size:
        raise UserError(f"trellis{size}: {len(variances_k)} dimensions take at most {gains_SG.size} bytes")
    taken = np.argsort(-gains_SG, axis=None, kind="stable")[:size]
    bits_G = np.bincount(taken % gains_SG.shape[1], minlength=gains_SG.shape[1])
    return {bits: _STEP * count for bits in range(len(gains_SG), 0, -1) if (count := int((bits_G == bits).sum()))}


def _gains(variances_k: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the reduction of the squared error by the first, second, ... bit of eight components, (6, k // 8)."""
    most = len(variances_k) // _STEP
    of_groups_G = variances_k[: most * _STEP].reshape(most, _STEP).sum(axis=1)
    return np.asarray(-np.diff(DISTORTIONS)[:, None] * of_groups_G)


def _error(variances_k: npt.NDArray[np.float64], size: int) -> float:
    """Return the expected squared error with `size` bytes."""
    return float(variances_k.sum() - np.sort(_gains(variances_k), axis=None)[::-1][:size].sum())


@dataclass(frozen=True)
class _Group:
    """The components with the same number of bits: their positions among all components, and those of their bytes."""

    bits: int
    components: Slice
    bytes: Slice


class TrellisCodec:
    """The trellis codec.

    Args:
        mean: the mean of the documents, (k,).
        transform: the map to the rotated components of all groups, (k, c).
        scales: the standard deviation of each component, (c,).
        centroids: the centroids of the documents' components, (K, c); empty if there are none.
        rates: the number of components for each number of bits, in the order of the groups.
        distances: whether coordinates are compared by distance instead of inner product.
        unit: whether decoded documents are normalised.
    """

    def __init__(
        self,
        mean: Floats,
        transform: Floats,
        scales: Floats,
        centroids: Floats,
        rates: dict[int, int],
        distances: bool,
        unit: bool,
    ) -> None:
        self.mean, self.transform, self.scales, self.rates = mean, transform, scales, rates
        self.centroids, self.distances, self.unit = centroids, distances, unit
        self._groups = []
        component, byte = 0, int(len(centroids) > 0)
        for bits, count in rates.items():
            width = count * bits // 8
            self._groups.append(_Group(bits, slice(component, component + count), slice(byte, byte + width)))
            component, byte = component + count, byte + width
        self._mean_c = mean @ transform
        self._mean_square = float(mean @ mean)

    def encode(self, vectors_Nk: Floats, /) -> Codes:
        """Return codes, (N, B)."""
        codes_NB = np.empty((len(vectors_Nk), self._groups[-1].bytes.stop), np.uint8)
        for part in slices(len(vectors_Nk), _AT_ONCE):
            components_Nc = np.asarray((vectors_Nk[part] - self.mean) @ self.transform, dtype=np.float32)
            if len(self.centroids):
                halves_K = np.einsum("kc,kc->k", self.centroids, self.centroids) / 2
                codes_NB[part, 0] = nearest_N = (components_Nc @ self.centroids.T - halves_K).argmax(axis=1)
                components_Nc -= self.centroids[nearest_N]
            scaled_Nc = components_Nc / self.scales
            for group in self._groups:
                codes_NB[part, group.bytes] = _encode(scaled_Nc[:, group.components], group.bits)
        return codes_NB

    def decode(self, codes_NB: Codes, /) -> Floats:
        """Return the components and, unless distances are compared, a 1 for the mean, (N, c + 1).

        If documents have length 1, both are divided by the length of the decoded vector.
        """
        wide_NW = np.ones((len(codes_NB), len(self.scales) + (not self.distances)), np.float32)
        components_Nc = wide_NW[:, : len(self.scales)]
        for group in self._groups:
            components_Nc[:, group.components] = _decode(codes_NB[:, group.bytes], group.bits)
        components_Nc *= self.scales
        if len(self.centroids):
            components_Nc += self.centroids[codes_NB[:, 0]]
        if self.unit:
            squares_N = np.einsum("nc,nc->n", components_Nc, components_Nc)
            squares_N += 2 * (components_Nc @ self._mean_c) + np.float32(self._mean_square)
            wide_NW /= np.sqrt(np.maximum(squares_N, np.float32(1e-12)))[:, None]
        return wide_NW

    def queries(self, vectors_Qk: Floats, /) -> Floats:
        """Return the queries' components and, unless distances are compared, products with the mean, (Q, c + 1)."""
        if self.distances:
            return np.asarray((vectors_Qk - self.mean) @ self.transform)
        return np.concatenate([vectors_Qk @ self.transform, (vectors_Qk @ self.mean)[:, None]], axis=1)

    def similarity(self, space: str, /) -> str:
        """Return the similarity of the coordinates."""
        return space

    @classmethod
    def saved(cls, tensors: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any]) -> Self:
        """The codec with these `tensors` and `facts`."""
        names = ("codec_mean", "codec_transform", "scales", "centroids")
        mean, transform, scales, centroids = (tensors[name] for name in names)
        rates = {int(bits): int(count) for bits, count in tensors["rates"]}
        return cls(mean, transform, scales, centroids, rates, facts["distances"], facts["renormalised"])

    def facts(self) -> dict[str, Any]:
        """Whether it compares distances, and whether decoded vectors have the length 1."""
        return {"distances": self.distances, "renormalised": self.unit}

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return what all vectors share, by name."""
        return {
            "codec_mean": self.mean,
            "codec_transform": self.transform,
            "scales": self.scales,
            "centroids": self.centroids,
            "rates": np.array(list(self.rates.items()), np.int64),
        }


def fit_trellis(sample_Nk: Floats, size: int, similarity: str) -> TrellisCodec:
    """Fit the codec of `size` bytes to a sample of documents.

    Raises `UserError` if the dimensions cannot use so many bytes.
    """
    alone = spectrum(sample_Nk)
    if not alone.variances[0] > 0:
        raise UserError("codec: all documents have the same vector, so there is nothing to code")
    found, rates = alone, shares(alone.variances, size)
    centred_Nk = np.asarray(sample_Nk - alone.mean, dtype=np.float32)
    centroids_Kk, nearest_N = _centroids(centred_Nk)
    left = spectrum(centred_Nk - centroids_Kk[nearest_N])
    if size > 1 and len(centroids_Kk) > 1 and _error(left.variances, size - 1) < _error(alone.variances, size):
        found, rates = left, shares(left.variances, size - 1)
    else:
        centroids_Kk = centroids_Kk[:0]
    parts, scales = [], []
    start = 0
    for count in rates.values():
        directions = found.directions[start : start + count]
        parts.append(directions.T @ rotation(count))
        deviation = np.sqrt(found.variances[start : start + count].mean())
        scales.append(np.full(count, max(float(deviation), 1e-6 * float(np.sqrt(alone.variances[0])))))
        start += count
    transform = np.concatenate(parts, axis=1).astype(np.float32)
    lengths = np.linalg.norm(sample_Nk, axis=1)
    distances = similarity == "euclidean"
    unit = not distances and bool((np.abs(lengths - 1) < 1e-3).all())
    return TrellisCodec(
        alone.mean.astype(np.float32),
        transform,
        np.concatenate(scales).astype(np.float32),
        centroids_Kk @ transform,
        rates,
        distances,
        unit,
    )


def _centroids(vectors_Nk: Floats) -> tuple[Floats, Rows]:
    """Return centroids by k-means, (K, k), and the nearest one of each vector, (N,)."""
    count = min(_CENTROIDS, max(1, len(vectors_Nk) // _DOCUMENTS))
    means: Any = faiss.Kmeans(vectors_Nk.shape[1], count, niter=15, seed=0, min_points_per_centroid=1)
    means.train(vectors_Nk)
    return means.centroids, means.index.search(vectors_Nk, 1)[1][:, 0]


def _encode(values_Nk: Floats, bits: int) -> Codes:
    half, kept, values_of_states = values_Nk.shape[1] // 2, _STATES >> bits, levels(bits)
    first_Nk = _viterbi(np.roll(values_Nk, half, axis=1), bits, values_of_states, None)
    states_Nk = _viterbi(values_Nk, bits, values_of_states, first_Nk[:, half - 1] % kept)
    symbols_Nk = (states_Nk & (2**bits - 1)).astype(np.uint8)
    stream = np.unpackbits(symbols_Nk[:, :, None], axis=2)[:, :, 8 - bits :]
    return np.packbits(stream.reshape(len(symbols_Nk), -1), axis=1)


def _decode(packed_NB: Codes, bits: int) -> Floats:
    """Return the value of each coordinate, (N, k), from the 8 bits up to its own."""
    ends = np.arange(packed_NB.shape[1] * 8 // bits) * bits + bits - 1
    pairs_NB = (np.roll(packed_NB, 1, axis=1).astype(np.uint16) << np.uint16(8)) | packed_NB
    states_Nk = (pairs_NB[:, ends // 8] >> (7 - ends % 8).astype(np.uint16)).astype(np.uint8)
    return np.take(levels(bits), states_Nk)


def _viterbi(values_Nk: Floats, bits: int, levels_S: Floats, ends_N: States | None) -> States:
    """Return the states with the least squared error, (N, k).

    `ends_N` are the 8 - b bits before the stream and at its end; None leaves both free.
    """
    (count, length), choices, kept = values_Nk.shape, 2**bits, _STATES >> bits
    closed_SN = np.zeros((_STATES, count), np.float32)
    if ends_N is not None:
        closed_SN[np.arange(_STATES)[:, None] % kept != ends_N] = _CLOSED
    cost_SN, error_SN = closed_SN.copy(), np.empty_like(closed_SN)
    came_from = np.zeros((length, kept, count), np.uint8)
    for at, value_N in enumerate(np.ascontiguousarray(values_Nk.T)):
        before = cost_SN.reshape(choices, kept, count)
        least = before[0].copy()
        for choice in range(1, choices):
            less = before[choice] < least
            np.maximum(came_from[at], less * np.uint8(choice), out=came_from[at])
            np.minimum(least, before[choice], out=least)
        np.subtract(value_N, levels_S[:, None], out=error_SN)
        np.square(error_SN, out=error_SN)
        shape = kept, choices, count
        np.add(error_SN.reshape(shape), least[:, None], out=cost_SN.reshape(shape))
    state_N = (cost_SN + closed_SN).argmin(axis=0)
    states_Nk, every = np.empty((count, length), np.int64), np.arange(count)
    for at in range(length - 1, -1, -1):
        states_Nk[:, at] = state_N
        rest_N = state_N >> bits
        state_N = came_from[at][rest_N, every].astype(np.int64) * kept + rest_N
    return states_Nk
