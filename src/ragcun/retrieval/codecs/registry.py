"""The registry of codecs. To add a codec, add an entry to `CODES`. Heavy packages are imported by the entries.

Shapes: N documents, k coordinates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ragcun.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

    from ragcun.retrieval.codecs.codec import Codec
    from ragcun.retrieval.topk import Floats


@dataclass(frozen=True)
class Asked:
    """The data and parameters for fitting a codec.

    Attributes:
        sample_Nk: the coordinates of a sample of the documents.
        size: the bytes per vector; None is the codec's default.
        similarity: the similarity by which coordinates are compared, "dot" or "euclidean".
    """

    sample_Nk: "Floats"
    size: int | None
    similarity: str

    @property
    def dimension(self) -> int:
        """The number of coordinates of a document."""
        return int(self.sample_Nk.shape[1])

    @property
    def deviation(self) -> float:
        """The standard deviation of all coordinates. Raises `UserError` if it is 0."""
        deviation = float(self.sample_Nk.std())
        if not deviation > 0:
            raise UserError("codec: all documents have the same vector, so there is nothing to code")
        return deviation


@dataclass(frozen=True)
class Saved:
    """A codec as it is read from disk: the number of coordinates, its `tensors()` and its `facts()`."""

    dimension: int
    tensors: "Mapping[str, npt.NDArray[Any]]"
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class CodecEntry:
    """A codec.

    Attributes:
        about: the definition, in a few words.
        fit: fits the codec. Raises `UserError` if the coordinates are not suitable.
        load: makes the codec from what was saved.
        check: raises a `UserError` if vectors of so many coordinates cannot take so many bytes, before there are any.
        rotated: whether coordinates are rotated at random by default.
        centred: whether the coordinates must have a mean of 0.
        sized: whether the name can end in the number of bytes.
    """

    about: str
    fit: Callable[[Asked], "Codec"]
    load: Callable[[Saved], "Codec"]
    check: Callable[[int, int], None] = lambda dimension, size: None
    rotated: bool = False
    centred: bool = False
    sized: bool = False


def _floats(bits: Literal[32, 16], about: str) -> CodecEntry:
    def make(_: object) -> "Codec":
        from ragcun.retrieval.codecs.plain import FloatCodec

        return FloatCodec(bits)

    return CodecEntry(about, make, make)


def _int8() -> CodecEntry:
    def fit(asked: Asked) -> "Codec":
        from ragcun.retrieval.codecs.plain import MinMaxCodec

        return MinMaxCodec(asked.sample_Nk)

    def load(saved: Saved) -> "Codec":
        from ragcun.retrieval.codecs.plain import MinMaxCodec

        return MinMaxCodec(saved.tensors["ranges"])

    return CodecEntry("8 bits between each dimension's extremes, as sentence-transformers' int8", fit, load)


def _binary() -> CodecEntry:
    def make(given: Asked | Saved) -> "Codec":
        from ragcun.retrieval.codecs.plain import BinaryCodec

        return BinaryCodec(given.dimension)

    return CodecEntry("signs compared by Hamming distance, as sentence-transformers' binary", make, make)


def _scalar(bits: int) -> CodecEntry:
    def fit(asked: Asked) -> "Codec":
        from ragcun.retrieval.codecs.scalar import ScalarCodec

        return ScalarCodec(bits, asked.dimension, asked.deviation)

    def load(saved: Saved) -> "Codec":
        from ragcun.retrieval.codecs.scalar import ScalarCodec

        return ScalarCodec(bits, saved.dimension, float(saved.tensors["scale"][0]))

    about = f"Lloyd-Max quantiser of {bits} bit{'s' * (bits > 1)} with RaBitQ's correction"
    return CodecEntry(about, fit, load, rotated=True, centred=True)


_TRELLIS_BITS = 6  # of a coordinate at most


def _trellis() -> CodecEntry:
    def fit(asked: Asked) -> "Codec":
        from ragcun.retrieval.codecs.trellis import fit_trellis

        return fit_trellis(asked.sample_Nk, asked.size or max(1, asked.dimension // 8), asked.similarity)

    def load(saved: Saved) -> "Codec":
        from ragcun.retrieval.codecs.trellis import TrellisCodec

        return TrellisCodec.saved(saved.tensors, saved.facts)

    def check(dimension: int, size: int) -> None:
        most = _TRELLIS_BITS * (dimension // 8)
        if size > most + 1:  # a byte may go to the nearest centroid
            raise UserError(f"trellis{size}: {dimension} dimensions take at most {most} bytes")

    return CodecEntry("trellis-coded quantiser with bits allocated by variance", fit, load, check, sized=True)


def _product(rotated: bool) -> CodecEntry:
    def fit(asked: Asked) -> "Codec":
        from ragcun.retrieval.codecs.peers import product_quantiser

        return product_quantiser(asked.sample_Nk, asked.size, rotated)

    def load(saved: Saved) -> "Codec":
        from ragcun.retrieval.codecs.peers import FaissCodec

        return FaissCodec.saved(saved.tensors)

    def check(dimension: int, size: int) -> None:
        if dimension % size:
            name = f"{'opq' if rotated else 'pq'}{size}"
            raise UserError(f"{name}: {dimension} dimensions are not a multiple of {size} bytes; give other --dims")

    about = f"faiss' product quantiser{' with an optimised rotation' * rotated}"
    return CodecEntry(about, fit, load, check, sized=True)


def _rabitq() -> CodecEntry:
    def fit(asked: Asked) -> "Codec":
        from ragcun.retrieval.codecs.peers import rabitq

        return rabitq(asked.sample_Nk, asked.similarity)

    def load(saved: Saved) -> "Codec":
        from ragcun.retrieval.codecs.peers import RaBitQCodec

        return RaBitQCodec.saved(saved.tensors)

    return CodecEntry("faiss' RaBitQ", fit, load, rotated=True)


CODES: dict[str, CodecEntry] = {
    "fp32": _floats(32, "the vectors themselves"),
    "fp16": _floats(16, "16-bit floats"),
    "int8": _int8(),
    "4bit": _scalar(4),
    "2bit": _scalar(2),
    "1bit": _scalar(1),
    "trellis": _trellis(),
    "binary": _binary(),
    "pq": _product(rotated=False),
    "opq": _product(rotated=True),
    "rabitq": _rabitq(),
}
