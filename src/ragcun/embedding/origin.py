"""The public name of a model: its hub id and revision, never a path of this machine."""

import re
from dataclasses import dataclass
from pathlib import Path

from ragcun.embedding.resolve import ResolvedModel, known_weights
from ragcun.printable import markdown

_COMMIT = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")


@dataclass(frozen=True)
class Origin:
    """The public name of a base.

    Attributes:
        name: the hub id or, if the base is not known to be on the hub, the name of its folder.
        revision: the commit on the hub, if it is known.
        weights: the SHA-256 of the weights, if they are the hub's.
        licence: the licence, if it is known.
    """

    name: str
    revision: str | None = None
    weights: str | None = None
    licence: str | None = None

    @property
    def hub(self) -> bool:
        """Whether `name` is a hub id."""
        return "/" in self.name

    def markdown(self) -> str:
        """Return the name with its revision or the hash of its weights."""
        shown = f"[{self.name}](https://huggingface.co/{self.name})" if self.hub else markdown(self.name)
        if self.revision:
            return f"{shown} at revision `{self.revision}`"
        return f"{shown} (SHA-256 of its weights: `{self.weights}`)" if self.weights else shown


def origin_of(model: ResolvedModel) -> Origin:
    """Return the origin of a model that `resolve_model` found.

    Weights in a folder or a package are recognised as those of a known model by their SHA-256.
    """
    known = known_weights(model.path)
    if (found := _COMMIT.fullmatch(model.source)) is not None:
        return Origin(found["name"], found["revision"], licence=None if known is None else known.licence)
    if known is not None:
        return Origin(known.hub, known.revision, known.weights, known.licence)
    return Origin(Path(model.label).name)


def name_to_load(model: ResolvedModel) -> str:
    """Return the hub id or folder from which `SentenceTransformer` loads the model, without a path of this machine."""
    origin = origin_of(model)
    if origin.hub:
        return origin.name
    given = Path(model.source)
    folder = given if given.resolve() == model.path else given / "model"
    return folder.relative_to(given.parent if given.is_absolute() else ".").as_posix()
