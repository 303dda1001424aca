"""Linear layers that oneDNN packs compute what they did, in a copy that shares the parameters of the base."""

from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from ragcun.embedding.base import features_of
from ragcun.embedding.packed_linear import packed


def linear_layers(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, nn.Linear)]


@pytest.mark.parametrize(("precision", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 0.05)])
def test_a_packed_base_computes_the_same(
    tiny_model: Path, sentences: list[str], precision: torch.dtype, tolerance: float
) -> None:
    base = SentenceTransformer(str(tiny_model), device="cpu").to(precision).eval()
    faster = packed(base)

    with torch.inference_mode():
        expected, found = (
            model(features_of(model, sentences, "document", ""))["sentence_embedding"].float()
            for model in (base, faster)
        )
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)

    plain, replaced = linear_layers(base), linear_layers(faster)
    assert len(plain) == len(replaced) > 10
    assert all(type(layer) is nn.Linear for layer in plain), "the base itself was changed"
    assert all(type(layer) is not nn.Linear for layer in replaced), "nothing was packed"
    assert all(a.weight is b.weight for a, b in zip(plain, replaced, strict=True)), "weights are in memory twice"
    assert faster[1] is base[1]


def test_what_onednn_does_not_compute_stays_as_it_is(tiny_model: Path) -> None:
    base = SentenceTransformer(str(tiny_model), device="cpu").half()
    assert packed(base) is base
