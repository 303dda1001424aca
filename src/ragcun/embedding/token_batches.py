"""Batches of texts with similar numbers of tokens, so that there is little padding.

The batches depend only on the texts, not on the contents of a store. An interrupted encoding therefore gives the same
bits as an uninterrupted one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerBase

from ragcun.embedding.base import length_limit
from ragcun.embedding.store import Digests

_CHARACTERS = 4  # of a token, about
_HIDDEN = 768  # dimensions, where a base does not tell


@dataclass(frozen=True)
class TokenBatch:
    """Distinct texts that are encoded together, the longest one first.

    Attributes:
        digests: of the texts, (n, 2).
        cost: of encoding them, in the computation of one token that attends to none.
    """

    texts: list[str]
    digests: Digests
    cost: float


def plan_batches(
    base: SentenceTransformer, texts: list[str], digests: Digests, prompt: str, tokens: int
) -> list[TokenBatch]:
    """Batches of the distinct texts, longest first: `tokens` tokens each at most, padding included, or one text."""
    _, distinct = np.unique(digests, axis=0, return_index=True)
    lengths = token_lengths(base, [prompt + texts[row] for row in distinct])
    attention = 1 / (6 * (base.get_embedding_dimension() or _HIDDEN))  # 4 T h FLOPs beside 24 h^2, see `Architecture`
    order = np.lexsort((digests[distinct, 1], digests[distinct, 0], -lengths))
    batches: list[TokenBatch] = []
    rows: list[int] = []
    longest = 0

    def add() -> None:
        cost = len(rows) * longest * (1 + longest * attention)
        batches.append(TokenBatch([texts[r] for r in rows], digests[rows], cost))

    for row, length in zip(distinct[order].tolist(), lengths[order].tolist(), strict=True):
        if rows and (len(rows) + 1) * longest > tokens:
            add()
            rows = []
        if not rows:
            longest = max(1, length)
        rows.append(row)
    add()
    return batches


def token_lengths(base: SentenceTransformer, texts: list[str]) -> npt.NDArray[np.int64]:
    """How many tokens the base sees of each text, (n,); an estimate where no transformer's tokenizer can be asked."""
    tokenizer = getattr(base, "tokenizer", None)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        return np.fromiter((len(text) // _CHARACTERS + 1 for text in texts), dtype=np.int64, count=len(texts))
    limit = length_limit(base)
    cut = {"truncation": True, "max_length": limit} if limit is not None else {}
    encoded = tokenizer(texts, add_special_tokens=True, verbose=False, **cut)
    return np.fromiter((len(ids) for ids in encoded["input_ids"]), dtype=np.int64, count=len(texts))
