"""Evaluation tasks: datasets of the benchmark, which are downloaded if missing, and the user's own collections."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ragcun.console import warn_of
from ragcun.data.beir import beir_folder, prepare_dataset
from ragcun.data.benchmark import (
    GROUPS,
    Dataset,
    dataset_names,
    datasets,
    find_dataset,
    open_dataset,
    select_datasets,
)
from ragcun.data.collection import Collection, is_collection
from ragcun.data.irds import PREFIX, prepare_irds
from ragcun.data.problems import OnError
from ragcun.errors import Failure, UserError, did_you_mean

OWN_SPLIT = "test"


@dataclass(frozen=True)
class Task:
    """The queries of a split of a collection, which is open. `data` is the fingerprint of both."""

    collection: Collection
    split: str
    data: str


def open_task(collection: Collection, split: str) -> Task:
    """The queries of `split`. Raises `UserError` where the collection has no such split."""
    return Task(collection, split, collection.fingerprint(split))


def choose(names: Iterable[str], data_dir: Path | None = None) -> list[Dataset | Path]:
    """Resolve names of datasets, parts, groups, ir_datasets' ids, and folders in `data_dir`, without duplicates.

    Every command resolves its datasets here. `data_dir` None is `beir_folder()`. The exact name of a folder takes
    precedence over an alias of the benchmark. A dataset of ir_datasets (irds:ID) is written to a folder in `data_dir`.

    Raises:
        UserError: there is no such dataset or collection; the message suggests a similar name.
    """
    home = data_dir or beir_folder()
    chosen: dict[str, Dataset | Path] = {}
    for name in names:
        folder = home / name
        if name.lower() in GROUPS:
            chosen |= {dataset.name: dataset for dataset in select_datasets([name])}
        elif name.startswith(PREFIX):
            chosen[name] = prepare_irds(name, home)
        elif name not in datasets() and is_collection(folder):
            chosen[name] = folder
        elif (dataset := find_dataset(name)) is not None:
            chosen[dataset.name] = dataset
        else:
            there = sorted(path.name for path in home.glob("*") if is_collection(path))
            hint = did_you_mean(name, [*there, *dataset_names()])
            raise UserError(
                f"{home}: no collection {name!r}{hint}; it has {', '.join(there) or 'none'}, and `ragcun data "
                "beir ls` lists BEIR's"
            )
    if not chosen:
        raise UserError("no dataset was given; name at least one")
    return [one for one in chosen.values() if isinstance(one, Path) or one.whole not in chosen]


def open_tasks(
    chosen: Iterable[Dataset | Path],
    split: str | None = None,
    on_error: OnError = "refuse",
    data_dir: Path | None = None,
    offline: bool = False,
    quiet: bool = False,
) -> tuple[list[Task], list[Failure]]:
    """Open datasets of the benchmark and folders of collections.

    Datasets are read from `data_dir` (`beir_folder()` if None) and downloaded if missing, unless `offline`. With
    `split` None, each dataset uses its own split, and other collections use "test". Failures are reported as
    warnings, unless `quiet`, and the others are still opened.
    """
    tasks: list[Task] = []
    failures: list[Failure] = []
    home = data_dir or beir_folder()
    for one in chosen:
        try:
            if isinstance(one, Dataset):
                prepare_dataset(one, home, offline=offline)
                tasks += [_open_part(part, home / folder, split, on_error) for folder, part in one.folders.items()]
            else:
                tasks.append(open_task(Collection.open(one, on_error), split or OWN_SPLIT))
        except Exception as error:  # whatever it is, the rest goes on
            failures.append(Failure.of(one.name, error))
            if not quiet:
                warn_of(failures[-1])
    return tasks, failures


def _open_part(part: Dataset, folder: Path, split: str | None, on_error: OnError) -> Task:
    asked = split or part.split
    return open_task(open_dataset(part, folder, asked, on_error), asked)
