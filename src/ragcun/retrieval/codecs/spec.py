"""The name of a codec and of its parameters. Imports nothing heavy.

2bit                          two bits for each dimension of the model's vectors
2bit/192                      ... of the first 192 principal components
2bit/192/unrotated            ... without the random rotation that the codec has by default
2bit/192/power=0.25           ... whitened to this power; power=auto follows from the spectrum
2bit/192/rescore=100          ... whose first 100 documents are ordered by the exact vectors
trellis48, pq48               the trellis-coded quantiser, and faiss' product quantiser, with 48 bytes
"""

import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ragcun.errors import UserError, did_you_mean
from ragcun.retrieval.codecs.registry import CODES, CodecEntry

VERSION = 3  # of the codecs: rankings of another one are computed again


@dataclass(frozen=True)
class CodecSpec:
    """A codec and its parameters.

    Attributes:
        code: a name of `CODES`.
        dims: principal components that are coded; None: the vectors' own dimensions.
        rotate: whether they are rotated at random before; None: as the codec has it.
        whiten_power: each component is divided by its standard deviation to this power.
        rescore: documents of a query that are ordered by the exact vectors, which are then the result; None: none.
        size: bytes of a vector, where the codec has a choice of them; None: one for eight dimensions.
    """

    code: str
    dims: int | None = None
    rotate: bool | None = None
    whiten_power: float | Literal["auto"] = 0.0
    rescore: int | None = None
    size: int | None = None

    @classmethod
    def parse(cls, text: str) -> "CodecSpec":
        """The codec called `text`. Raises `UserError` where it is none."""
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
                    f"codec {text!r}: {part!r} is no number of dimensions, rotated, unrotated, power=P or rescore=N"
                )
        return cls(code, size=size, **values)

    @property
    def entry(self) -> CodecEntry:
        """What the registry says of the code."""
        return CODES[self.code]

    @property
    def name(self) -> str:
        """The code's name with its bytes, where it has a choice of them."""
        return self.code if self.size is None else f"{self.code}{self.size}"

    @property
    def rotated(self) -> bool:
        """Whether components are rotated at random."""
        return self.entry.rotated if self.rotate is None else self.rotate

    def __str__(self) -> str:
        parts = [self.name]
        parts += [] if self.dims is None else [str(self.dims)]
        parts += [] if self.rotated == self.entry.rotated else ["rotated" if self.rotated else "unrotated"]
        parts += [] if self.whiten_power == 0 else [f"power={self.whiten_power}"]
        parts += [] if self.rescore is None else [f"rescore={self.rescore}"]
        return "/".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Its parameters; JSON."""
        return asdict(self) | {"code": self.name, "rotate": self.rotated}


def named_code(name: str) -> tuple[str, int | None]:
    """The code called `name`, and its bytes where they are given. Raises `UserError` where there is none."""
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
    """A power of whitening, 0 to 1, or "auto". Raises `UserError` for anything else."""
    if text == "auto":
        return "auto"
    try:
        power = float(text)
    except ValueError:
        power = -1.0
    if not 0 <= power <= 1:
        raise UserError(f"whiten power {text!r}: must be a number from 0 to 1, or auto")
    return power
