"""Training pairs, from a collection's judgements or from a file."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ragcun.console import say
from ragcun.data.collection import Collection
from ragcun.data.finished import refuse_damage
from ragcun.data.pair_rows import parse_columns
from ragcun.data.problems import OnError
from ragcun.data.table import open_table
from ragcun.data.texts import Joined, Texts
from ragcun.errors import UserError
from ragcun.files import atomic_path


@dataclass(frozen=True, eq=False)
class Pairs:
    """n training pairs as rows of texts that stay on disk.

    Attributes:
        queries: the distinct query texts.
        documents: the distinct document texts.
        anchor: the rows of `queries`, (n,).
        positive: the rows of `documents`, (n,).
        negatives: the rows of `documents`, (n, k), -1 where a pair has fewer than k; k may be 0.
        source: for a manifest: path, fingerprint, split (None for a file), counts and problems; the parts of a mixture.
        mixture: for a mixture, the number of pairs and the weight of each part, in the order of the pairs.
    """

    queries: Texts
    documents: Texts
    anchor: NDArray[np.int64]
    positive: NDArray[np.int64]
    negatives: NDArray[np.int64]
    source: dict[str, Any]
    mixture: tuple[tuple[int, float], ...] = ()

    def __len__(self) -> int:
        return len(self.anchor)

    def take(self, n: int, seed: int) -> Self:
        """Draw `n` of the pairs without replacement, in their order, or all pairs if there are no more.

        The draw depends only on the seed, and a smaller draw is part of a larger one. The texts stay as they are.
        """
        if n < 1:
            raise UserError(f"cannot take {n} pairs; at least 1 is needed")
        if n >= len(self):
            return self
        drawn = np.sort(np.random.default_rng(seed).permutation(len(self))[:n])
        return self._chosen(drawn, {"taken": {"pairs": n, "seed": seed}})

    def where(self, chosen: NDArray[np.bool_]) -> Self:
        """Select the pairs where `chosen`, (n,), is true. The texts stay as they are."""
        return self._chosen(np.flatnonzero(chosen), {"kept": int(chosen.sum())})

    def _chosen(self, rows: NDArray[np.int64], said: dict[str, Any]) -> Self:
        return replace(
            self,
            anchor=self.anchor[rows],
            positive=self.positive[rows],
            negatives=self.negatives[rows],
            source={**self.source, **said},
        )


def mix(parts: Sequence[Pairs], weights: Sequence[float]) -> Pairs:
    """Concatenate the pairs of several sources; batches are drawn from the sources in proportion to the weights."""
    queries, documents = Joined([part.queries for part in parts]), Joined([part.documents for part in parts])
    width = max(part.negatives.shape[1] for part in parts)
    negatives = []
    for part, start in zip(parts, documents.starts, strict=False):
        filled = np.full((len(part), width), -1, dtype=np.int64)
        filled[:, : part.negatives.shape[1]] = np.where(part.negatives < 0, -1, part.negatives + start)
        negatives.append(filled)
    sources = [
        {**part.source, "pairs": len(part), "weight": weight} for part, weight in zip(parts, weights, strict=True)
    ]
    return Pairs(
        queries,
        documents,
        np.concatenate([part.anchor + start for part, start in zip(parts, queries.starts, strict=False)]),
        np.concatenate([part.positive + start for part, start in zip(parts, documents.starts, strict=False)]),
        np.concatenate(negatives),
        {"parts": sources},
        tuple((len(part), weight) for part, weight in zip(parts, weights, strict=True)),
    )


def load_pairs(
    path: str | os.PathLike[str], split: str = "train", on_error: OnError = "refuse", columns: str | None = None
) -> Pairs:
    """Load the pairs of a collection's folder or of a JSONL, JSON, CSV, TSV or Parquet file, and report the counts.

    In a collection, each judgement of `split` with a grade above 0, of a document in the corpus, is a pair. A file has
    columns for query, positive and any number of negatives, with the names of `pair_rows` or those that `columns` gives
    ("query=question,positive=answer"); `split` is ignored. Unusable rows (invalid syntax, a text that is missing, empty
    or not a string, a query that equals its positive) raise a `UserError` with their counts and first positions; with
    `on_error="skip"`, they are left out. Repeated rows and negatives that equal their positive are always dropped, and
    unused columns are reported. `source["problems"]` contains all of this, and `source["rows"]` the numbers of rows
    that were read, kept and left out.
    """
    location = Path(path)
    named = parse_columns(columns)
    if location.is_dir():
        return _from_collection(Collection.open(location, on_error), split)
    if not location.is_file():
        raise UserError(f"{location}: no such file or folder of pairs")
    refuse_damage(location)
    table = open_table(location, named)
    table.problems.settle(on_error)
    pairs = Pairs(table.queries, table.documents, table.anchor, table.positive, table.negatives, {})
    say(
        f"{location}: {', '.join(f'{count:,} rows {what}' for what, count in table.rows.items())}; {len(pairs):,} pairs"
    )
    for line in table.problems.lines():
        say(f"{location}: {line}")
    counts = {"pairs": len(pairs), "queries": len(table.queries), "documents": len(table.documents)}
    source = {"path": str(location), "fingerprint": table.sha256, "split": None, **counts, "rows": table.rows}
    source |= {} if columns is None else {"columns": columns}
    return replace(pairs, source={**source, "problems": table.problems.to_json()})


def _from_collection(collection: Collection, split: str) -> Pairs:
    judgements = collection.judgements(split)
    relevant = (judgements.grades > 0) & (judgements.document_rows >= 0)
    if not relevant.any():
        raise UserError(f"{collection.path}: split {split!r} has no judgement above 0, and so no pairs")
    anchor, positive = judgements.query_rows[relevant], judgements.document_rows[relevant]
    source = {
        "path": str(collection.path),
        "fingerprint": collection.fingerprint(split),
        "texts": collection.texts_fingerprint(),
        "split": split,
        "pairs": len(anchor),
        "queries": len(np.unique(anchor)),
        "documents": len(np.unique(positive)),
        "problems": collection.problems.to_json(),
    }
    negatives = np.empty((len(anchor), 0), dtype=np.int64)
    return Pairs(collection.queries, collection.corpus, anchor, positive, negatives, source)


def write_pairs(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows (`query`, `positive`, and `negatives` as a list) as JSON Lines, atomically; return the path."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return Path(path)
