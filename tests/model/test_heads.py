"""Heads start as the base's projection, and the saved encoder is a plain sentence-transformers model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from children import python
from ragcun.embedding.base import split
from ragcun.embedding.identity import base_key
from ragcun.embedding.load import load_model
from ragcun.embedding.resolve import resolve_model
from ragcun.errors import UserError
from ragcun.heads.dropout import Dropout
from ragcun.heads.registry import HEADS
from ragcun.heads.spectrum import spectrum
from ragcun.model.export import load_head_weights, save_encoder
from ragcun.model.heads import build_head
from ragcun.settings.schema import ModelSettings


def sample(rows: int = 500, dimension: int = 32) -> np.ndarray:
    generator = np.random.default_rng(0)
    scales = np.linspace(2.0, 0.1, dimension)
    mixing = np.linalg.qr(generator.standard_normal((dimension, dimension)))[0]
    return ((generator.standard_normal((rows, dimension)) * scales) @ mixing + 0.3).astype(np.float32)


@pytest.mark.parametrize("dimension", [32, 20, 1])
def test_the_mlp_starts_as_the_pca_projection(dimension: int) -> None:
    base = sample()
    found = spectrum(base)
    head = build_head(ModelSettings(head="mlp", output_dim=dimension), found, seed=0).eval()

    got = head(torch.from_numpy(base)).detach().double().numpy()

    centred = base - base.mean(0, dtype=np.float64)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ directions[:dimension].T
    expected /= np.sqrt(expected.var(axis=0, ddof=1).mean())
    signs = np.sign((got * expected).sum(axis=0))
    np.testing.assert_allclose(got, expected * signs, atol=2e-5)
    np.testing.assert_allclose(got.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(got.var(axis=0, ddof=1).mean(), 1, rtol=1e-5)


def test_a_projection_to_all_dimensions_keeps_the_order_of_distances() -> None:
    base = sample()
    head = build_head(ModelSettings(output_dim=32), spectrum(base), seed=0).eval()
    projected = head(torch.from_numpy(base)).detach()

    ratio = torch.cdist(projected[:50], projected[50:]) / torch.cdist(*torch.from_numpy(base).split([50, 450]))

    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-4, atol=0)


def test_the_untouched_hidden_units_can_learn() -> None:
    base = torch.from_numpy(sample())
    head = build_head(ModelSettings(output_dim=20, dropout=0.0), spectrum(sample()), seed=0)
    head(base).pow(3).sum().backward()

    assert (head.second.weight.grad[:, 40:].abs().sum(dim=0) > 0).all()


def test_full_whitening_gives_the_identity_covariance_and_none_gives_pca() -> None:
    base = sample()
    found = spectrum(base)
    white = build_head(ModelSettings(head="whiten", output_dim=32), found, seed=0)(torch.from_numpy(base)).detach()
    np.testing.assert_allclose(np.cov(white.double().numpy().T), np.eye(32), atol=1e-4)

    zero = build_head(ModelSettings(head="whiten", output_dim=32, whiten_power=0), found, seed=0)
    linear = build_head(ModelSettings(head="linear", output_dim=32), found, seed=0)
    assert torch.equal(zero.linear.weight, linear.linear.weight)


def test_impossible_dimensions_are_refused() -> None:
    found = spectrum(sample())
    with pytest.raises(UserError, match="output_dim = 33"):
        build_head(ModelSettings(output_dim=33), found, seed=0)
    assert build_head(ModelSettings(output_dim=33, init="random"), found, seed=0).second.out_features == 33
    with pytest.raises(UserError, match="identity"):
        build_head(ModelSettings(head="identity", output_dim=20), found, seed=0)
    with pytest.raises(UserError, match="span only"):
        build_head(ModelSettings(head="whiten", output_dim=20), spectrum(sample(rows=8)), seed=0)
    with pytest.raises(UserError, match="are equal"):
        build_head(ModelSettings(output_dim=4), spectrum(np.ones((9, 32), np.float32)), seed=0)


def test_random_weights_follow_from_the_seed() -> None:
    found = spectrum(sample())
    random = ModelSettings(output_dim=20, init="random")
    first, same, other = (build_head(random, found, seed).first.weight for seed in (3, 3, 4))

    assert torch.equal(first, same)
    assert not torch.equal(first, other)


WITHOUT_RAGCUN = """
import sys
import numpy as np
sys.modules["ragcun"] = None
from sentence_transformers import SentenceTransformer
model = SentenceTransformer(sys.argv[1], device="cpu")
assert model.similarity_fn_name == "euclidean", model.similarity_fn_name
assert type(model[-1]).__name__ == "Dense"
np.save(sys.argv[2], model.encode(["the cat sleeps", "owl"], batch_size=2))
"""


def test_the_saved_encoder_loads_without_ragcun_and_gives_the_same_bits(tmp_path: Path, tiny_model: Path) -> None:
    base = load_model(resolve_model(str(tiny_model)), device="cpu")
    texts = ["the cat sleeps", "owl"]
    base_vectors = torch.from_numpy(base.encode(texts))
    head = build_head(ModelSettings(output_dim=20, init="random"), spectrum(sample()), seed=0).eval()
    expected = head(base_vectors).detach().numpy()
    assert not np.allclose(np.linalg.norm(expected, axis=1), 1)

    save_encoder(base, head, tmp_path / "experiment" / "model", "tiny")

    saved = tmp_path / "experiment" / "model"
    assert not list(saved.rglob("*.bin"))
    assert not list(saved.rglob("*.pt"))
    done = python("-c", WITHOUT_RAGCUN, saved, tmp_path / "vectors.npy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "vectors.npy"), expected)


def test_base_and_head_of_a_saved_encoder_are_found_again(tmp_path: Path, tiny_model: Path) -> None:
    base = load_model(resolve_model(str(tiny_model)), device="cpu")
    settings = ModelSettings(output_dim=20, init="random")
    head = build_head(settings, spectrum(sample()), seed=0)
    save_encoder(base, head, tmp_path / "model", "tiny")

    again, modules = split(load_model(resolve_model(str(tmp_path)), device="cpu"))

    assert base_key(again, "fp32") == base_key(base, "fp32")
    assert modules is not None
    assert len(modules) == 2
    other = build_head(settings, spectrum(sample()), seed=1)
    assert not torch.equal(other.first.weight, head.first.weight)
    load_head_weights(str(tmp_path), other)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), head.parameters(), strict=True))
    with pytest.raises(UserError, match="its head has weights"):
        load_head_weights(str(tmp_path), build_head(ModelSettings(output_dim=8), spectrum(sample()), seed=0))
    with pytest.raises(UserError, match="its head has weights"):
        load_head_weights(str(tiny_model), other)


def test_parameters_of_the_hybrid_head() -> None:
    """768 x 1536 + 1536 and 1536 x 512 + 512, counted by hand."""
    head = build_head(ModelSettings(output_dim=512, init="random"), spectrum(sample(dimension=768)), seed=0)

    assert sum(p.numel() for p in head.parameters()) == HEADS["mlp"].weights(768, 512, dropout=0.1) == 1_968_128


@pytest.mark.parametrize("name", list(HEADS))
def test_every_head_has_the_weights_that_its_entry_counts_and_takes_its_own_settings(name: str) -> None:
    dimension = 32 if name == "identity" else 20
    settings = ModelSettings(head=name, output_dim=dimension)
    head = build_head(settings, spectrum(sample()), seed=0)

    entry = HEADS[name]
    assert sum(p.numel() for p in head.parameters()) == entry.weights(32, dimension, **entry.own(settings))
    for own, declared in HEADS[name].settings.items():
        assert getattr(settings, own) == declared.default
    assert head(torch.zeros(3, 32)).shape == (3, dimension)


def test_a_head_starts_whitened_to_a_power_and_a_target_is_the_spectrum_it_would_have() -> None:
    found, base = spectrum(sample()), torch.from_numpy(sample())
    for head in ("mlp", "local", "linear"):
        started = build_head(ModelSettings(head=head, output_dim=12, init="whiten:0.5"), found, seed=0).eval()
        after = build_head(ModelSettings(head="whiten", output_dim=12, whiten_power=0.5), found, seed=0)
        torch.testing.assert_close(started(base), after(base), atol=1e-4, rtol=1e-4)
        target = found.target(12, 0.5)
        assert target is not None
        torch.testing.assert_close(started(base).var(0), target, atol=1e-3, rtol=1e-3)
    assert found.target(12, 1.0) is None
    with pytest.raises(UserError, match="no variance in some of the 33"):
        found.target(33, 0.5)


def test_the_automatic_power_follows_from_the_spectrum_alone() -> None:
    found = spectrum(sample())
    powers = [found.auto_power(dimension) for dimension in (4, 12, 24, 32)]
    assert powers == sorted(powers, reverse=True)
    assert 0 <= powers[-1] < powers[0] <= 1
    assert spectrum(7 * sample() + 3).auto_power(12) == pytest.approx(powers[1], rel=1e-4)
    for settings in (
        ModelSettings(head="whiten", output_dim=12, whiten_power="auto"),
        ModelSettings(head="linear", output_dim=12, init="whiten:auto"),
    ):
        layer = build_head(settings, found, seed=0).layers()[0]
        torch.testing.assert_close(layer.weight, found.projection(12, powers[1])[0])


def far_and_near() -> tuple[torch.Tensor, torch.Tensor]:
    """Texts of another topic than those of `sample`, and texts near to some of these; all of length 1."""
    generator = np.random.default_rng(1)
    topic, other = np.linalg.qr(generator.standard_normal((64, 2)))[0].T
    near, far = (generator.standard_normal((400, 64)) / 16 + direction for direction in (topic, other))
    return tuple(nn.functional.normalize(torch.from_numpy(texts).float(), dim=1) for texts in (far, near))


def test_a_local_head_learns_near_its_training_texts_and_stays_the_base_elsewhere() -> None:
    far, near = far_and_near()
    settings = ModelSettings(head="local", output_dim=16, local_units=128)
    head = build_head(settings, spectrum(near.numpy()), seed=0).eval()
    before = head(far).detach(), head(near).detach()
    with torch.no_grad():  # whatever is learnt
        head.corrections.weight.normal_(generator=torch.Generator().manual_seed(0))

    moved_far, moved_near = (
        (head(texts) - old).norm(dim=1).mean() for texts, old in zip((far, near), before, strict=True)
    )

    assert moved_near > 0.5
    assert moved_far < 0.02 * moved_near


def test_a_local_head_is_trained_without_its_projection() -> None:
    head = build_head(ModelSettings(head="local", output_dim=20), spectrum(sample()), seed=0)
    trained = {name for name, weights in head.named_parameters() if weights.requires_grad}
    assert trained == {"units.weight", "units.bias", "corrections.weight"}


def test_a_saved_local_head_is_two_dense_modules_that_compute_the_same(tmp_path: Path, tiny_model: Path) -> None:
    base = load_model(resolve_model(str(tiny_model)), device="cpu")
    texts = ["the cat sleeps", "owl"]
    settings = ModelSettings(head="local", output_dim=20, local_units=64)
    head = build_head(settings, spectrum(sample()), seed=0).eval()
    with torch.no_grad():
        head.corrections.weight.normal_()
    expected = head(torch.from_numpy(base.encode(texts))).detach().numpy()

    save_encoder(base, head, tmp_path / "model", "tiny")

    saved = load_model(resolve_model(str(tmp_path)), device="cpu")
    np.testing.assert_allclose(saved.encode(texts), expected, rtol=1e-4, atol=1e-4)
    other = build_head(settings, spectrum(sample()), seed=1)
    load_head_weights(str(tmp_path), other)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), head.parameters(), strict=True))


def test_a_local_head_refuses_the_weights_of_another_head(tmp_path: Path, tiny_model: Path) -> None:
    base = load_model(resolve_model(str(tiny_model)), device="cpu")
    mlp = build_head(ModelSettings(output_dim=20, init="random"), spectrum(sample()), seed=0)
    save_encoder(base, mlp, tmp_path / "model", "tiny")
    local = build_head(ModelSettings(head="local", output_dim=20, local_units=24), spectrum(sample()), seed=0)
    with pytest.raises(UserError, match="not a local one"):
        load_head_weights(str(tmp_path), local)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_and_follows_from_the_seed(dtype: torch.dtype) -> None:
    dropout, ones = Dropout(0.3), torch.ones(701, 333, dtype=dtype, requires_grad=True)

    def drawn() -> torch.Tensor:
        torch.manual_seed(0)
        return dropout(ones)

    found = drawn()
    kept = found != 0
    assert found.dtype == dtype
    assert abs(float(kept.double().mean()) - 0.7) < 4 * (0.21 / kept.numel()) ** 0.5
    torch.testing.assert_close(found[kept], torch.full_like(found[kept], 1 / 0.7))
    assert torch.equal(found, drawn())
    assert not torch.equal(found, dropout(ones)), "drawn anew"
    found.sum().backward()
    assert torch.equal(ones.grad, found.detach()), "the gradient goes where the values went"
    for column in (kept[:, ::4], kept[:, 1::4]):  # of one number of the generator, each counts for itself
        assert abs(float(column.double().mean()) - 0.7) < 4 * (0.21 / column.numel()) ** 0.5
    assert dropout.eval()(ones) is ones


@pytest.mark.parametrize("probability", [0.0, 1e-6, 1 - 1e-6])
def test_dropout_at_the_ends_of_its_range_is_finite(probability: float) -> None:
    assert Dropout(probability)(torch.ones(50, 50)).isfinite().all()
