"""Hard negatives: documents that a retriever ranks high for a query but that are probably not relevant.

Documents that score nearly as high as the positive are often relevant themselves and are left out. A negative scores at
most `percentage` of the positive's score, as in sentence-transformers' `mine_hard_negatives` (`relative_margin`) and in
NV-Retriever (arXiv 2407.15831, TopK-PercPos, whose best value is 95 percent). If scores are negative distances, a
negative's distance is at least the positive's distance divided by `percentage`.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragcun.console import say
from ragcun.data.finished import refuse_made
from ragcun.data.pairs import Pairs, load_pairs, write_pairs
from ragcun.data.problems import OnError
from ragcun.errors import UserError
from ragcun.files import file_sha256
from ragcun.lock import only_writer
from ragcun.retrieval.registry import load_retriever
from ragcun.retrieval.retrievers import Retriever, RetrieverOptions
from ragcun.retrieval.topk import TopK

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Filter:
    """The condition by which retrieved documents may be negatives.

    Attributes:
        depth: the number of documents to retrieve.
        skip: the number of top documents to skip.
        percentage: the maximum score of a negative, as a fraction of the positive's score, 0 to 1.
    """

    depth: int = 100
    skip: int = 0
    percentage: float = 0.95


@dataclass(frozen=True)
class Mining:
    """The method of mining negatives.

    Attributes:
        source: random documents of other pairs, or the top documents of a retriever.
        model: the encoder for dense negatives.
        count: the maximum number of negatives per pair.
        filter: the condition for retrieved documents.

    Raises:
        UserError: dense negatives have no model, or others have one.
    """

    source: Literal["random", "bm25", "dense"]
    model: str | None = None
    count: int = 1
    filter: Filter = field(default_factory=Filter)

    def __post_init__(self) -> None:
        if self.source == "dense" and self.model is None:
            raise UserError("--negatives dense: needs an encoder; give --negatives-model")
        if self.source != "dense" and self.model is not None:
            raise UserError(f"--negatives-model {self.model}: needs --negatives dense, not {self.source}")


def write_negatives(
    source: Path,
    split: str,
    output: Path,
    mining: Mining,
    seed: int,
    options: RetrieverOptions,
    on_error: OnError = "refuse",
) -> dict[str, Any]:
    """Write the pairs of a file, or of a collection's split, with mined negatives into `output` (JSONL).

    Negatives are mined from the documents of the file or collection, and replace existing negatives. Returns a summary.

    Raises:
        UserError: the pairs cannot be read, or `output` is not .jsonl, or another command made it.
    """
    if output.suffix != ".jsonl":
        raise UserError(f"{output}: must end in .jsonl, because pairs with negatives are written as JSON Lines")
    refuse_made(output)
    pairs = load_pairs(source, split, on_error)
    with only_writer(output.parent, "ragcun data negatives", part=output.name):
        write_pairs(output, with_negatives(pairs, mining, seed, options))
    return {
        "path": str(output),
        "sha256": file_sha256(output),
        "pairs": len(pairs),
        "mining": asdict(mining),
        "seed": seed,
        "source": pairs.source,
    }


def with_negatives(pairs: Pairs, mining: Mining, seed: int, options: RetrieverOptions) -> Iterator[dict[str, Any]]:
    """Yield the pairs as rows for `write_pairs`, with mined negatives; report how many pairs have too few."""
    if mining.source == "random":
        found = random_negatives(pairs, mining.count, seed)
    else:
        retriever = load_retriever("bm25" if mining.source == "bm25" else str(mining.model), options)
        found = mined_negatives(pairs, retriever, mining.count, mining.filter)
    few = int((found < 0).any(1).sum())
    if few:
        say(f"{few:,} of {len(pairs):,} pairs have fewer than {mining.count} negatives that pass the filter")
    for anchor, positive, negatives in zip(pairs.anchor, pairs.positive, found, strict=True):
        yield {
            "query": pairs.queries[int(anchor)],
            "positive": pairs.documents[int(positive)],
            "negatives": [pairs.documents[int(row)] for row in negatives if row >= 0],
        }


def random_negatives(pairs: Pairs, count: int, seed: int) -> Rows:
    """Sample rows of other pairs' positives that are not the anchor's, (n, count), filled with -1."""
    draw = np.random.default_rng(seed)
    documents = np.unique(pairs.positive)
    known = _known(pairs)
    found = np.full((len(pairs), count), -1, dtype=np.int64)
    for row, anchor in enumerate(pairs.anchor.tolist()):
        drawn = dict.fromkeys(draw.choice(documents, size=min(len(documents), 2 * count + 4)).tolist())
        kept = [document for document in drawn if document not in known[anchor]][:count]
        found[row, : len(kept)] = kept
    return found


def mined_negatives(pairs: Pairs, retriever: Retriever, count: int, chosen: Filter) -> Rows:
    """Return rows of documents that `retriever` ranks high for the anchor, (n, count), filled with -1.

    A pair has no negatives if its positive is not among the top `depth`, as all of these score higher than it.
    """
    anchors, of = np.unique(pairs.anchor, return_inverse=True)
    queries = [pairs.queries[int(row)] for row in anchors]
    id_ranks, exclude = np.arange(len(pairs.documents)), np.full(len(anchors), -1)
    top: TopK = retriever.rank(pairs.documents, queries, chosen.depth, id_ranks, exclude)
    known = _known(pairs)
    found = np.full((len(pairs), count), -1, dtype=np.int64)
    for row, (query, positive) in enumerate(zip(of.tolist(), pairs.positive.tolist(), strict=True)):
        rows, scores = top.rows[query], top.scores[query]
        at = np.flatnonzero(rows == positive)
        if not len(at):
            continue
        score = float(scores[at[0]])
        highest = score * chosen.percentage if score > 0 else score / chosen.percentage
        allowed = (rows >= 0) & (scores <= highest)
        allowed[: chosen.skip] = False
        kept = [document for document in rows[allowed].tolist() if document not in known[int(pairs.anchor[row])]][
            :count
        ]
        found[row, : len(kept)] = kept
    return found


def _known(pairs: Pairs) -> dict[int, set[int]]:
    known: dict[int, set[int]] = {}
    for anchor, positive in zip(pairs.anchor.tolist(), pairs.positive.tolist(), strict=True):
        known.setdefault(anchor, set()).add(positive)
    return known
