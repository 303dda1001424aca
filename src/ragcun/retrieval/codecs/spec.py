"""The names of codecs and their parameters, without heavy imports.

2bit                          two bits for each dimension of the model's vectors
2bit/192                      ... of the first 192 principal components
2bit/192/unrotated            ... without the random rotation that the codec has by default
2bit/192/power=0.25           ... whitened to this power; power=auto computes the power from the spectrum
2bit/192/rescore=100          ... whose top 100 documents are ranked again by their exact vectors
trellis48, pq48               the trellis-coded quantiser, and faiss' product quantiser, with 48 bytes
"""

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ragcun.errors import UserError, did_you_mean
from ragcun.retrieval.codecs.registry import CODES, CodecEntry

VERSION = 3  # the version of the codecs; rankings of other versions are computed again


@dataclass(frozen=True)
class CodecSpec:
    """A codec and its parameters.

    Attributes:
        code: the name of the codec, one of `CODES`.
        dims: the number of leading principal components to code; None codes the vectors without PCA.
        rotate: whether vectors are rotated at random before; None is the codec's default.
        whiten_power: the power of the standard deviation by which each component is divided.
        rescore: the number of documents per query that are ranked again by their exact vectors; None for none.
        size: the bytes per vector, if the codec has a choice; None is one byte for eight dimensions.
    """

    code: str
    dims: int | None = None
    rotate: bool | None = None
    whiten_power: float | Literal["auto"] = 0.0
    rescore: int | None = None
    size: int | None = None

    @classmethod
    def parse(cls, text: str) -> "CodecSpec":
        """Parse a codec's name with parameters. Raises `UserError` if it is invalid."""
        name, *parts = text.strip().split("/")
        code, size = named_code(name)
        values: dict[str, Any] = {}
        for part in parts:
            key, equals, value = part.partition("=")
            if part.isdecimal() and int(part) > 0:
                values["dims"] = int(part)
            elif part in {"rotated", "unrotated"}:
                values["rotate"] = part == "rotated"
            elif key == "rescore" and value.isdecimal() and int(value) > 0:
                values["rescore"] = int(value)
            elif key == "power" and equals:
                values["whiten_power"] = whiten_power(value)
            else:
                raise UserError(
                    f"codec {text!r}: {part!r} is not a number of dimensions, rotated, unrotated, power=P or rescore=N"
                )
        return cls(code, size=size, **values)

    @property
    def entry(self) -> CodecEntry:
        """The codec's entry in the registry."""
        return CODES[self.code]

    @property
    def name(self) -> str:
        """The codec's name with its bytes, if these can be chosen."""
        return self.code if self.size is None else f"{self.code}{self.size}"

    @property
    def rotated(self) -> bool:
        """Whether components are rotated at random."""
        return self.entry.rotated if self.rotate is None else self.rotate

    def check(self, dimension: int) -> None:
        """Raise a `UserError` if vectors of so many dimensions cannot be coded in `size` bytes."""
        if self.size is not None:
            self.entry.check(self.dims or dimension, self.size)

    def __str__(self) -> str:
        parts = [self.name]
        parts += [] if self.dims is None else [str(self.dims)]
        parts += [] if self.rotated == self.entry.rotated else ["rotated" if self.rotated else "unrotated"]
        parts += [] if self.whiten_power == 0 else [f"power={self.whiten_power}"]
        parts += [] if self.rescore is None else [f"rescore={self.rescore}"]
        return "/".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as JSON."""
        return asdict(self) | {"code": self.name, "rotate": self.rotated}


def named_code(name: str) -> tuple[str, int | None]:
    """Split a codec's name into the name and its bytes, if given. Raises `UserError` if it is unknown."""
    sized = [code for code, entry in CODES.items() if entry.sized]
    if found := re.fullmatch(rf"({'|'.join(sized)})([1-9]\d{{0,4}})", name):
        return found[1], int(found[2])
    if name not in CODES:
        raise UserError(
            f"codec {name!r}: unknown{did_you_mean(name, CODES)}; choose one of {', '.join(CODES)}, of which "
            f"{', '.join(sized[:-1])} and {sized[-1]} may be followed by their bytes, as in {sized[-1]}48"
        )
    return name, None


def whiten_power(text: str) -> float | Literal["auto"]:
    """Parse a whitening power, 0 to 1 or "auto". Raises `UserError` for any other text."""
    if text == "auto":
        return "auto"
    try:
        power = float(text)
    except ValueError:
        power = -1.0
    if not 0 <= power <= 1:
        raise UserError(f"whiten power {text!r}: must be a number from 0 to 1, or auto")
    return power
