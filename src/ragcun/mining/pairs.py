"""`ragcun data pairs`: training pairs from documents, with negatives, and a collection to test on.

The documents are streamed three times: to find the passages that give a pair, to write train.jsonl and val.jsonl, and
to write test/. Only one byte per passage and two digests of 8 bytes per pair are kept in memory.
"""

import hashlib
import re
import shutil
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragcun.console import progress, say, warn
from ragcun.data.collection import write_collection
from ragcun.data.finished import SOURCE, made_once
from ragcun.data.pairs import load_pairs, write_pairs
from ragcun.data.problems import OnError, Problems
from ragcun.errors import UserError
from ragcun.files import file_sha256
from ragcun.intact import write_record
from ragcun.mining.negatives import Mining, with_negatives
from ragcun.mining.passages import Passage, read_passages
from ragcun.mining.queries import METHODS, Pair, Skip
from ragcun.retrieval.retrievers import RetrieverOptions

Query = Literal["first-sentence", "title", "inverse-cloze", "doc2query"]
Shares = tuple[float, float, float]
Splits = npt.NDArray[np.uint8]
_WORDS = re.compile(r"\W+")
_KEPT = ".queries.jsonl"


class Split(IntEnum):
    """The split of a passage's pair."""

    NONE = 0
    TRAIN = 1
    VAL = 2
    TEST = 3


@dataclass(frozen=True)
class PairSettings:
    """The settings of making pairs.

    Attributes:
        pairs: the maximum number of pairs, drawn at random; None is all.
        query: the method of making queries.
        query_model: the model of doc2query.
        negatives: the method of mining negatives; None for no negatives.
        split: the fractions of the pairs for train, val and test, which sum to 1.
        seed: the random seed.
    """

    pairs: int | None = None
    query: Query = "first-sentence"
    query_model: str | None = None
    negatives: Mining | None = None
    split: Shares = (0.8, 0.1, 0.1)
    seed: int = 0


def prepare_pairs(
    documents: Path, output: Path, settings: PairSettings, options: RetrieverOptions, on_error: OnError = "refuse"
) -> dict[str, Any]:
    """Write train.jsonl, val.jsonl and the collection test/ into `output`, and return the content of source.json.

    Duplicate documents are left out, and all pairs with the same query are in the same split, so that no document and
    no query is in two splits. The corpus of test/ contains the documents of all splits. A folder that is complete with
    the same settings is left as it is.

    Raises:
        UserError: the documents cannot be read or give no pair, or `output` was made with other settings.
    """
    _check(settings)
    wanted = read_back({**asdict(settings), "documents": str(documents)})
    return made_once(
        output, wanted, "ragcun data pairs", lambda: _make(documents, output, settings, wanted, options, on_error)
    )


def _make(
    documents: Path,
    output: Path,
    settings: PairSettings,
    wanted: dict[str, Any],
    options: RetrieverOptions,
    on_error: OnError,
) -> dict[str, Any]:
    next(read_passages(documents, Problems()), None)  # an unusable file is refused before a model is loaded
    problems = Problems()
    method = _method(documents, output, settings)
    splits, skipped = _split(read_passages(documents, problems), method, settings)
    problems.settle(on_error)
    for line in problems.lines():
        warn(line)
    if not splits.any():
        raise UserError(f"{documents}: contain no usable pair ({_listed(skipped)})")
    read, kept = len(splits) + sum(problems.counts.values()), int((splits != Split.NONE).sum())
    say(f"{documents}: {read:,} passages read, {kept:,} kept, {read - kept:,} left out")

    output.mkdir(parents=True, exist_ok=True)

    def rows(*wanted: Split) -> Iterator[tuple[int, Pair]]:
        for number, passage in enumerate(read_passages(documents, Problems())):
            if splits[number] in wanted:
                yield number, method(passage, settings.seed)

    for split in (Split.TRAIN, Split.VAL):
        _write(output / f"{split.name.lower()}.jsonl", (pair for _, pair in rows(split)), settings, options)
    shutil.rmtree(output / "test", ignore_errors=True)
    write_collection(
        output / "test",
        ((f"d{number}", "", document) for number, (_, document) in rows(Split.TRAIN, Split.VAL, Split.TEST)),
        ((f"q{number}", query) for number, (query, _) in rows(Split.TEST)),
        {"test": ((f"q{number}", f"d{number}", 1) for number, _ in rows(Split.TEST))},
    )
    counts = {split.name.lower(): int((splits == split).sum()) for split in Split if split is not Split.NONE}
    files = ("train.jsonl", "val.jsonl", "test/corpus.jsonl", "test/queries.jsonl")
    found = {
        "settings": wanted,
        "passages": len(splits),
        "pairs": counts,
        "skipped": dict(skipped),
        "problems": problems.to_json(),
        "sha256": {name: file_sha256(output / name) for name in files if (output / name).is_file()},
    }
    made = ("train.jsonl", "val.jsonl", "test/corpus.jsonl", "test/queries.jsonl", "test/qrels/test.tsv")
    record = write_record(output / SOURCE, found, [output / name for name in made])
    (output / _KEPT).unlink(missing_ok=True)
    return record


