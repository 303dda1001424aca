"""Evaluation tasks on the benchmark's datasets, which are downloaded if missing, and on the user's own collections."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragcun.console import warn_of
from ragcun.data.beir import beir_folder, prepare_dataset
from ragcun.data.benchmark import (
    GROUPS,
    Dataset,
    dataset_names,
    find_dataset,
    open_dataset,
    select_datasets,
)
from ragcun.data.collection import Collection, is_collection
from ragcun.data.irds import PREFIX, prepare_irds
from ragcun.data.problems import OnError
from ragcun.data.pydocs import PYDOCS
from ragcun.errors import Failure, RagcunError, UserError, did_you_mean

OWN_SPLIT = "test"


@dataclass(frozen=True)
class Task:
    """An open collection and a split of its queries. `data` is the fingerprint of both."""

    collection: Collection
    split: str
    data: str


def open_task(collection: Collection, split: str) -> Task:
    """Make the task of a split. Raises `UserError` if the collection has no such split."""
    return Task(collection, split, collection.fingerprint(split))


def choose(names: Iterable[str], data_dir: Path | None = None, pydocs: Path | None = None) -> list[Dataset | Path]:
    """Resolve names of datasets, parts, groups, ir_datasets' ids, and collections' folders, without duplicates.

    Every command resolves its datasets here. `data_dir` None is `beir_folder()`. A name of the benchmark is that
    dataset, even if a local folder has the same name; the exact name of a folder in `data_dir` takes precedence over an
    alias. A name with a slash, or the name of an existing folder, is this folder; one that begins with `./` or `../` is
    never in `data_dir`. A dataset of ir_datasets (irds:ID) is written to a folder in `data_dir`. `pydocs` is the folder
    of this collection in commands that make it.

    Raises:
        UserError: there is no such dataset or collection; the message suggests a similar name.
    """
    home = data_dir or beir_folder()
    chosen: dict[str, Dataset | Path] = {}
    for name in names:
        dataset = find_dataset(name)
        if name.lower() in GROUPS:
            chosen |= {one.name: one for one in select_datasets([name])}
        elif name == PYDOCS and pydocs is not None:
            chosen[name] = pydocs
        elif name.startswith(PREFIX):
            chosen[name] = prepare_irds(name, home)
        elif name.partition(os.sep)[0] in {".", ".."}:
            chosen.setdefault(str(Path(name).resolve()), Path(name))
        elif is_collection(home / name) and (dataset is None or dataset.folder != name):
            chosen.setdefault(str((home / name).resolve()), home / name)
        elif dataset is not None:
            chosen[dataset.name] = dataset
        elif os.sep in name or Path(name).is_dir():
            chosen.setdefault(str(Path(name).resolve()), Path(name))
        else:
            raise UserError(_unknown(name, home))
    if not chosen:
        raise UserError("no dataset was given; name at least one")
    return [one for one in chosen.values() if isinstance(one, Path) or one.whole not in chosen]


def _unknown(name: str, home: Path) -> str:
    if name == PYDOCS:
        return (
            f"{PYDOCS}: the commands that train make this collection; for others, make it with `ragcun data {PYDOCS} "
            "FOLDER`, and give this folder"
        )
    there = sorted(path.name for path in home.glob("*") if is_collection(path))
    hint = did_you_mean(name, [*there, *dataset_names(), PYDOCS])
    return (
        f"{home}: no collection {name!r}{hint}; it has {', '.join(there) or 'none'}, and `ragcun data beir ls` lists "
        "BEIR's"
    )


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
        except Exception as error:  # the other datasets are still opened
            failures.append(Failure.of(one.name, error))
            if not quiet:
                warn_of(failures[-1])
    return tasks, failures


def open_all(
    chosen: Sequence[Dataset | Path],
    split: str | None = None,
    on_error: OnError = "refuse",
    data_dir: Path | None = None,
    offline: bool = False,
) -> list[Task]:
    """Open all of `chosen`, as `open_tasks` does.

    Raises:
        UserError: one of them is malformed or has no such split.
        RagcunError: one of them could not be downloaded.
    """
    tasks, failures = open_tasks(chosen, split, on_error, data_dir, offline, quiet=True)
    if failures:
        kind = UserError if all(failure.exit_code == UserError.exit_code for failure in failures) else RagcunError
        raise kind(f"{len(failures)} of {len(chosen)} datasets cannot be evaluated on: {failures[0]}")
    return tasks


def open_collection(
    name: str,
    split: str | None = None,
    on_error: OnError = "refuse",
    data_dir: Path | None = None,
    offline: bool = False,
) -> Collection:
    """Open the one collection that `name` means, with or without judgements.

    Raises `UserError` if the name means none or several, or as `open_dataset` and `Collection.open` do.
    """
    found = choose([name], data_dir)
    one = found[0]
    if isinstance(one, Path) and len(found) == 1:
        return Collection.open(one, on_error)
    if isinstance(one, Path) or len(found) > 1 or one.parts:
        raise UserError(f"{name}: is several collections; name one of them")
    home = data_dir or beir_folder()
    prepare_dataset(one, home, offline=offline)
    return open_dataset(one, home / one.folder, split or one.split, on_error)


def _open_part(part: Dataset, folder: Path, split: str | None, on_error: OnError) -> Task:
    asked = split or part.split
    return open_task(open_dataset(part, folder, asked, on_error), asked)
