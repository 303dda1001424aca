"""What retrievers are asked: the benchmark's datasets, downloaded where they are not there, and one's own folders."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ragcun.console import warn_of
from ragcun.data.beir import beir_folder, prepare_dataset
from ragcun.data.benchmark import GROUPS, Dataset, datasets, find_dataset, open_dataset, select_datasets
from ragcun.data.collection import Collection
from ragcun.data.problems import OnError
from ragcun.errors import Failure, UserError

_OWN_SPLIT = "test"


@dataclass(frozen=True)
class Task:
    """The queries of a split of a collection, which is open. `data` is the fingerprint of both."""

    collection: Collection
    split: str
    data: str


def open_task(collection: Collection, split: str) -> Task:
    """The queries of `split`. Raises `UserError` where the collection has no such split."""
    return Task(collection, split, collection.fingerprint(split))


def choose(names: Iterable[str], data_dir: Path) -> list[Dataset | Path]:
    """What `names` mean, each once: datasets of the benchmark, groups of them, and folders in `data_dir`.

    Raises:
        UserError: there is no such dataset and no such collection; says what there is.
    """
    chosen: dict[str, Dataset | Path] = {}
    for name in names:
        folder = data_dir / name
        if name.lower() in GROUPS:
            chosen |= {dataset.name: dataset for dataset in select_datasets([name])}
        elif name not in datasets() and (folder / "corpus.jsonl").is_file():
            chosen[name] = folder
        elif (dataset := find_dataset(name)) is not None:
            chosen[dataset.name] = dataset
        else:
            there = ", ".join(sorted(path.parent.name for path in data_dir.glob("*/corpus.jsonl"))) or "none"
            raise UserError(
                f"{data_dir}: no collection {name!r}; it has {there}, and `ragcun data beir ls` lists BEIR's"
            )
    if not chosen:
        raise UserError("no dataset is named")
    return list(chosen.values())


def open_tasks(
    chosen: Iterable[Dataset | Path],
    split: str | None = None,
    on_error: OnError = "refuse",
    data_dir: Path | None = None,
    offline: bool = False,
) -> tuple[list[Task], list[Failure]]:
    """Open datasets of the benchmark and folders of collections.

    Datasets are in `data_dir`, None being `beir_folder()`; those that are not are downloaded, unless `offline`. `split`
    None is the dataset's own, "test" for a collection of one's own. What cannot be had or read is told as a warning,
    and the rest goes on.
    """
    tasks: list[Task] = []
    failures: list[Failure] = []
    for one in chosen:
        name = one.name
        try:
            if isinstance(one, Path):
                tasks.append(open_task(Collection.open(one, on_error), split or _OWN_SPLIT))
                continue
            home = data_dir or beir_folder()
            prepare_dataset(one, home, offline=offline)
            parts = []
            for folder, part in one.folders.items():
                name = part.name
                asked = split or part.split
                parts.append(open_task(open_dataset(part, home / folder, asked, on_error), asked))
            tasks += parts
        except Exception as error:  # whatever it is, the rest goes on
            failures.append(Failure.of(name, error))
            warn_of(failures[-1])
    return tasks, failures
