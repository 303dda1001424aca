"""Evaluation on collections in BEIR's layout: every retriever on every collection, each cell computed once."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragcun.console import duration, say, warn, warn_of
from ragcun.data.collection import Collection
from ragcun.data.problems import OnError
from ragcun.errors import Failure, UserError
from ragcun.evaluation.cells import Cell, CellResult, slug
from ragcun.evaluation.metrics import DEPTH, MEASURES
from ragcun.evaluation.tasks import Task, open_task
from ragcun.retrieval.registry import entry, load_retriever
from ragcun.retrieval.retrievers import Identity, Retriever, RetrieverOptions

EVERY = "all"


def find_datasets(names: Sequence[str], data_dir: Path, split: str) -> list[Path]:
    """The folders of the collections called `names` in `data_dir`; "all" is every one that has the split.

    Raises:
        UserError: one of them is not there; says what is.
    """
    there = {folder.name: folder for folder in sorted(data_dir.glob("*")) if (folder / "corpus.jsonl").is_file()}
    wanted: dict[str, Path] = {}
    for name in names:
        if name == EVERY:
            wanted |= {name: path for name, path in there.items() if (path / "qrels" / f"{split}.tsv").is_file()}
        elif name in there:
            wanted[name] = there[name]
        else:
            raise UserError(f"{data_dir}: no collection {name!r}; it has {', '.join(there) or 'none'}")
    if not wanted:
        raise UserError(f"{data_dir}: no collection with a split {split!r}; it has {', '.join(there) or 'none'}")
    return list(wanted.values())


def evaluate(
    models: Sequence[str],
    datasets: Sequence[Path],
    output: Path,
    encoding: RetrieverOptions,
    split: str = "test",
    on_error: OnError = "refuse",
) -> list[CellResult]:
    """Score each retriever on a split of each collection; results in that order.

    Args:
        models: names as `retrievers.identify` takes them.
        datasets: folders of collections.
        output: the folder of all results; see `cells`.
        encoding: how encoders encode.
        split: whose queries are asked.
        on_error: malformed rows of a collection raise a `UserError`, or are left out and told.

    Raises:
        UserError: there is no such retriever, collection or split, or two retrievers would have one name.
    """
    identities = identify_all(models, encoding)
    tasks = [open_task(Collection.open(folder, on_error), split) for folder in datasets]
    return evaluate_tasks(identities, tasks, output, encoding)


def identify_all(
    models: Sequence[str], encoding: RetrieverOptions, failures: list[Failure] | None = None
) -> dict[str, Identity]:
    """What each of `models` is, by the name that the user gave.

    Where a list of `failures` is given, one that cannot be had is told and added to it, and the rest goes on.

    Raises:
        UserError: a name is misspelt, there is no such retriever, or two would have one name.
    """
    entries = {name: entry(name) for name in dict.fromkeys(models)}
    identities: dict[str, Identity] = {}
    for name, one in entries.items():
        with _going_on(failures, None, name):
            identities[name] = one.identify(encoding)
    _refuse_twins((slug(identity.label).lower(), identity.label, name) for name, identity in identities.items())
    return identities


def evaluate_tasks(
    identities: Mapping[str, Identity],
    tasks: Sequence[Task],
    output: Path,
    encoding: RetrieverOptions,
    failures: list[Failure] | None = None,
) -> list[CellResult]:
    """Score each retriever, as `identify_all` gives them, on each task; results in that order.

    A cell that `output` already has, made from the same inputs (retriever, data, settings), is read, not computed. An
    interruption costs the cell that is being computed, and of that only what the embedding store has not kept. Where a
    list of `failures` is given, a cell that fails, or a retriever that cannot be loaded, is told and added to it, and
    the rest goes on.

    Raises:
        UserError: two collections would have one name.
    """
    _refuse_twins((task.collection.name, task.collection.name, str(task.collection.path)) for task in tasks)
    asked = [_ask(name, identity, task, output) for name, identity in identities.items() for task in tasks]
    sizes = [len(one.task.collection.corpus) for one in asked if one.known is None]
    began, number = time.monotonic(), 0
    loaded: tuple[str | None, Retriever | None] = None, None
    results = []
    for one in asked:
        if one.known is not None:
            results.append(one.known)
            continue
        from ragcun.evaluation.compute import compute  # torch comes in only where there is work to do

        if loaded[0] != one.model:
            loaded = one.model, None  # one at a time
            with _going_on(failures, None, one.model):
                loaded = one.model, load_retriever(one.model, encoding)
        if loaded[1] is None:
            del sizes[number]
            continue
        collection, split = one.task.collection, one.task.split
        say(f"{one.label} on {collection.name} ({split}){_place(number, sizes, time.monotonic() - began)}")
        with _going_on(failures, collection.name, one.model):
            results.append(compute(one.model, loaded[1], collection, split, output, one.cell, one.inputs))
        number += 1
    for task in tasks:
        for line in task.collection.problems.lines():
            warn(f"{task.collection.name}: {line}")
    return results


@contextmanager
def _going_on(failures: list[Failure] | None, dataset: str | None, model: str) -> Iterator[None]:
    """Tell what fails within, whatever it is, and add it to `failures`; where there is no such list, raise it."""
    try:
        yield
    except Exception as error:
        if failures is None:
            raise
        failures.append(Failure.of(dataset, error, model))
        warn_of(failures[-1])


@dataclass(frozen=True)
class _Asked:
    """A cell, and its result where it is known."""

    model: str
    label: str
    task: Task
    cell: Cell
    inputs: dict[str, Any]
    known: CellResult | None


def _ask(model: str, identity: Identity, task: Task, output: Path) -> _Asked:
    cell = Cell(output, identity.label, task.collection.name, task.split)
    inputs = {"retriever": identity.inputs, "data": task.data, "measures": list(MEASURES), "depth": DEPTH}
    return _Asked(model, identity.label, task, cell, inputs, cell.read(model, inputs))


def _refuse_twins(things: Iterable[tuple[str, str, str]]) -> None:
    """Raise where two of `things` (key, name, what the user gave) have one key: their cells would be the same."""
    first: dict[str, str] = {}
    for key, name, given in things:
        other = first.setdefault(key, given)
        if other != given:
            raise UserError(f"{other} and {given} would both be called {name!r}; rename one's folder")


def _place(number: int, documents: Sequence[int], seconds: float) -> str:
    """Which cell comes next, and what all that are left will take at the pace of those before it."""
    if len(documents) == 1:
        return ""
    left = ""
    if number:
        left = f", about {duration(seconds * sum(documents[number:]) / sum(documents[:number]))} left"
    return f", {number + 1} of {len(documents)}{left}"
