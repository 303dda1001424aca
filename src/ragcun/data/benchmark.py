"""The datasets of BEIR and NanoBEIR, as declared in beir.toml and nanobeir.toml, and the check of their files."""

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ragcun.data.collection import Collection, is_collection
from ragcun.data.index import EMPTY
from ragcun.data.problems import OnError, Problems
from ragcun.errors import UserError, did_you_mean

GROUPS = ("all", "public", "small", "nanobeir")


@dataclass(frozen=True)
class Dataset:
    """A dataset of the benchmark, or one part of it. The headings in the TOML files state the sources.

    Attributes:
        name: BEIR's name, which is also the name of the folder.
        title: the name in papers.
        aliases: other names of the dataset.
        hub: the repository on the hub; None if the hub does not have the whole dataset.
        revision: the commit of `hub`; None is the newest.
        md5: MD5 of BEIR's zip archive; None if there is none.
        split: the split to evaluate on.
        documents: number of documents in the corpus.
        queries: number of queries with a judgement in `split`.
        judgements: number of judgements in `split`, of all grades; None if unknown.
        words: mean numbers of words of a query and of a document; for NanoBEIR, those of the whole dataset.
        own_document: whether BEIR removes the document with the query's id from a ranking.
        licence: the licence; None if the owner must be asked.
        bring: how to obtain a dataset that may not be redistributed; None if it can be downloaded.
        parts: the datasets whose mean score is this dataset's score, if it is not one collection.
        whole: the name of the dataset of which this is a part, if any.
    """

    name: str
    title: str
    split: str
    documents: int
    queries: int
    judgements: int | None
    words: tuple[float, float]
    own_document: bool
    domain: str
    task: str
    citation: str
    aliases: tuple[str, ...] = ()
    hub: str | None = None
    revision: str | None = None
    md5: str | None = None
    licence: str | None = None
    small: bool = False
    bring: str | None = None
    parts: "tuple[Dataset, ...]" = ()
    whole: str | None = None

    @property
    def nano(self) -> bool:
        """Whether the dataset is one of NanoBEIR."""
        return self.name.startswith("nano-")

    @property
    def folder(self) -> str:
        """The folder, relative to the folder of all datasets."""
        return self.name if self.whole is None else f"{self.whole}/{self.name.removeprefix(f'{self.whole}-')}"

    @property
    def folders(self) -> "dict[str, Dataset]":
        """The collections by their folders, relative to the folder of all datasets."""
        return {part.folder: part for part in self.parts} or {self.folder: self}

    def to_json(self) -> dict[str, Any]:
        """Return all attributes as JSON."""
        return asdict(self)


@cache
def datasets() -> dict[str, Dataset]:
    """Return all datasets by name: BEIR's in the paper's order, then NanoBEIR's."""
    found: dict[str, Dataset] = {}
    for table in ("beir.toml", "nanobeir.toml"):
        entries = tomllib.loads((files("ragcun.data") / table).read_text(encoding="utf-8"))
        for name, entry in entries.items():
            whole = _named(name.removeprefix("nano-"), found.values())
            found[name] = _dataset(name, {"words": whole and whole.words} | entry)
    return found


def _dataset(name: str, entry: dict[str, Any]) -> Dataset:
    entry |= {"aliases": tuple(entry.get("aliases", ())), "words": tuple(entry["words"])}
    counted = entry.pop("parts", None)
    if counted is None:
        return Dataset(name=name, judgements=entry.pop("judgements", None), **entry)
    parts = []
    for part, (documents, queries, judgements) in counted.items():
        facts = entry | {"title": f"{entry['title']}, {part}", "aliases": (), "whole": name}
        counts = {"documents": documents, "queries": queries, "judgements": judgements}
        parts.append(Dataset(name=f"{name}-{part}", **counts, **facts))
    sums = {key: sum(getattr(part, key) for part in parts) for key in ("documents", "queries", "judgements")}
    return Dataset(name=name, parts=tuple(parts), **sums, **entry)


