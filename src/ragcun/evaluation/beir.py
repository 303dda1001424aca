"""Evaluation on collections in BEIR's layout: every retriever on every collection, each cell computed once."""

from collections.abc import Sequence
from pathlib import Path

from ragcun.console import say, warn
from ragcun.data.collection import Collection
from ragcun.data.problems import OnError
from ragcun.errors import UserError
from ragcun.evaluation.cells import Cell, CellResult, slug
from ragcun.evaluation.metrics import DEPTH, MEASURES
from ragcun.retrieval.registry import identify, load_retriever
from ragcun.retrieval.retrievers import Encoding, Retriever

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
    encoding: Encoding,
    split: str = "test",
    on_error: OnError = "refuse",
) -> list[CellResult]:
    """Score each retriever on a split of each collection; results in that order.

    A cell that `output` already has, made from the same inputs (retriever, data, settings), is read, not computed. An
    interruption costs the cell that is being computed, and of that only what the embedding store has not kept.

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
    identities = {name: identify(name, encoding) for name in dict.fromkeys(models)}
    names: dict[str, str] = {}
    for name, identity in identities.items():
        other = names.setdefault(slug(identity.label).lower(), name)
        if other != name:
            raise UserError(f"{other} and {name} would both be called {identity.label!r}; rename one's folder")
    collections = [Collection.open(folder, on_error) for folder in datasets]
    data = [collection.fingerprint(split) for collection in collections]
    results = []
    for name, identity in identities.items():
        retriever: Retriever | None = None
        for collection, fingerprint in zip(collections, data, strict=True):
            cell = Cell(output, identity.label, collection.name, split)
            inputs = {"retriever": identity.inputs, "data": fingerprint, "measures": list(MEASURES), "depth": DEPTH}
            result = cell.read(name, inputs)
            if result is None:
                from ragcun.evaluation.compute import compute  # torch comes in only where there is work to do

                say(f"{identity.label} on {collection.name} ({split})")
                retriever = retriever or load_retriever(name, encoding)
                result = compute(name, retriever, collection, split, output, cell, inputs)
            results.append(result)
    for collection in collections:
        for line in collection.problems.lines():
            warn(f"{collection.name}: {line}")
    return results
