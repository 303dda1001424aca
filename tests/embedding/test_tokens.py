"""Texts are tokenised once; batches hold what the base's own preprocessing would give them, and end in small ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from ragcun.embedding.store import digest_texts
from ragcun.embedding.token_batches import plan_batches
from ragcun.embedding.tokens import Tokens


@pytest.fixture
def base(tiny_model: Path) -> SentenceTransformer:
    return SentenceTransformer(str(tiny_model), device="cpu")


def unpadded(features: dict[str, Any]) -> dict[str, Any]:
    """The features without what padding adds to the longest of the texts."""
    longest = int(features["attention_mask"].sum(1).max())
    return {name: value[:, :longest] if torch.is_tensor(value) else value for name, value in features.items()}


@pytest.mark.parametrize("prompt", ["", "the cold "])
def test_batches_hold_what_preprocessing_gives(base: SentenceTransformer, sentences: list[str], prompt: str) -> None:
    texts = [*sentences, "", "owl " * 300]
    tokens = Tokens(base, texts, prompt, "document")
    rows = [3, len(texts) - 2, 7, len(texts) - 1]
    expected = base.preprocess([texts[row] for row in rows], prompt=prompt or None)

    base.preprocess = None
    found = tokens.features(rows)

    assert found.keys() == expected.keys()
    for name, value in unpadded(found).items():
        assert torch.equal(value, expected[name]) if torch.is_tensor(value) else value == expected[name]
    assert tokens.lengths[rows].tolist() == expected["attention_mask"].sum(1).tolist()


def test_what_preprocessing_adds_is_not_lost(
    base: SentenceTransformer, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    preprocess = base.preprocess

    def adding(texts: list[str], **given: Any) -> dict[str, Any]:
        features: dict[str, Any] = preprocess(texts, **given)
        features["input_ids"][:, 0] = 7  # as bases do that mark queries by a token of their own
        return features

    monkeypatch.setattr(base, "preprocess", adding)
    assert (Tokens(base, sentences, "", "query").features([0, 1])["input_ids"][:, 0] == 7).all()


def test_batches_are_full_until_the_last_ones(base: SentenceTransformer) -> None:
    texts = [f"{'owl ' * (i % 50)} {'bear ' * (i // 50)}" for i in range(500)]
    batches = plan_batches(base, texts, digest_texts(texts), "", "document", 1_024)
    lengths = [[len(base.tokenizer(batch.text(i))["input_ids"]) for i in range(len(batch))] for batch in batches]
    flat = [length for batch in lengths for length in batch]
    assert len(flat) == len(texts)
    assert flat == sorted(flat, reverse=True)
    sizes = np.array([max(batch) * len(batch) for batch in lengths])
    assert sizes.max() <= 1_024
    assert sizes[0] > 900
    assert sizes[-1] <= 256