def read_back(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as they are read back from JSON, to compare them with those in a file."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def _check(settings: PairSettings) -> None:
    if settings.query_model is not None and settings.query != "doc2query":
        raise UserError(f"--query-model {settings.query_model}: needs --query doc2query, not {settings.query}")
    if (
        not all(0 <= share <= 1 for share in settings.split)
        or settings.split[0] <= 0
        or abs(sum(settings.split) - 1) > 1e-6
    ):
        raise UserError(
            f"--split {','.join(map(str, settings.split))}: must be three fractions for train, val and test "
            "that sum to 1"
        )


def _method(documents: Path, output: Path, settings: PairSettings) -> Callable[[Passage, int], Pair]:
    if settings.query != "doc2query":
        return METHODS[settings.query]
    from ragcun.mining.doc2query import DEFAULT_MODEL, Doc2Query

    written = Doc2Query(settings.query_model or DEFAULT_MODEL, settings.seed, output / _KEPT)
    written.write(read_passages(documents, Problems()))
    return written


def _split(
    passages: Iterable[Passage], method: Callable[[Passage, int], Pair], settings: PairSettings
) -> tuple[Splits, Counter[str]]:
    """Return the `Split` of each passage, one byte each, and the numbers of passages without a pair, by reason."""
    queries, numbers = array("Q"), array("q")  # of the passages that give a pair: digests of queries, and positions
    seen: set[int] = set()
    skipped: Counter[str] = Counter()
    count = 0
    with progress("reading documents", None, "passages") as bar:
        for count, passage in enumerate(passages, 1):
            bar.advance()
            try:
                query, document = map(_digest, method(passage, settings.seed))
            except Skip as reason:
                skipped[str(reason)] += 1
                continue
            if document in seen:
                skipped["repeats another"] += 1
                continue
            seen.add(document)
            numbers.append(count - 1)
            queries.append(query)
    splits = np.full(count, Split.NONE, dtype=np.uint8)
    drawn = np.random.default_rng(settings.seed).permutation(len(numbers))[: settings.pairs]
    splits[np.asarray(numbers, dtype=np.int64)[drawn]] = _assigned(
        np.asarray(queries, dtype=np.uint64)[drawn], settings.split
    )
    return splits, skipped


def _assigned(queries: npt.NDArray[np.uint64], shares: Shares) -> Splits:
    """Return the `Split` of each pair; pairs with the same query have the same split.

    The queries are laid out with all their pairs, in the order of their first pairs; the position at which a query
    begins determines its split.
    """
    _, first, query_of_pair, pairs_of_query = np.unique(
        queries, return_index=True, return_inverse=True, return_counts=True
    )
    in_order = np.argsort(first)
    begins = np.empty_like(pairs_of_query)
    begins[in_order] = np.cumsum(pairs_of_query[in_order]) - pairs_of_query[in_order]
    ends = np.rint(np.cumsum(shares)[:2] * len(queries))
    splits = np.array([Split.TRAIN, Split.VAL, Split.TEST], dtype=np.uint8)
    return splits[np.searchsorted(ends, begins[query_of_pair], side="right")]


def _digest(text: str) -> int:
    words = _WORDS.sub(" ", text.casefold()).strip()
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest())


def _write(path: Path, pairs: Iterator[Pair], settings: PairSettings, options: RetrieverOptions) -> None:
    plain = ({"query": query, "positive": document} for query, document in pairs)
    if settings.negatives is None:
        write_pairs(path, plain)
        return
    bare = path.with_name(f".{path.name}")
    write_pairs(bare, plain)
    if bare.stat().st_size == 0:
        bare.replace(path)
        return
    write_pairs(path, with_negatives(load_pairs(bare), settings.negatives, settings.seed, options))
    bare.unlink()


def _listed(skipped: Counter[str]) -> str:
    return "; ".join(f"{reason}: {count:,}" for reason, count in skipped.most_common()) or "there are no passages"
