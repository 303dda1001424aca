"""The sizes that plans are made with are those of real modules."""

from pathlib import Path

import pytest

from ragcun.planning.architecture import KNOWN, Architecture, find_architecture


def test_a_base_on_disk_is_measured_from_its_files(tiny_model: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_model), device="cpu")
    found = find_architecture(str(tiny_model))
    embeddings = sum(p.numel() for name, p in model.named_parameters() if "embeddings" in name)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.embeddings == embeddings
    assert (found.layers, found.hidden, found.heads, found.max_length) == (2, 32, 2, 64)


def test_a_known_base_has_the_size_of_its_files() -> None:
    from ragcun.embedding.resolve import resolve_model

    name = "sentence-transformers/all-MiniLM-L6-v2"
    assert find_architecture(str(resolve_model(name).path)) == KNOWN[name]


def test_embeddinggemma_has_the_size_of_its_class() -> None:
    import torch
    from transformers import Gemma3TextConfig, Gemma3TextModel

    known = KNOWN["google/embeddinggemma-300m"]
    config = Gemma3TextConfig(
        vocab_size=262_144,
        hidden_size=known.hidden,
        intermediate_size=1_152,
        num_hidden_layers=known.layers,
        num_attention_heads=known.heads,
        num_key_value_heads=1,
        head_dim=256,
    )
    with torch.device("meta"):
        model = Gemma3TextModel(config)
    dense = 2 * 768 * 3_072  # two Dense modules without bias come behind the transformer
    assert known.embeddings == model.embed_tokens.weight.numel()
    assert known.parameters == sum(p.numel() for p in model.parameters()) + dense


def test_flops_are_those_that_torch_counts() -> None:
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    hidden, layers, tokens = 64, 2, 16
    layer = nn.TransformerEncoderLayer(hidden, 4, 4 * hidden, batch_first=True)
    stack = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    architecture = Architecture(layers * 12 * hidden**2, 0, layers, hidden, 4, hidden, 512)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter:
            stack(torch.randn(1, tokens, hidden, requires_grad=True)).sum().backward()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    counted = counter.get_total_flops()
    planned = architecture.forward(tokens) + architecture.backward(tokens)
    assert planned == pytest.approx(counted, rel=0.05)


def test_frozen_layers_save_their_backward_pass() -> None:
    base = KNOWN["sentence-transformers/all-mpnet-base-v2"]
    assert base.backward(100) == 2 * base.forward(100)
    assert base.backward(100, frozen_layers=6) == base.forward(100)
    assert base.trained(6) < base.trained(0) == base.parameters
    assert base.activations(8, 100, 6) == base.activations(8, 100) / 2
    assert base.activations(8, 100, checkpointing=True) < base.activations(8, 100) / 4
