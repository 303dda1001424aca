"""The training data of a model, from its manifest, and the collections that are in-domain because of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from ragcun.data.collection import Collection

Domain = Literal["in-domain", "out-of-domain"]
DOMAINS: tuple[Domain, ...] = ("in-domain", "out-of-domain")
_KEPT = ("path", "split", "texts")  # the entries of a source that are kept


@dataclass(frozen=True)
class Provenance:
    """The data behind a model, each in the form of a source in a manifest.

    Attributes:
        trained: the data that the model was trained on, or that chose the best checkpoint.
        guards: other data that chose the interpolation or were used as general texts.
    """

    trained: tuple[Mapping[str, Any], ...] = ()
    guards: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of_training(cls, data: Mapping[str, Any]) -> Self:
        """Read "data" of a training's manifest, including the data of the models that it was initialised from."""
        before = data.get("before") or {}
        trained = [*parts_of(data.get("train")), *parts_of(data.get("dev")), *before.get("trained", ())]
        guards = [*data.get("out_of_domain", ()), *data.get("general", ()), *before.get("guards", ())]
        return cls(tuple(trained), tuple(guards))

    @classmethod
    def of_all(cls, several: Iterable["Provenance | None"]) -> "Provenance | None":
        """Combine what is known of several models; None if nothing is known of any."""
        known = [one for one in several if one is not None]
        trained = (source for one in known for source in one.trained)
        guards = (source for one in known for source in one.guards)
        return cls(tuple(trained), tuple(guards)) if known else None

    def to_json(self) -> dict[str, Any]:
        """Return the entry "before" of a manifest."""
        return {
            name: [{key: source.get(key) for key in _KEPT} for source in sources]
            for name, sources in (("trained", self.trained), ("guards", self.guards))
        }

    def domain(self, collection: Collection) -> Domain | Literal["guard"]:
        """Return the domain of `collection` for the model.

        A collection is the same as a source if its corpus and queries have the same bytes, or if the names are the
        same, since two copies of one dataset may differ. A file of pairs counts as the collection whose folder it is in
        or whose name it has, and as the one that `ragcun data pairs` made with it.
        """
        if any(_same(source, collection) for source in self.trained):
            return "in-domain"
        return "guard" if any(_same(source, collection) for source in self.guards) else "out-of-domain"


def parts_of(source: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """List the parts of "train" or "dev" of a manifest, which may be a mixture; empty for None."""
    return [] if not source else list(source.get("parts", [source]))


def _same(source: Mapping[str, Any], collection: Collection) -> bool:
    if source.get("texts") == collection.texts_fingerprint():
        return True
    path, folder = Path(source["path"]), collection.path.resolve()
    if source.get("split") is not None:
        return path.name == collection.name
    made_beside = path.resolve().parent == folder.parent and (folder.parent / "source.json").is_file()
    return made_beside or collection.name in (path.stem, path.parent.name) or folder in path.resolve().parents
