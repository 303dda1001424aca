"""Batches of texts with similar numbers of tokens, so that there is little padding.

The batches depend only on the texts, not on the contents of a store. An interrupted encoding therefore gives the same
bits as an uninterrupted one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer

from ragcun.embedding.base import Role
from ragcun.embedding.store import Digests
from ragcun.embedding.tokens import Tokens

_HIDDEN = 768  # dimensions, if a base does not state them
_PORTION = 8  # the remaining texts are at least this many batches, so that no core waits long for the last ones
_LEAST = 256  # tokens of a batch that is worth its while


@dataclass(frozen=True)
class TokenBatch:
    """Distinct texts that are encoded together, the longest one first.

    Attributes:
        digests: of the texts, (n, 2).
        cost: of encoding them, in the computation of one token that attends to none.
    """

    digests: Digests
    cost: float
    _texts: Sequence[str] = field(repr=False)
    _rows: list[int] = field(repr=False)
    _tokens: Tokens = field(repr=False)

    def __len__(self) -> int:
        return len(self._rows)

    def text(self, place: int) -> str:
        """The text at `place` in the batch."""
        return self._texts[self._rows[place]]

    def features(self) -> dict[str, Any]:
        """What the base's forward pass takes for the texts."""
        return self._tokens.features(self._rows)


def plan_batches(
    base: SentenceTransformer,
    texts: Sequence[str],
    digests: Digests,
    prompt: str,
    role: Role,
    tokens: int,
    padded: bool = True,
) -> list[TokenBatch]:
    """Batches of the distinct texts, longest first: `tokens` tokens each at most, padding included, or one text.

    The last ones are smaller, so that all cores are done at about the same time. Where they are not to be `padded`, the
    texts of a batch have as many tokens each.
    """
    _, distinct = np.unique(digests, axis=0, return_index=True)
    texts, digests = [texts[int(row)] for row in distinct], digests[distinct]
    tokenised = Tokens(base, texts, prompt, role, padded)
    attention = 1 / (6 * (base.get_embedding_dimension() or _HIDDEN))  # 4 T h FLOPs beside 24 h^2, see `Architecture`
    order = np.lexsort((digests[:, 1], digests[:, 0], -tokenised.lengths))
    lengths = np.maximum(1, tokenised.lengths[order])
    left = np.append(np.cumsum(lengths[::-1])[::-1], 0)
    batches: list[TokenBatch] = []
    start = 0
    while start < len(order):
        longest = int(lengths[start])
        most = min(tokens, max(_LEAST, int(left[start]) // _PORTION))
        rows = order[start : start + max(1, most // longest)].tolist()
        rows = rows[: tokenised.together(rows)]
        cost = len(rows) * longest * (1 + longest * attention)
        batches.append(TokenBatch(digests[rows], cost, texts, rows, tokenised))
        start += len(rows)
    return batches
