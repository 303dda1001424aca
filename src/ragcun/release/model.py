"""A trained model for publication: its files and a model card."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragcun.embedding.known import find_known
from ragcun.embedding.origin import Origin, origin_of
from ragcun.embedding.resolve import ResolvedModel, resolve_model
from ragcun.errors import RagcunError, UserError, explained
from ragcun.files import atomic_folder
from ragcun.manifest import read_manifest
from ragcun.model.card import Card
from ragcun.release.abstention import card_thresholds
from ragcun.release.scores import card_scores

_NOT_RELEASED = ("README.md",)


@dataclass(frozen=True)
class Release:
    """A model of `ragcun train` with the contents of its card."""

    model: ResolvedModel
    manifest: Mapping[str, Any]
    results: tuple[str, ...]
    licence: str | None = None
    citation: str | None = None

    @classmethod
    def of(
        cls, name: str, results: Sequence[str] = (), licence: str | None = None, citation: Path | None = None
    ) -> "Release":
        """Return the release of the experiment `name`; `results` are folders of its scores, by default its own.

        Raises `UserError` if it is not a model, or not one of `ragcun train`.
        """
        model = resolve_model(name)
        path = model.path.parent / "manifest.json"
        if not path.is_file():
            raise UserError(f"{name}: has no manifest.json beside it; name an experiment of `ragcun train`")
        text = None if citation is None else citation.read_text(encoding="utf-8")
        return cls(model, read_manifest(path), tuple(results), licence, text)

    @property
    def origin(self) -> Origin:
        """Name and revision under which the base is published."""
        described = self.manifest["base"]
        if "origin" in described:
            return Origin(**described["origin"])
        base = str(self.manifest["settings"]["model"]["base"])
        try:  # an experiment of an older version
            return origin_of(resolve_model(base))
        except RagcunError:
            known = find_known(base)
            return Origin(Path(base).name if known is None else known.hub)

    def card(self, title: str, loaded_as: str) -> str:
        """Return the card of the model, with `title` as its name and `loaded_as` in its example."""
        folders = self.results or (str(self.model.path.parent),)
        scores = card_scores(folders, self.model, self.origin, must=bool(self.results))
        thresholds = card_thresholds(folders, self.model)
        card = Card(title, loaded_as, self.manifest, self.origin, scores, self.licence, self.citation, thresholds)
        return card.text()

    def write(self, folder: Path, title: str | None = None, loaded_as: str | None = None) -> Path:
        """Write the model and its card to `folder`, which appears whole or not at all.

        Raises `UserError` if `folder` exists and is not empty.
        """
        with atomic_folder(folder) as building:
            ignored = shutil.ignore_patterns(*_NOT_RELEASED, ".*")
            try:
                shutil.copytree(self.model.path, building, ignore=ignored, dirs_exist_ok=True)
            except shutil.Error as error:
                told = explained(error)
                raise type(told)(str(told).replace(str(building), str(folder))) from error
            card = self.card(title or folder.resolve().name, loaded_as or folder.resolve().name)
            (building / "README.md").write_text(card, encoding="utf-8")
        return folder
