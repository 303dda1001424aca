"""Hard negatives: documents that a retriever ranks high for a query but that are probably not relevant.

Documents that score nearly as high as the positive are often relevant themselves, and are left out: a negative scores
at most `percentage` of the positive's score, as in sentence-transformers' `mine_hard_negatives` (`relative_margin`) and
NV-Retriever (arXiv 2407.15831, TopK-PercPos, whose best value is 95 percent). Where scores are distances with a minus,
its distance is at least the positive's divided by `percentage`.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragcun.console import say
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
    """Which of the retrieved documents may be negatives.

    Attributes:
        depth: how many are retrieved.
        skip: how many of the best are passed over.
        percentage: of the positive's score that a negative may reach, 0 to 1.
    """

    depth: int = 100
    skip: int = 0
    percentage: float = 0.95


@dataclass(frozen=True)
class Mining:
    """Where negatives come from.

    Attributes:
        source: other pairs' documents at random, or what a retriever ranks high.
        model: the encoder of dense ones.
        count: negatives a pair, at most.
        filter: which retrieved documents may be negatives.

    Raises:
        UserError: dense ones without a model, or others with one.
    """

    source: Literal["random", "bm25", "dense"]
    model: str | None = None
    count: int = 1
    filter: Filter = field(default_factory=Filter)

    def __post_init__(self) -> None:
        if self.source == "dense" and self.model is None:
            raise UserError("--negatives dense: needs an encoder; give --negatives-model")
        if self.source != "dense" and self.model is not None:
            raise UserError(f"--negatives-model {self.model}: is for --negatives dense, not {self.source}")


def write_negatives(
    source: Path,
    split: str,
    output: Path,
    mining: Mining,
    seed: int,
    options: RetrieverOptions,
    on_error: OnError = "refuse",
) -> dict[str, Any]:
    """Write the pairs of a file, or of a collection's split, with negatives into `output` (JSONL); what was done.

    Negatives are sought among the documents of the file or collection, and take the place of those that pairs had.

    Raises:
        UserError: pairs that cannot be read, or an `output` that is not .jsonl.
    """
    if output.suffix != ".jsonl":
        raise UserError(f"{output}: must end in .jsonl, because pairs with negatives are written as JSON Lines")
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
    """The pairs as rows for `write_pairs`, with the negatives that are found; says how many have too few."""
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
    """(n, count) rows of other pairs' positives, none of the anchor's own, -1 where there are too few."""
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
    """(n, count) rows of documents that `retriever` ranks high for the anchor, -1 where too few pass the filter.

    A pair whose positive is not among the `depth` best has none: all that is found scores higher than it.
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
