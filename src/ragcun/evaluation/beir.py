"""Evaluation of every retriever on every collection. The result of one retriever on one collection is a cell."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ragcun.console import duration, say, warn, warn_of
from ragcun.data.collection import Collection
from ragcun.data.problems import OnError
from ragcun.errors import Failure, UserError
from ragcun.evaluation.endpoint import RANKING, Endpoint
from ragcun.evaluation.results import Cell, Result, slug
from ragcun.evaluation.tasks import Task, open_task
from ragcun.files import file_sha256
from ragcun.retrieval.registry import entry, load_retriever
from ragcun.retrieval.retrievers import Identity, RetrieverOptions

_SAMPLED = 200  # documents from which the mean length is estimated
_SEEN = 1_500  # characters of a document that a base encodes, about 256 to 384 tokens


def evaluate(
    models: Sequence[str],
    datasets: Sequence[Path],
    output: Path,
    options: RetrieverOptions,
    split: str = "test",
    on_error: OnError = "refuse",
) -> list[Result]:
    """Score each retriever on a split of each collection, and return the results in this order.

    Args:
        models: the retrievers' names, as `registry.identify` accepts them.
        datasets: the folders of the collections.
        output: the folder of all results; see `results`.
        options: the options of encoding and search.
        split: the split to evaluate on.
        on_error: whether malformed rows raise a `UserError`, or are left out and reported.

    Raises:
        UserError: there is no such retriever, collection or split, or two retrievers would have the same name.
    """
    identities = identify_all(models, options)
    tasks = [open_task(Collection.open(folder, on_error), split) for folder in datasets]
    return evaluate_tasks(identities, tasks, output, options)


def identify_all(
    models: Sequence[str], options: RetrieverOptions, failures: list[Failure] | None = None
) -> dict[str, Identity]:
    """Identify each of `models`; the keys are the names that the user gave.

    If a list of `failures` is given, a model that cannot be found is reported and added to it, and the others are still
    identified.

    Raises:
        UserError: a name is misspelt, there is no such retriever, or two would have the same name.
    """
    entries = {name: entry(name) for name in dict.fromkeys(models)}
    identities: dict[str, Identity] = {}
    for name, one in entries.items():
        with _going_on(failures, None, name):
            identities[name] = one.identify(options)
    labels = ((slug(identity.label).lower(), identity.label, name) for name, identity in identities.items())
    _refuse_duplicates(labels, "give one of them another name, as in NAME=MODEL")
    return identities


def evaluate_tasks(
    identities: Mapping[str, Identity],
    tasks: Sequence[Task],
    output: Path,
    options: RetrieverOptions,
    failures: list[Failure] | None = None,
    endpoint: Endpoint = RANKING,
) -> list[Result]:
    """Score the retrievers of `identify_all` on each task by the endpoint, and return the results in this order.

    A cell in `output` that was made from the same inputs (retriever, data, settings) is read instead of computed. After
    an interruption, only the unfinished cell is computed again, with stored embeddings. If a list of `failures` is
    given, a cell that fails or a retriever that cannot be loaded is reported and added to it, and the others are still
    evaluated.

    Raises:
        UserError: two collections would have the same name.
    """
    folders = ((task.collection.name, task.collection.name, str(task.collection.path)) for task in tasks)
    _refuse_duplicates(folders, "rename one of the folders")
    rows = [_ask_row(name, identity, tasks, output, failures, endpoint) for name, identity in identities.items()]
    agenda = _Agenda([(one.model, _work(one.task.collection)) for row in rows for one in row if one.known is None])
    _announce(rows)
    results = [result for row in rows for result in _score_row(row, options, agenda, failures, endpoint)]
    for task in tasks:
        for line in task.collection.problems.lines():
            warn(f"{task.collection.name}: {line}")
    return results


@dataclass(frozen=True)
class _Asked:
    """A cell, with its result if it is already known."""

    model: str
    label: str
    task: Task
    cell: Cell
    inputs: dict[str, Any]
    known: Result | None
    run: Path | None = None


def _ask_row(
    model: str,
    identity: Identity,
    tasks: Sequence[Task],
    output: Path,
    failures: list[Failure] | None,
    endpoint: Endpoint,
) -> list[_Asked]:
    row = []
    for task in tasks:
        with _going_on(failures, task.collection.name, model):
            row.append(_ask(model, identity, task, output, endpoint))
    return row


def _ask(model: str, identity: Identity, task: Task, output: Path, endpoint: Endpoint) -> _Asked:
    if identity.runs is not None and not endpoint.runs:
        raise UserError(f"{model}: a run has no vectors; give an encoder")
    run = None if identity.runs is None else identity.runs.find(task.collection.name, task.split)
    retriever: dict[str, Any] = identity.inputs if run is None else {"run": file_sha256(run)}
    cell = Cell(output, identity.label, task.collection.name, task.split, endpoint.folder)
    domain = None if identity.provenance is None else identity.provenance.domain(task.collection)
    inputs: dict[str, Any] = {"retriever": retriever, "data": task.data, **endpoint.inputs, "domain": domain}
    return _Asked(model, identity.label, task, cell, inputs, cell.read(model, inputs), run)


def _announce(rows: Sequence[Sequence[_Asked]]) -> None:
    """Say what will be computed, before heavy packages are imported."""
    asked = [one for row in rows for one in row if one.known is None]
    if asked:
        labels, names = (", ".join(dict.fromkeys(each)) for each in zip(*map(_names, asked), strict=True))
        kept = sum(map(len, rows)) - len(asked)
        say(f"scoring {labels} on {names}{f'; {kept} results are already there' if kept else ''}")


def _names(asked: _Asked) -> tuple[str, str]:
    return asked.label, asked.task.collection.name


class _Agenda:
    """The cells to compute, each with its model and its work, and the times of those that were computed."""

    def __init__(self, cells: Sequence[tuple[str, float]]) -> None:
        self._cells = list(cells)
        self._began: list[float] = []

    def next(self) -> str:
        """Describe the next cell."""
        self._began.append(time.monotonic())
        return _place(self._cells, [after - before for before, after in pairwise(self._began)])

    def drop(self, count: int) -> None:
        """Skip the next `count` cells."""
        del self._cells[len(self._began) : len(self._began) + count]


def _score_row(
    row: Sequence[_Asked],
    options: RetrieverOptions,
    agenda: _Agenda,
    failures: list[Failure] | None,
    endpoint: Endpoint,
) -> list[Result]:
    """Return the results of one retriever, which is loaded only if one of them is not known."""
    if all(one.known is not None for one in row):
        return [one.known for one in row if one.known is not None]
    compute = endpoint.load()  # imports torch, so only if there is work to do
    model, foreign, loaded = row[0].model, row[0].run is not None, []
    with _going_on(failures, None, model):
        loaded += [] if foreign else [load_retriever(model, options)]
    if not loaded and not foreign:
        agenda.drop(sum(one.known is None for one in row))
    results = []
    for one in row:
        if one.known is not None:
            results.append(one.known)
        elif loaded or foreign:
            collection, split = one.task.collection, one.task.split
            say(f"{one.label} on {collection.name} ({split}){agenda.next()}")
            with _going_on(failures, collection.name, model), one.cell.alone():
                known = one.cell.read(model, one.inputs)  # another process may have computed it meanwhile
                if known is None and one.run is not None:
                    from ragcun.evaluation.compute import compute_foreign

                    known = compute_foreign(model, one.label, one.run, collection, split, one.cell, one.inputs)
                results.append(known or compute(model, loaded[0], collection, split, one.cell, one.inputs))
    return results


@contextmanager
def _going_on(failures: list[Failure] | None, dataset: str | None, model: str) -> Iterator[None]:
    """Report any error in the block and add it to `failures`; without such a list, raise it."""
    try:
        yield
    except Exception as error:
        if failures is None:
            raise
        failures.append(Failure.of(dataset, error, model))
        warn_of(failures[-1])


def _refuse_duplicates(things: Iterable[tuple[str, str, str]], remedy: str) -> None:
    """Raise if two of `things` (key, name, what the user gave) have the same key, as their cells would be the same."""
    first: dict[str, str] = {}
    for key, name, given in things:
        other = first.setdefault(key, given)
        if other != given:
            raise UserError(f"{other} and {given} would both be called {name!r}; {remedy}")


def _work(collection: Collection) -> float:
    """Estimate the number of characters to encode from a few documents."""
    corpus = collection.corpus
    step = max(1, len(corpus) // _SAMPLED)
    seen = [min(len(corpus[row]), _SEEN) for row in range(0, len(corpus), step)]
    return len(corpus) * sum(seen) / max(1, len(seen))


def _place(cells: Sequence[tuple[str, float]], seconds: Sequence[float]) -> str:
    """Describe the next cell, and estimate the time left for its model from the model's cells before it.

    `cells` are all cells, each with its model and its work; `seconds` are the times of those that are done. There is no
    estimate before a model's first cell is done.
    """
    if len(cells) == 1:
        return ""
    done = len(seconds)
    model = cells[done][0]
    own = [(work, taken) for (of, work), taken in zip(cells, seconds, strict=False) if of == model]
    left = sum(work for of, work in cells[done:] if of == model)
    known = sum(work for work, _ in own)
    said = f", about {duration(sum(taken for _, taken in own) * left / known)} left" if known else ""
    others = len({of for of, _ in cells[done:]}) > 1
    return f", {done + 1} of {len(cells)}{said}{' for this model' if said and others else ''}"
