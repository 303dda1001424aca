"""What lies below the folders of results: scores, trainings, ablations and isotropy, each with its source."""

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
    """A training: its manifest, its folder, and the history of its steps."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The name of what it gave, as results have it."""
        return str(self.manifest["label"])

    @property
    def history(self) -> list[dict[str, Any]]:
        """The lines of history.jsonl; none where it is missing."""
        path = self.path.with_name("history.jsonl")
        return read_history(path) if path.is_file() else []


@dataclass(frozen=True)
class Inputs:
    """Everything that a paper is made of.

    Attributes:
        folders: the folders given, by the names that sources begin with.
        names: the names that were given to folders for tables, by the same.
        systems: what was evaluated, the seeds of one system together.
        trainings: by label.
        ablations, isotropy: by the file that holds them.
    """

    folders: Mapping[str, Path]
    names: Mapping[str, str]
    systems: Sequence[System]
    trainings: Mapping[str, Training]
    ablations: Mapping[Path, Mapping[str, Any]]
    isotropy: Mapping[Path, Sequence[IsotropyReport]]

    def source(self, path: Path) -> str:
        """A file as tables name it: below the name of the folder that it was read from, wherever that lies."""
        for name, folder in self.folders.items():
            if path.is_relative_to(folder):
                return f"{name}/{path.relative_to(folder).as_posix()}".removesuffix("/.")
        return path.name

    def training_of(self, result: Result) -> Training | None:
        """The training that gave what a result is of."""
        return self.trainings.get(result.label)


def read_inputs(sources: Sequence[str]) -> Inputs:
    """Read all that lies below the folders `sources`; NAME=FOLDER gives their results one name.

    Raises as `read_systems` does.
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
    """Each folder by its last name, numbered where several have it; one inside another is left out."""
    kept = [path for path in paths if not any(path != other and path.is_relative_to(other) for other in paths)]
    named: dict[str, Path] = {}
    for path in dict.fromkeys(kept):
        name, number = path.resolve().name, 2
        while name in named:
            name, number = f"{path.resolve().name}-{number}", number + 1
        named[name] = path
    return named
