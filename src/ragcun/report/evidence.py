"""Files in folders of results that are evidence for a verdict: scores, isotropy, trainings and ablations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ragcun.analysis.reports import IsotropyReport, read_reports
from ragcun.data.benchmark import datasets
from ragcun.errors import UserError
from ragcun.evaluation.results import whole_datasets
from ragcun.evaluation.systems import Method, Row, System, compare_systems, read_systems
from ragcun.intact import read_written
from ragcun.manifest import read_manifest
from ragcun.training.history import read_history

MEASURE = "nDCG@10"


@dataclass(frozen=True)
class Evidence:
    """All files below `folders` that are evidence for a verdict.

    Attributes:
        folders: folders with results.
        systems: the systems with results.
        ours: label of the system that is judged; None if there is none.
        base: label of the base that it was trained on; None if it has no results.
    """

    folders: tuple[Path, ...]
    systems: tuple[System, ...]
    ours: str | None
    base: str | None

    @cached_property
    def beir(self) -> dict[str, str]:
        """The complete datasets of BEIR (not NanoBEIR) on which `ours` has results, with their splits."""
        known = {name: one for name, one in datasets().items() if not one.nano}
        found = self._of(self.ours)
        whole = whole_datasets(dataset for dataset, _ in found)
        splits = dict(found)
        return {
            name: known[name].split
            for name, parts in whole.items()
            if name in known and all(splits[part] == known[name].split for part in parts)
        }

    @cached_property
    def rows(self) -> list[Row]:
        """Comparisons of all systems with the base on single datasets; empty if there is no `ours`."""
        if self.ours is None:
            return []
        compared = compare_systems(self.systems, self.base or self.ours, Method(MEASURE))
        return [row for row in compared if row.dataset is not None]

    def row(self, label: str, dataset: str) -> Row | None:
        """Return the row of a system on a dataset of BEIR and its split; None if there is none."""
        split = self.beir.get(dataset)
        return next((r for r in self.rows if (r.label, r.dataset, r.split) == (label, dataset, split)), None)

    @cached_property
    def others(self) -> list[str]:
        """The systems with results on every dataset of `ours`, except those trained here, which are not baselines."""
        wanted = self._of(self.ours)
        return [
            system.label
            for system in self.systems
            if system.label != self.ours and wanted <= set(system.results) and not _trained(system)
        ]

    def _of(self, label: str | None) -> set[tuple[str, str]]:
        return next((set(system.results) for system in self.systems if system.label == label), set())

    @cached_property
    def isotropy(self) -> list[IsotropyReport]:
        """The reports of all files isotropy.json."""
        return [report for path in self.files("isotropy.json") for report in read_reports(path)]

    @cached_property
    def manifests(self) -> list[Mapping[str, Any]]:
        """The manifests of all trainings, those of `ours` first."""
        found = [read_manifest(path) for path in self.files("manifest.json")]
        trainings = [one for one in found if {"identity", "settings", "seconds"} <= one.keys()]
        return sorted(trainings, key=lambda one: one.get("label") != self.ours)

    @cached_property
    def ablations(self) -> list[Mapping[str, Any]]:
        """The contents of all files ablation.json."""
        return [read_written(path, "rows") for path in self.files("ablation.json")]

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The history of the first training that has one."""
        return next((rows for path in self.files("history.jsonl") if (rows := read_history(path))), [])

    def files(self, pattern: str) -> list[Path]:
        """Return the files below the folders that match a name or pattern."""
        return sorted({path for folder in self.folders for path in folder.rglob(pattern) if path.is_file()})


def collect(folders: Sequence[Path], ours: str | None = None, base: str | None = None) -> Evidence:
    """Collect the evidence below `folders`.

    Args:
        folders: folders with results.
        ours: label of the system to judge; if None, the only system that was trained here.
        base: label of its base; if None, the base in its manifest.

    Raises:
        UserError: there is no such folder or system, or several were trained and `ours` is None.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; give the folder of an experiment or of results")
    with_results = [str(folder) for folder in folders if any(folder.rglob("result.json"))]
    systems = read_systems(with_results) if with_results else []
    labels = [system.label for system in systems]
    for flag, label in (("--ours", ours), ("--base", base)):
        if label is not None and label not in labels:
            raise UserError(f"{flag} {label}: has no results; choose from {', '.join(labels) or 'none'}")
    if ours is None:
        trained = [system.label for system in systems if _trained(system)]
        if len(trained) > 1:
            raise UserError(f"several models were trained here ({', '.join(trained)}); choose one with --ours")
        ours = trained[0] if trained else None
    found = Evidence(tuple(folders), tuple(systems), ours, base)
    if base is None and ours is not None:
        name = next((_base_of(manifest) for manifest in found.manifests), None)
        base = next((label for label in labels if label == name and label != ours), None)
    return Evidence(tuple(folders), tuple(systems), ours, base)


def _trained(system: System) -> bool:
    return any(result.domain is not None for seeds in system.results.values() for result in seeds)


def _base_of(manifest: Mapping[str, Any]) -> str:
    described = manifest["base"]
    origin = described.get("origin") or {"name": str(described["model"]).partition(" ")[0].partition("@")[0]}
    return str(origin["name"]).rpartition("/")[2]
