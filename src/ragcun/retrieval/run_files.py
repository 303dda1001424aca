"""The assignment of other systems' runs to datasets, without heavy imports."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ragcun.errors import UserError

_SUFFIXES = (".trec", ".run", ".txt", ".tsv", ".res", ".gz")
_DATASET, _SPLIT = "{dataset}", "{split}"


@dataclass(frozen=True)
class RunFiles:
    """The runs of one system: a file, a folder, or a pattern with {dataset} and optionally {split}."""

    where: str

    @classmethod
    def parse(cls, where: str) -> Self:
        """Parse the location of runs. Raises `UserError` if it is a file or folder that does not exist."""
        if not where:
            raise UserError("run:: needs a run in TREC's format, a folder of runs, or a pattern")
        if _DATASET not in where and not Path(where).exists():
            raise UserError(
                f"run:{where}: no such file or folder; give a run in TREC's format, a folder of runs, or a pattern "
                f"with {_DATASET} in it"
            )
        return cls(where)

    @property
    def name(self) -> str:
        """The name in tables: that of the file or folder, without the part that names the dataset."""
        name = Path(self.where).name
        for suffix in _SUFFIXES[::-1]:
            name = name.removesuffix(suffix)
        return re.sub(r"[.\s_-]*\{(dataset|split)\}[.\s_-]*", " ", name).strip() or Path(self.where).parent.name

    def find(self, dataset: str, split: str) -> Path:
        """Find the run on a split of `dataset`.

        A file is used as it is. In a folder, the run is the only file whose path contains the dataset's name, such as
        nfcorpus.trec, bm25.nfcorpus.txt or nfcorpus/test/run.trec; of several, the one that also contains the split.

        Raises:
            UserError: there is no such file, or more than one.
        """
        if _DATASET in self.where:
            path = Path(self.where.replace(_DATASET, dataset).replace(_SPLIT, split))
        elif Path(self.where).is_dir():
            return _only(Path(self.where), dataset, split)
        else:
            path = Path(self.where)
        if not path.is_file():
            raise UserError(f"{path}: no such file; it should contain the run on {dataset} ({split})")
        return path


def _only(folder: Path, dataset: str, split: str) -> Path:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in _SUFFIXES)
    of_dataset = [path for path in paths if _names(path.relative_to(folder), dataset)]
    found = [path for path in of_dataset if _names(path.relative_to(folder), split)] or of_dataset
    if len(found) == 1:
        return found[0]
    there = ", ".join(str(path.relative_to(folder)) for path in (found or paths)[:5]) or "no run"
    problem = f"has {len(found)} runs of" if found else "has no run of"
    raise UserError(
        f"{folder}: {problem} {dataset} ({split}), but {there}; name the file, or give a pattern such as "
        f"{folder}/{_DATASET}.trec"
    )


def _names(path: Path, name: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9-]){re.escape(name)}(?![A-Za-z0-9-])", path.as_posix()) is not None