def find_dataset(name: str) -> Dataset | None:
    """Find the dataset, or part of one, with this name or alias, ignoring case; None if there is none."""
    known = [one for dataset in datasets().values() for one in (dataset, *dataset.parts)]
    return _named(name.lower().replace("_", "-").replace("/", "-"), known)


def _named(name: str, known: Iterable[Dataset]) -> Dataset | None:
    return next((dataset for dataset in known if name == dataset.name or name in dataset.aliases), None)


def dataset_names() -> list[str]:
    """List every name that `select_datasets` accepts."""
    names = [name for one in datasets().values() for name in (one.name, *one.aliases, *(p.name for p in one.parts))]
    return [*GROUPS, *names]


def select_datasets(names: Iterable[str]) -> list[Dataset]:
    """Select datasets by names, aliases and groups, each once.

    "all" is the 19 datasets of BEIR, "public" the 15 of them that can be downloaded, "small" those that take minutes on
    a laptop, and "nanobeir" the 13 datasets of NanoBEIR.

    Raises:
        UserError: there is no such dataset; the message lists those that exist.
    """
    found: dict[str, Dataset] = {}
    for name in names:
        if name.lower() in GROUPS:
            found |= {dataset.name: dataset for dataset in _group(name.lower())}
        elif (dataset := find_dataset(name)) is not None:
            found[dataset.name] = dataset
        else:
            hint = did_you_mean(name, dataset_names())
            raise UserError(f"no dataset {name!r}{hint}; there are {', '.join([*GROUPS, *datasets()])}")
    return [dataset for dataset in found.values() if dataset.whole not in found]


def _group(name: str) -> list[Dataset]:
    kept: dict[str, Callable[[Dataset], bool]] = {
        "all": lambda dataset: not dataset.nano,
        "public": lambda dataset: not dataset.nano and dataset.bring is None,
        "small": lambda dataset: dataset.small,
        "nanobeir": lambda dataset: dataset.nano,
    }
    return [dataset for dataset in datasets().values() if kept[name](dataset)]


def open_dataset(dataset: Dataset, folder: Path, split: str, on_error: OnError = "refuse") -> Collection:
    """Open the collection in `folder`, and check that it is `dataset`.

    Documents are counted and, if `split` is the dataset's own, judged queries and judgements, including rows that are
    left out. Documents without text, of which some datasets have a few, are always left out and reported; `on_error`
    applies to all other malformed rows.

    Raises:
        UserError: a count differs, and the message says how the collection can be evaluated anyway; or as
            `Collection.open` does.
    """
    collection = Collection.open(folder, "skip", dataset.name)
    expected: dict[str, int | None] = {"documents": dataset.documents}
    found = {"documents": len(collection.corpus) + _left_out(collection.corpus.problems)}
    before = _left_out(collection.problems)
    judgements = collection.judgements(split)
    if split == dataset.split:
        left_out = _left_out(collection.problems) - before
        expected["judgements"], found["judgements"] = dataset.judgements, len(judgements.grades) + left_out
        if not left_out:
            expected["judged queries"], found["judged queries"] = dataset.queries, len(set(judgements.query_ids))
    wrong = [
        f"{found[what]:,} {what} instead of {count:,}"
        for what, count in expected.items()
        if count is not None and found[what] != count
    ]
    if wrong:
        raise UserError(
            f"{folder}: not BEIR's {dataset.title} ({'; '.join(wrong)}); to evaluate your own collection, use "
            f"`ragcun eval collection {folder}`"
        )
    malformed = {kind: count for kind, count in collection.problems.counts.items() if kind != EMPTY}
    Problems(malformed, places=collection.problems.places).settle(on_error)
    return collection


def _left_out(problems: Problems) -> int:
    return sum(problems.counts.values()) + sum(problems.notes.values())


def present(dataset: Dataset, data_dir: Path) -> bool:
    """Return whether all collections of the dataset are in `data_dir`, without checking their content."""
    return all(is_collection(data_dir / folder) for folder in dataset.folders)
