"""What a model is called where anybody can find it: its hub id and revision, never a path of this machine."""

import re
from dataclasses import dataclass
from pathlib import Path

from ragcun.embedding.resolve import ResolvedModel, known_weights

_COMMIT = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")


@dataclass(frozen=True)
class Origin:
    """What a base is called where anybody can find it.

    Attributes:
        name: its hub id or, where it is not known to be on a hub, the name of its folder.
        revision: the commit on the hub, where it is known.
        weights: the SHA-256 of its weights, where they are the hub's.
        licence: where it is known.
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
        """Its name, with what pins it."""
        shown = f"[{self.name}](https://huggingface.co/{self.name})" if self.hub else self.name
        if self.revision:
            return f"{shown} at revision `{self.revision}`"
        return f"{shown} (SHA-256 of its weights: `{self.weights}`)" if self.weights else shown


def origin_of(model: ResolvedModel) -> Origin:
    """The origin of a model that `resolve_model` found.

    Weights in a folder or a package whose SHA-256 is that of a known model's are that model's.
    """
    known = known_weights(model.path)
    if (found := _COMMIT.fullmatch(model.source)) is not None:
        return Origin(found["name"], found["revision"], licence=None if known is None else known.licence)
    if known is not None:
        return Origin(known.hub, known.revision, known.weights, known.licence)
    return Origin(Path(model.label).name)
