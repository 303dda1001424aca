"""The codes of a collection on disk, with everything that is needed to search them.

One safetensors file contains `codes` (N, B) and the tensors of the codec and of the coordinates, with the parameters in
the header. It is written block by block and memory-mapped, so that the codes never need to be in memory.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragcun.console import progress
from ragcun.intact import DamagedError, check_safetensors, write_safetensors
from ragcun.retrieval.codecs.codec import Coded
from ragcun.retrieval.codecs.registry import Saved
from ragcun.retrieval.codecs.search import FittedCodec
from ragcun.retrieval.codecs.space import Space
from ragcun.retrieval.codecs.spec import CodecSpec
from ragcun.retrieval.matrices import Matrix
from ragcun.slices import slices

_BLOCK = 8_192
_NAMES = {"uint8": "U8", "float32": "F32", "int64": "I64"}
_CODES = "codes"

Tensors = dict[str, npt.NDArray[Any]]


def write_codes(path: Path, fitted: FittedCodec, documents: Matrix) -> None:
    """Write the codes of all documents, completely or not at all."""
    count, dimension = documents.shape
    first = fitted.encode_block(documents.block(0, min(1, count)))
    tensors = {**fitted.space.tensors(), **fitted.codec.tensors()}
    shapes = {name: (array.dtype.name, array.shape, array.nbytes) for name, array in tensors.items()}
    shapes[_CODES] = ("uint8", (count, first.shape[1]), count * first.shape[1])
    space = fitted.space
    facts = {
        "codec": str(fitted.spec),
        "dimension": dimension,
        "coordinates": fitted.space.documents(documents.block(0, min(1, count))).shape[1],
        "unit": space.unit,
        "similarity": space.similarity,
        "power": space.power,
    }
    facts |= fitted.codec.facts()

    def blocks() -> Iterator[bytes]:
        yield from (np.ascontiguousarray(array).tobytes() for array in tensors.values())
        with progress(f"coding ({fitted.spec.name})", count, "documents") as bar:
            for part in slices(count, _BLOCK):
                yield fitted.encode_block(documents.block(part.start, part.stop)).tobytes()
                bar.advance(part.stop - part.start)

    def save(temporary: Path, metadata: dict[str, str]) -> None:
        header: dict[str, Any] = {"__metadata__": metadata}
        at = 0
        for name, (dtype, shape, size) in shapes.items():
            header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with temporary.open("wb") as stream:
            stream.write(len(text).to_bytes(8, "little") + text)
            for block in blocks():
                stream.write(block)

    write_safetensors(path, save, {"ragcun": json.dumps(facts)})


def read_codes(path: Path) -> tuple[FittedCodec, Coded]:
    """Read the codec and the codes, which are memory-mapped.

    Raises:
        DamagedError: the file is damaged, or `write_codes` did not write it.
    """
    check_safetensors(path)
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    if _CODES not in header:
        raise DamagedError(f"{path}: does not contain codes")
    facts = json.loads(header.pop("__metadata__")["ragcun"])
    dtypes = {short: np.dtype(name) for name, short in _NAMES.items()}
    tensors = {
        name: np.memmap(path, dtypes[one["dtype"]], "r", 8 + length + one["data_offsets"][0], tuple(one["shape"]))
        for name, one in header.items()
    }
    codes = tensors.pop(_CODES)
    spec = CodecSpec.parse(facts["codec"])
    own = {name: np.array(tensors[name]) for name in tensors}
    space = Space(facts["unit"], facts["similarity"], own.pop("mean", None), own.pop("transform", None), facts["power"])
    codec = spec.entry.load(Saved(facts["coordinates"], own, facts))
    return FittedCodec(spec, space, codec), Coded(codes, codec)
