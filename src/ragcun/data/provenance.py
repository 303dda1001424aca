"""The data that a model was trained on, from its training's manifest, and which collections are therefore in-domain."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from ragcun.data.collection import Collection

Domain = Literal["in-domain", "out-of-domain"]
DOMAINS: tuple[Domain, ...] = ("in-domain", "out-of-domain")
_KEPT = ("path", "split", "texts")  # of a source


@dataclass(frozen=True)
class Provenance:
    """The data behind a model, each as a manifest has a source.

    Attributes:
        trained: data that it was trained on, or whose held-out queries chose the best checkpoint.
        guards: data that it was not trained on, but whose held-out queries chose the interpolation, or on whose texts
            it was kept as it started.
    """

    trained: tuple[Mapping[str, Any], ...] = ()
    guards: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of_training(cls, data: Mapping[str, Any]) -> Self:
        """What the manifest of a training says under "data", and what it says of the models it started from."""
        before = data.get("before") or {}
        trained = [*parts_of(data.get("train")), *parts_of(data.get("dev")), *before.get("trained", ())]
        guards = [*data.get("out_of_domain", ()), *data.get("general", ()), *before.get("guards", ())]
        return cls(tuple(trained), tuple(guards))

    @classmethod
    def of_all(cls, several: Iterable["Provenance | None"]) -> "Provenance | None":
        """What is known of several models together; None where nothing is known of any."""
        known = [one for one in several if one is not None]
        trained = (source for one in known for source in one.trained)
        guards = (source for one in known for source in one.guards)
        return cls(tuple(trained), tuple(guards)) if known else None

    def to_json(self) -> dict[str, Any]:
        """As a manifest has it under "before"."""
        return {
            name: [{key: source.get(key) for key in _KEPT} for source in sources]
            for name, sources in (("trained", self.trained), ("guards", self.guards))
        }

    def domain(self, collection: Collection) -> Domain | Literal["guard"]:
        """The domain of `collection` for the model.

        It is what was trained on where corpus and queries have the same bytes, or where the names are the same: two
        copies of one dataset may differ. A file of pairs is that collection which it lies in or is named after, and the
        one that `ragcun data pairs` made beside it.
        """
        if any(_same(source, collection) for source in self.trained):
            return "in-domain"
        return "guard" if any(_same(source, collection) for source in self.guards) else "out-of-domain"


def parts_of(source: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The parts of what a manifest has under "train" or "dev", which may be a mixture; none of None."""
    return [] if not source else list(source.get("parts", [source]))


def _same(source: Mapping[str, Any], collection: Collection) -> bool:
    if source.get("texts") == collection.texts_fingerprint():
        return True
    path, folder = Path(source["path"]), collection.path.resolve()
    if source.get("split") is not None:
        return path.name == collection.name
    made_beside = path.resolve().parent == folder.parent and (folder.parent / "source.json").is_file()
    return made_beside or collection.name in (path.stem, path.parent.name) or folder in path.resolve().parents
