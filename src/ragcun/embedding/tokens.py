"""Texts as tokens: tokenised once, both for the lengths that plan the batches and for the batches themselves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerBase

from ragcun.embedding.base import Role, features_of, length_limit
from ragcun.slices import slices

Ids = npt.NDArray[np.int32]

_AT_A_TIME = 4_096  # texts that are Python's numbers before they are numpy's
_CHARACTERS = 4  # of a token, about
_MULTIPLE = 4  # of tokens in a row: a runtime prepares anew for each shape


class Tokens:
    """The tokens of `texts`, as the base sees them behind the prompt.

    Where the base's `preprocess` does nothing but tokenise and pad, which is found out on two of the texts, batches are
    made from the tokens that are already there; elsewhere `preprocess` makes them from the texts.

    Args:
        padded: texts of unequal lengths may be together; else no batch is to have padding (`depends_on_padding`).

    Attributes:
        lengths: (n,) in tokens; estimated where no transformer's tokenizer can be asked.
    """

    def __init__(
        self, base: SentenceTransformer, texts: Sequence[str], prompt: str, role: Role, padded: bool = True
    ) -> None:
        self._base, self._texts, self._prompt, self._role, self._padded = base, texts, prompt, role, padded
        self._constant: dict[str, Any] | None = None
        self._names: set[str] = set()
        if (ids := token_ids(base, [prompt + text for text in texts])) is None:
            self.lengths = np.array([(len(prompt) + len(text)) // _CHARACTERS + 1 for text in texts])
            return
        self._ids = ids
        self.lengths = np.array([len(each) for each in ids])
        probed = sorted({int(self.lengths.argmax()), int(self.lengths.argmin())})
        agreed = [self._probe(rows) for rows in ([probed] if padded else [[row] for row in probed])]
        self._constant = agreed[0] if None not in agreed else None

    def together(self, rows: Sequence[int]) -> int:
        """How many of the first of `rows`, which are sorted by length, may be in one batch."""
        if self._padded:
            return len(rows)
        if self._constant is None:
            return 1  # what `preprocess` pads is not known
        return int((self.lengths[rows] == self.lengths[rows[0]]).sum())

    def features(self, rows: Sequence[int]) -> dict[str, Any]:
        """What the base's forward pass takes for the texts at `rows`."""
        if self._constant is None:
            return features_of(self._base, [self._texts[row] for row in rows], self._role, self._prompt)
        longest = max(len(self._ids[row]) for row in rows)
        limit = length_limit(self._base)
        rounded = -(-longest // _MULTIPLE) * _MULTIPLE
        exact = not self._padded or limit is None or rounded > limit
        return self._made(rows, longest if exact else rounded)

    def _made(self, rows: Sequence[int], width: int) -> dict[str, Any]:
        pad: Any = self._base.tokenizer.pad_token_id
        input_ids = np.full((len(rows), width), pad, np.int64)
        for place, row in enumerate(rows):
            input_ids[place, : len(self._ids[row])] = self._ids[row]
        lengths = torch.from_numpy(self.lengths[list(rows)])
        features = {"input_ids": torch.from_numpy(input_ids)}
        if "attention_mask" in self._names:
            features["attention_mask"] = (torch.arange(width) < lengths[:, None]).long()
        if "token_type_ids" in self._names:
            features["token_type_ids"] = torch.zeros_like(features["input_ids"])
        return {**features, **(self._constant or {})}

    def _probe(self, rows: list[int]) -> dict[str, Any] | None:
        """What `preprocess` adds to the tokens, where both ways agree on the texts at `rows`; else None."""
        expected = features_of(self._base, [self._texts[row] for row in rows], self._role, self._prompt)
        tensors = {name: value for name, value in expected.items() if torch.is_tensor(value)}
        if not {"input_ids"} <= tensors.keys() <= {"input_ids", "attention_mask", "token_type_ids"}:
            return None
        if getattr(self._base.tokenizer, "pad_token_id", None) is None:
            return None
        self._names = set(tensors)
        found = self._made(rows, int(self.lengths[rows].max()))
        if not all(torch.equal(found[name], tensor) for name, tensor in tensors.items()):
            return None
        return {name: value for name, value in expected.items() if name not in tensors}


def token_ids(base: SentenceTransformer, texts: Sequence[str]) -> list[Ids] | None:
    """The tokens of each text, cut to what the base sees; None where no transformer's tokenizer can be asked."""
    tokenizer = getattr(base, "tokenizer", None)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        return None
    limit = length_limit(base)
    cut = {"truncation": True, "max_length": limit} if limit is not None else {}
    asked = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
    ids: list[Ids] = []
    for part in slices(len(texts), _AT_A_TIME):
        encoded = tokenizer(list(texts[part]), add_special_tokens=True, **asked, **cut)
        ids += [np.array(each, np.int32) for each in encoded["input_ids"]]
    return ids
