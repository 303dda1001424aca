"""Runs: rankings with scores, in TREC's format `query Q0 document rank score tag`."""

import errno
import math
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from ragcun.data.streams import open_text
from ragcun.errors import RagcunError, UserError
from ragcun.files import atomic_path

Run = Mapping[str, Mapping[str, float]]

_UNSAFE = re.compile(r"[\s%]+")


def ranked(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """Sort a query's documents and float32 scores in trec_eval's order: score descending, then document id descending.

    trec_eval uses float32 for scores, compares ids byte by byte (`strcmp`), and ignores the ranks in the run file.
    Raises `RagcunError` for a score that is NaN.
    """
    values = np.fromiter(scores.values(), np.float32, len(scores)).tolist()
    for id_, value in zip(scores, values, strict=True):
        if math.isnan(value):
            raise RagcunError(f"the score of document {id_!r} is NaN, so it cannot be ranked")
    triples = ((value, id_.encode("utf-8", "surrogatepass"), id_) for id_, value in zip(scores, values, strict=True))
    return [(id_, value) for value, _, id_ in sorted(triples, reverse=True)]


def write_run(path: Path, parts: Iterable[Run], tag: str) -> None:
    """Write a run that is given in parts with different queries, completely or not at all.

    Scores are printed so that float32 values are read back exactly, and ranks are those of trec_eval. White space and %
    in ids and in the tag are percent-encoded, because white space separates columns. Raises as `ranked` does.
    """
    tag = _escaped(tag)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for query, scores in (item for run in parts for item in run.items()):
            for rank, (document, score) in enumerate(ranked(scores), start=1):
                stream.write(f"{_escaped(query)} Q0 {_escaped(document)} {rank} {score:.9g} {tag}\n")


def read_run(path: Path, escaped: bool = True) -> dict[str, dict[str, float]]:
    """Read a run, compressed by gzip or not: query id -> document id -> score.

    Comments before the first result, such as the metadata of ir_metadata, and empty lines are skipped. `escaped` says
    whether ids are percent-encoded, as `write_run` writes them.

    Raises:
        UserError: the file is missing, or a line is malformed, has a score of NaN or repeats a document.
    """
    run: dict[str, dict[str, float]] = {}
    decoded = unquote if escaped else str
    if not path.is_file():
        raise UserError(f"{path}: {os.strerror(errno.EISDIR if path.is_dir() else errno.ENOENT)}")
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            fields = line.split()
            if not fields or (not run and fields[0].startswith("#") and fields[1:2] != ["Q0"]):
                continue
            try:
                query, _, document, _, shown, _ = fields
                score = float(shown)
            except ValueError:
                raise UserError(f"{path}:{number}: not `query Q0 document rank score tag`: {line.strip()!r}") from None
            scores = run.setdefault(decoded(query), {})
            if math.isnan(score) or decoded(document) in scores:
                problem = "has the score NaN" if math.isnan(score) else "appears twice for the query"
                raise UserError(f"{path}:{number}: document {document!r} {problem}")
            scores[decoded(document)] = score
    return run


@lru_cache(2**16)
def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda found: quote(found[0], safe=""), text)


def read_top(path: Path, depth: int) -> dict[str, list[str]]:
    """Read the first `depth` documents of each query of a run that `write_run` wrote, best first.

    The lines of a query are contiguous, and those after the first `depth` are skipped. Raises `UserError` for a
    malformed line.
    """
    tops: dict[str, list[str]] = {}
    if not path.stat().st_size:
        return tops
    with path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
        start = 0
        while start < len(content):
            query = content[start : content.find(b" ", start) + 1]
            top = tops.setdefault(unquote(query.decode().strip()), [])
            place = start
            while len(top) < depth and content[place : place + len(query)] == query:
                end = content.find(b"\n", place) % (len(content) + 1)  # the last line may have no end
                fields = content[place:end].decode().split()
                if len(fields) != 6:
                    raise UserError(f"{path}: not `query Q0 document rank score tag`: {' '.join(fields)!r}")
                top.append(unquote(fields[2]))
                place = end + 1
            start = _behind(content, start, query)
    return tops


def _behind(content: mmap, start: int, query: bytes) -> int:
    """Return the end of the lines that begin with `query`, of which one begins at `start`."""
    step = 2**12
    while (beyond := content.find(b"\n", start + step) + 1) and content[beyond : beyond + len(query)] == query:
        start, step = beyond, 2 * step
    beyond = beyond or len(content)
    while (line := content.find(b"\n", start) + 1) and line < beyond:
        middle = max(line, content.rfind(b"\n", line, (line + beyond) // 2) + 1)
        if content[middle : middle + len(query)] == query:
            start = middle
        else:
            beyond = middle
    return beyond
