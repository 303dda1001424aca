"""Codecs by name. docs/extending.md tells how to add one.

A maker takes the coordinates of a sample of documents, (N, k), the codec's name and parameters, and the similarity by
which coordinates are compared, and returns a fitted codec.
"""

from collections.abc import Callable
from typing import Literal

from ragcun.errors import UserError
from ragcun.retrieval.codecs.codec import Codec
from ragcun.retrieval.codecs.plain import BinaryCodec, FloatCodec, MinMaxCodec
from ragcun.retrieval.codecs.spec import CodecSpec
from ragcun.retrieval.topk import Floats

Maker = Callable[[Floats, CodecSpec, str], Codec]

CENTRED = {"4bit", "2bit", "1bit"}  # whose coordinates have a mean of 0


def make_codec(sample_Nk: Floats, spec: CodecSpec, similarity: str) -> Codec:
    """The codec, fitted. Raises `UserError` where the coordinates do not suit it."""
    return _MAKERS[spec.code](sample_Nk, spec, similarity)


def _floats(bits: Literal[32, 16]) -> Maker:
    return lambda _, __, ___: FloatCodec(bits)


def _scale(sample_Nk: Floats) -> float:
    scale = float(sample_Nk.std())
    if not scale > 0:
        raise UserError("codec: all documents have the same vector, so there is nothing to code")
    return scale


def _scalar(bits: int) -> Maker:
    def make(sample_Nk: Floats, _: CodecSpec, __: str) -> Codec:
        from ragcun.retrieval.codecs.scalar import ScalarCodec

        return ScalarCodec(bits, sample_Nk.shape[1], _scale(sample_Nk))

    return make


def _trellis(sample_Nk: Floats, spec: CodecSpec, similarity: str) -> Codec:
    from ragcun.retrieval.codecs.trellis import fit_trellis

    return fit_trellis(sample_Nk, spec.size or max(1, sample_Nk.shape[1] // 8), similarity)


def _product(rotated: bool) -> Maker:
    def make(sample_Nk: Floats, spec: CodecSpec, _: str) -> Codec:
        from ragcun.retrieval.codecs.peers import product_quantiser

        return product_quantiser(sample_Nk, spec.size, rotated)

    return make


def _rabitq(sample_Nk: Floats, _: CodecSpec, similarity: str) -> Codec:
    from ragcun.retrieval.codecs.peers import rabitq

    return rabitq(sample_Nk, similarity)


_MAKERS: dict[str, Maker] = {
    "fp32": _floats(32),
    "fp16": _floats(16),
    "int8": lambda sample_Nk, _, __: MinMaxCodec(sample_Nk),
    "4bit": _scalar(4),
    "2bit": _scalar(2),
    "1bit": _scalar(1),
    "trellis": _trellis,
    "binary": lambda sample_Nk, _, __: BinaryCodec(sample_Nk.shape[1]),
    "pq": _product(rotated=False),
    "opq": _product(rotated=True),
    "rabitq": _rabitq,
}
