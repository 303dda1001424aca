"""The registry of heads. To add a head, add one entry to `HEADS`.

The choices of `--head`, a head's own settings with their flags, training, export and plans follow from the entry.
Reading the entries does not import torch; building a head does.

Shapes: b base dimensions, d output dimensions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ragcun.errors import UserError

if TYPE_CHECKING:
    from ragcun.heads.layers import Head, LinearHead, MLPHead
    from ragcun.heads.local import LocalHead
    from ragcun.heads.spectrum import Spectrum


def power(value: Any) -> float | str:
    """Parse a strength of whitening: a number from 0 to 1, or "auto"."""
    if value == "auto":
        return "auto"
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError("must be a number from 0 to 1, or auto")
    return number


@dataclass(frozen=True)
class HeadSetting:
    """A setting of one head: its type with its range, its default, and a sentence for `--help`."""

    type: Any
    default: Any
    help: str


@dataclass(frozen=True)
class HeadEntry:
    """One head.

    Attributes:
        help: the head's definition, in a few words.
        trainable: whether the head is trained. A trained head is initialised at random or as the base's projection.
        build: builds the head from the spectrum of the base's embeddings, d, and the head's own settings by name;
            raises a `UserError` if d is impossible.
        weights: computes the number of weights from b, d, and the head's own settings by name.
        needs_frozen_base: whether the head can only be used on a frozen base.
        keeps_width: whether d must be b.
        settings: the head's own settings, by name. The names become flags, so no two heads may share one.
    """

    help: str
    trainable: bool
    build: Callable[..., "Head"]
    weights: Callable[..., int]
    needs_frozen_base: bool = False
    keeps_width: bool = False
    settings: Mapping[str, HeadSetting] = field(default_factory=dict)

    def own(self, settings: Any) -> dict[str, Any]:
        """Select the head's own settings, by name, from those of a model."""
        return {name: getattr(settings, name) for name in self.settings}


def _mlp(spectrum: "Spectrum", dimension: int, dropout: float) -> "MLPHead":
    from ragcun.heads.layers import MLPHead

    return MLPHead(spectrum.dimension, dimension, dropout)


def _local(
    spectrum: "Spectrum", dimension: int, local_units: int, local_threshold: float, local_dropout: float
) -> "LocalHead":
    from ragcun.heads.local import LocalHead

    return LocalHead(spectrum, dimension, local_units, local_threshold, local_dropout)


def _linear(spectrum: "Spectrum", dimension: int) -> "LinearHead":
    from ragcun.heads.layers import LinearHead

    return LinearHead(spectrum.dimension, dimension)


def _whiten(spectrum: "Spectrum", dimension: int, whiten_power: float | Literal["auto"]) -> "LinearHead":
    head = _linear(spectrum, dimension)
    power = spectrum.auto_power(dimension) if whiten_power == "auto" else whiten_power
    head.start_as(*spectrum.projection(dimension, power))
    return head


def _identity(spectrum: "Spectrum", dimension: int) -> "LinearHead":
    import torch

    if dimension != spectrum.dimension:
        raise UserError(f"output_dim = {dimension}: head identity keeps the base's {spectrum.dimension} dimensions")
    head = _linear(spectrum, dimension)
    head.start_as(torch.eye(dimension), torch.zeros(dimension))
    return head


def _affine(base_dimension: int, dimension: int, **_: Any) -> int:
    return (base_dimension + 1) * dimension


HEADS = {
    "mlp": HeadEntry(
        help="Linear(b, 2b), GELU, Dropout, Linear(2b, d)",
        trainable=True,
        build=_mlp,
        weights=lambda b, d, **_: _affine(b, 2 * b) + _affine(2 * b, d),
        settings={
            "dropout": HeadSetting(
                Annotated[float, Field(ge=0, lt=1)], 0.1, "Probability of dropout between the layers of head mlp."
            )
        },
    ),
    "local": HeadEntry(
        help="the base's PCA projection, corrected near training texts",
        trainable=True,
        build=_local,
        needs_frozen_base=True,
        weights=lambda b, d, local_units, **_: _affine(b, d) + _affine(b, local_units) + local_units * d,
        settings={
            "local_units": HeadSetting(
                Annotated[int, Field(ge=1)], 2_048, "Number of training texts near which head local corrects the base."
            ),
            "local_threshold": HeadSetting(
                Annotated[float, Field(ge=0, allow_inf_nan=False)],
                2.0,
                "Similarity to a training text above which head local corrects the base, in standard deviations.",
            ),
            "local_dropout": HeadSetting(
                Annotated[float, Field(ge=0, lt=1)], 0.1, "Probability of dropout on the corrections of head local."
            ),
        },
    ),
    "linear": HeadEntry(help="Linear(b, d)", trainable=True, build=_linear, weights=_affine),
    "whiten": HeadEntry(
        help="PCA whitening, untrained",
        trainable=False,
        build=_whiten,
        needs_frozen_base=True,
        weights=_affine,
        settings={
            "whiten_power": HeadSetting(
                Annotated[float | Literal["auto"], BeforeValidator(power)],
                1.0,
                "Strength of head whiten: 0 is PCA, 1 is full whitening, and auto is computed from the spectrum.",
            )
        },
    ),
    "identity": HeadEntry(
        help="the base's own embeddings, untrained",
        trainable=False,
        build=_identity,
        weights=_affine,
        needs_frozen_base=True,
        keeps_width=True,
    ),
}
