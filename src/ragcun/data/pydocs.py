"""A collection on any machine, without a download: the documentation of the packages that are installed with ragcun."""

import hashlib
import json
import os
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from ragcun.console import progress, say
from ragcun.data.collection import write_collection
from ragcun.data.docstrings import read_file
from ragcun.data.packages import Package, required_packages, standard_library
from ragcun.errors import UserError
from ragcun.files import read_json, write_json
from ragcun.machine import cores

SHARES = {"train": 0.8, "dev": 0.1, "test": 0.1}
OPENING_WORDS = 20


class Pair(NamedTuple):
    """A document and the query that it answers: a docstring's body and summary. `id` is the dotted name."""

    package: str
    id: str
    query: str
    document: str


def pydocs_collection(
    path: str | os.PathLike[str],
    documents: int | None = None,
    seed: int = 0,
    max_words: int = 100,
    packages: Sequence[Package] | None = None,
    processes: int | None = None,
) -> Path:
    """Write a collection of docstrings with train, dev and test qrels and return its folder.

    A query is a docstring's summary; its one relevant document is what follows, the first `max_words` words of it.
    The packages (default: the standard library and all that ragcun requires) are split, rather than the pairs, about
    80/10/10. `documents` bounds the size: so many pairs, in these shares, are sampled by `seed`. The same packages
    give the same collection; its SHA-256 is the "fingerprint" in the folder's `source.json`, beside the packages with
    their versions, licences and splits.

    A folder that holds this very collection is left as it is. Files are read in `processes` processes (default: one
    for each core); 1 starts none. Raises `UserError` where the folder holds anything else, or a split would be empty.
    """
    folder = Path(path)
    source = folder / "source.json"
    if folder.exists() and not source.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: exists and is no collection of docstrings; choose another folder")
    packages = [*standard_library(), *required_packages()] if packages is None else packages
    pairs, files = read_packages(packages, max_words, processes)
    splits = sample(split_by_package(distinct(pairs)), documents, seed)
    fingerprint = hashlib.sha256(json.dumps(splits, sort_keys=True).encode()).hexdigest()
    if source.exists():
        if read_json(source).get("fingerprint") != fingerprint:
            raise UserError(f"{folder}: holds another collection of docstrings; remove it or choose another folder")
        say(f"{folder}: up to date")
        return folder
    total = sum(map(len, splits.values()))
    description = {
        "fingerprint": fingerprint,
        "documents": total,
        "queries": total,
        "splits": {split: len(rows) for split, rows in splits.items()},
        "settings": {"documents": documents, "seed": seed, "max_words": max_words},
        "files": dict(sorted(files.items())),
        "packages": _described(packages, splits),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        staged = _write(Path(temporary) / "collection", splits)
        write_json(staged / "source.json", description)
        staged.replace(folder)
    return folder


def read_packages(
    packages: Sequence[Package], max_words: int, processes: int | None = None
) -> tuple[list[Pair], Counter[str]]:
    """The pairs of `packages`, in their order, and how many files were "read" or left out (why: see `read_file`)."""
    jobs = [(package.name, module, path) for package in packages for module, path in package.modules.items()]
    names, modules, paths = zip(*jobs, strict=True) if jobs else ((), (), ())
    processes = processes or cores()
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn")) if processes > 1 else None
    pairs: list[Pair] = []
    files: Counter[str] = Counter()
    with progress("reading documentation", len(jobs), "files") as bar, pool or nullcontext():
        arguments = (read_file, paths, modules, repeat(max_words))
        results = pool.map(*arguments, chunksize=64) if pool else map(*arguments)
        for name, result in zip(names, results, strict=True):
            bar.advance()
            files["read" if isinstance(result, list) else result] += 1
            if isinstance(result, list):
                pairs += (Pair(name, *docstring) for docstring in result)
    return pairs, files


def distinct(pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs whose query and document belong to each other alone.

    Of copies (the same query, and documents that begin alike) the first stays. A query that stands over different
    documents, and a beginning that stands under different queries, would make judgements untrue: all such pairs go.
    Case, digits and punctuation make no difference; a beginning is `OPENING_WORDS` words.
    """
    firsts: dict[tuple[str, str], Pair] = {}
    for pair in pairs:
        firsts.setdefault((_key(pair.query), _key(pair.document, OPENING_WORDS)), pair)
    queries = Counter(query for query, _ in firsts)
    openings = Counter(opening for _, opening in firsts)
    unique = [pair for (query, opening), pair in firsts.items() if queries[query] == openings[opening] == 1]
    return list({pair.id: pair for pair in reversed(unique)}.values())[::-1]


def _key(text: str, words: int | None = None) -> str:
    return " ".join(re.findall(r"[^\W\d_]+", text.lower())[:words])


def split_by_package(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    """The pairs by split, a package's all in one of them, in about the `SHARES`.

    In the order of a hash of their names, packages that take up at most a third of a split go to test, then to dev,
    as long as there is room; where none is that small, the smallest goes. The rest is for training; no split is
    empty. Raises `UserError` where there are fewer than three packages.
    """
    of_package: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        of_package[pair.package].append(pair)
    if len(of_package) < len(SHARES):
        raise UserError(f"usable docstrings in {len(of_package)} packages only; at least {len(SHARES)} are needed")
    waiting = sorted(of_package, key=lambda name: hashlib.sha256(name.encode()).digest())
    total = sum(map(len, of_package.values()))
    splits: dict[str, list[Pair]] = {split: [] for split in SHARES}
    for split, to_leave in (("test", 2), ("dev", 1)):
        size = SHARES[split] * total
        for name in list(waiting):
            if len(waiting) > to_leave and len(of_package[name]) <= min(size / 3, size - len(splits[split])):
                splits[split] += of_package[name]
                waiting.remove(name)
        if not splits[split]:
            smallest = min(waiting, key=lambda name: len(of_package[name]))
            splits[split] = of_package[smallest]
            waiting.remove(smallest)
    splits["train"] = [pair for name in waiting for pair in of_package[name]]
    return splits


def sample(splits: Mapping[str, list[Pair]], documents: int | None, seed: int) -> dict[str, list[Pair]]:
    """At most `documents` pairs (None: all), in the `SHARES`, chosen by the seed; each split is sorted by id."""
    chosen = {}
    for split, pairs in splits.items():
        size = len(pairs) if documents is None else round(documents * SHARES[split])
        if size < 1:
            raise UserError(f"{documents} documents leave the {split} split empty; ask for at least 10")
        ranked = sorted(pairs, key=lambda pair: hashlib.sha256(f"{seed} {pair.id}".encode()).digest())
        chosen[split] = sorted(ranked[:size], key=lambda pair: pair.id)
    return chosen


def _write(folder: Path, splits: Mapping[str, list[Pair]]) -> Path:
    pairs = [pair for rows in splits.values() for pair in rows]
    return write_collection(
        folder,
        ((pair.id, "", pair.document) for pair in pairs),
        ((_query_id(pair), pair.query) for pair in pairs),
        {split: ((_query_id(pair), pair.id, 1) for pair in rows) for split, rows in splits.items()},
    )


def _query_id(pair: Pair) -> str:
    """Not the document's id: BEIR's rule leaves a document out of the ranking for the query of the same id."""
    return f"{pair.id}?"


def _described(packages: Iterable[Package], splits: Mapping[str, list[Pair]]) -> list[dict[str, str | int]]:
    split_of = {pair.package: split for split, pairs in splits.items() for pair in pairs}
    sizes = Counter(pair.package for pairs in splits.values() for pair in pairs)
    return [
        {
            "name": package.name,
            "version": package.version,
            "licence": package.licence,
            "split": split_of[package.name],
            "pairs": sizes[package.name],
        }
        for package in packages
        if package.name in split_of
    ]
