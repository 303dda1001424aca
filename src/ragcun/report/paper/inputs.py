"""The inputs of a paper below folders of results: scores, trainings, ablations and isotropy, with their sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragcun.analysis.reports import IsotropyReport, read_reports
from ragcun.console import warn
from ragcun.embedding.resolve import parse_label
from ragcun.errors import UserError
from ragcun.evaluation.results import Result
from ragcun.evaluation.systems import System, read_systems
from ragcun.intact import read_written
from ragcun.manifest import read_manifest
from ragcun.training.history import read_history


@dataclass(frozen=True)
class Training:
    """A training: its manifest and the file of this manifest."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def label(self) -> str:
        """Label of the trained model, as in results."""
        return str(self.manifest["label"])

    @property
    def history(self) -> list[dict[str, Any]]:
        """The lines of history.jsonl; empty if it is missing."""
        path = self.path.with_name("history.jsonl")
        return read_history(path) if path.is_file() else []


@dataclass(frozen=True)
class Inputs:
    """All inputs of a paper.

    Attributes:
        folders: folders of results by name; sources begin with these names.
        names: labels that the user gave to folders, by the names in `folders`.
        systems: evaluated systems, each with all its seeds.
        trainings: trainings by label.
        ablations, isotropy: contents by file.
    """

    folders: Mapping[str, Path]
    names: Mapping[str, str]
    systems: Sequence[System]
    trainings: Mapping[str, Training]
    ablations: Mapping[Path, Mapping[str, Any]]
    isotropy: Mapping[Path, Sequence[IsotropyReport]]

    def source(self, path: Path) -> str:
        """Return a file's name as a source: the name of its folder in `folders` and the path below it."""
        for name, folder in self.folders.items():
            if path.is_relative_to(folder):
                return f"{name}/{path.relative_to(folder).as_posix()}".removesuffix("/.")
        return path.name

    def training_of(self, result: Result) -> Training | None:
        """Return the training of a result's model; None if there is none."""
        return self.trainings.get(result.label)


def read_inputs(sources: Sequence[str]) -> Inputs:
    """Read all inputs below the folders `sources`; NAME=FOLDER gives all results of a folder one label.

    Raises `UserError` in the cases of `read_systems`, and if there is nothing to report.
    """
    paths = [Path(parse_label(source)[1]) for source in sources]
    systems = read_systems(sources, optional=True)
    folders = _named(paths)
    trainings: dict[str, Training] = {}
    ablations: dict[Path, Mapping[str, Any]] = {}
    isotropy: dict[Path, Sequence[IsotropyReport]] = {}
    for folder in folders.values():
        for path in sorted(folder.rglob("manifest.json")):
            manifest = read_manifest(path)
            if "settings" in manifest and "label" in manifest:
                trainings.setdefault(str(manifest["label"]), Training(path, manifest))
        for path in sorted(folder.rglob("ablation.json")):
            ablations[path] = read_written(path, "rows")
        for path in sorted(folder.rglob("isotropy.json")):
            try:
                isotropy[path] = read_reports(path)
            except UserError as error:
                warn(f"{error}; left out")
    others = any(next(folder.rglob(name), None) for folder in folders.values() for name in ("claims.json", "cells-*"))
    if not (systems or ablations or isotropy or others):
        raise UserError(f"{', '.join(map(str, paths))}: nothing to report; run `ragcun eval beir` first")
    given = {Path(folder): name for name, folder in map(parse_label, sources) if name is not None}
    names = {root: given[folder] for root, folder in folders.items() if folder in given}
    return Inputs(folders, names, systems, trainings, ablations, isotropy)


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """Return folders by their last name, with a number if several share it; nested folders are left out."""
    kept = [path for path in paths if not any(path != other and path.is_relative_to(other) for other in paths)]
    named: dict[str, Path] = {}
    for path in dict.fromkeys(kept):
        name, number = path.resolve().name, 2
        while name in named:
            name, number = f"{path.resolve().name}-{number}", number + 1
        named[name] = path
    return named
