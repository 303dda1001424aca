"""A collection that needs no download, made from Python's own documentation."""

import hashlib
import json
import os
import platform
import re
import sys
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ragcun.console import progress, say
from ragcun.data.collection import write_collection
from ragcun.data.docstrings import read_docstrings, split_docstring
from ragcun.data.finished import SOURCE, finished
from ragcun.errors import UserError
from ragcun.files import atomic_folder
from ragcun.intact import write_record
from ragcun.lock import only_writer

PYDOCS = "pydocs"  # the name of the collection in commands
SHARES = {"train": 0.7, "dev": 0.1, "test": 0.2}
OPENING_WORDS = 20
LICENCE = "PSF-2.0"

_TESTS = re.compile(r"(?:.*_)?tests?|tests?_.*|idle_test")


class Pair(NamedTuple):
    """A document, its query, its `id`, and its `part` (module or topic), which stays within one split."""

    part: str
    id: str
    query: str
    document: str


def pydocs_collection(
    path: str | os.PathLike[str], documents: int | None = None, seed: int = 0, max_words: int = 100
) -> Path:
    """Write a collection made from the documentation of the running Python, and return its folder.

    The sources are the docstrings of the standard library and the topics of `help()`. A query is the first sentence
    of a docstring, or of a paragraph of a topic; its only relevant document is the next `max_words` words. Modules and
    topics, rather than pairs, are divided into train, dev and test, in about the `SHARES`. At most `documents` pairs
    are sampled by `seed`, in the same shares.

    The same Python gives the same collection. The folder's `source.json` contains its SHA-256 as "fingerprint", and the
    version of Python. A folder that already has this collection is left as it is.

    Raises:
        UserError: the folder has other content, another process is making it, or a split would be empty.
    """
    folder = Path(path)
    with only_writer(folder.parent, "ragcun data pydocs", part=folder.name):
        return _made(folder, documents, seed, max_words)


def _made(folder: Path, documents: int | None, seed: int, max_words: int) -> Path:
    settings = {"documents": documents, "seed": seed, "max_words": max_words}
    made = finished(folder, settings)
    if folder.exists() and made is None and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: exists and is not a collection of Python's documentation; choose another folder")
    splits = sample(split_by_part(distinct(read_documentation(max_words))), documents, seed)
    fingerprint = hashlib.sha256(json.dumps(splits, sort_keys=True).encode()).hexdigest()
    if made is not None:
        if made["fingerprint"] != fingerprint:
            raise UserError(f"{folder}: was made with another Python; remove it or choose another folder")
        say(f"{folder}: is already complete")
        return folder
    total = sum(map(len, splits.values()))
    description = {
        "fingerprint": fingerprint,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "licence": LICENCE,
        "documents": total,
        "queries": total,
        "splits": {split: len(rows) for split, rows in splits.items()},
        "settings": settings,
        "parts": {split: dict(sorted(Counter(pair.part for pair in rows).items())) for split, rows in splits.items()},
    }
    with atomic_folder(folder) as staged:
        _write(staged, splits)
        write_record(staged / SOURCE, description, [path for path in staged.rglob("*") if path.is_file()])
    return folder


def read_documentation(max_words: int) -> list[Pair]:
    """Read the pairs of the standard library's docstrings and of the topics of `help()`, in the order of names."""
    pairs = []
    files = source_files()
    with progress("reading documentation", len(files), "files") as bar:
        for module, path in files.items():
            found = read_docstrings(path.read_bytes(), module, max_words)
            pairs += [Pair(module.partition(".")[0], *docstring) for docstring in found]
            bar.advance()
    for topic, text in sorted(topics().items()):
        for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
            name = f"topics.{topic}.paragraph{number}"
            if texts := split_docstring(paragraph, name, max_words):
                pairs.append(Pair(f"topics.{topic}", name, *texts))
    return pairs


def source_files(names: Iterable[str] = sys.stdlib_module_names) -> dict[str, Path]:
    """Return the Python files of the standard library's modules `names`, without tests, sorted by dotted name."""
    root = Path(sysconfig.get_path("stdlib"))
    found = {}
    for name in names:
        for path in (root / f"{name}.py", *(root / name).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if path.is_file() and all(part.isidentifier() and not _TESTS.fullmatch(part) for part in parts):
                found[".".join(parts).removesuffix(".__init__")] = path
    return dict(sorted(found.items()))


def topics() -> dict[str, str]:
    """Return the text of each topic of `help()`; empty if Python was installed without them."""
    try:
        from pydoc_data.topics import topics as found
    except ImportError:
        return {}
    return dict(found)


def distinct(pairs: Iterable[Pair]) -> list[Pair]:
    """Keep the pairs whose query and document belong only to each other.

    Of copies (the same query, and documents with the same opening), the first is kept. If a query has different
    documents, or an opening has different queries, judgements would be wrong, so all these pairs are left out. Case,
    digits and punctuation are ignored; an opening is the first `OPENING_WORDS` words.
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


def split_by_part(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    """Divide the pairs into splits of about the `SHARES`, with all pairs of a part in one split.

    In the order of a hash of their names, parts of at most a third of a split are put into test, then into dev, while
    there is room; if no part is that small, the smallest is taken. The rest is for training. No split is empty.

    Raises:
        UserError: there are fewer than three parts.
    """
    of_part: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        of_part[pair.part].append(pair)
    if len(of_part) < len(SHARES):
        raise UserError(
            f"usable documentation in {len(of_part)} modules of the standard library only; at least {len(SHARES)} are "
            "needed: use a Python that has its source files"
        )
    waiting = sorted(of_part, key=lambda name: hashlib.sha256(name.encode()).digest())
    total = sum(map(len, of_part.values()))
    splits: dict[str, list[Pair]] = {split: [] for split in SHARES}
    for split, to_leave in (("test", 2), ("dev", 1)):
        size = SHARES[split] * total
        for name in list(waiting):
            if len(waiting) > to_leave and len(of_part[name]) <= min(size / 3, size - len(splits[split])):
                splits[split] += of_part[name]
                waiting.remove(name)
        if not splits[split]:
            smallest = min(waiting, key=lambda name: len(of_part[name]))
            splits[split] = of_part[smallest]
            waiting.remove(smallest)
    splits["train"] = [pair for name in waiting for pair in of_part[name]]
    return splits


def sample(splits: Mapping[str, list[Pair]], documents: int | None, seed: int) -> dict[str, list[Pair]]:
    """Sample at most `documents` pairs (None: all) in the `SHARES`, by the seed; each split is sorted by id."""
    chosen = {}
    for split, pairs in splits.items():
        size = len(pairs) if documents is None else round(documents * SHARES[split])
        if size < 1:
            raise UserError(f"{documents} documents leave the {split} split empty; give at least 10")
        ranked = sorted(pairs, key=lambda pair: hashlib.sha256(f"{seed} {pair.id}".encode()).digest())
        chosen[split] = sorted(ranked[:size], key=lambda pair: pair.id)
    return chosen


def _write(folder: Path, splits: Mapping[str, list[Pair]]) -> None:
    pairs = [pair for rows in splits.values() for pair in rows]
    write_collection(
        folder,
        ((pair.id, "", pair.document) for pair in pairs),
        ((_query_id(pair), pair.query) for pair in pairs),
        {split: ((_query_id(pair), pair.id, 1) for pair in rows) for split, rows in splits.items()},
    )


def _query_id(pair: Pair) -> str:
    """Return an id that differs from the document's, since BEIR excludes a document with the query's id."""
    return f"{pair.id}?"
