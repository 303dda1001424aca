"""Runtimes: chosen by name or by what they support, and never mixed in a store."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from ragcun.embedding import runtimes
from ragcun.embedding.base import Precision
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.runtimes import Engine, choose_runtime
from ragcun.embedding.store import Floats, describe_stores
from ragcun.embedding.torch_runtime import TorchEngine, TorchRuntime
from ragcun.errors import UserError


class DoublingEngine(TorchEngine):
    def encode(self, features: dict[str, Any]) -> Floats:
        return 2 * super().encode(features)


class Doubling:
    """A runtime whose vectors are twice torch's, in fp32 only."""

    name = "doubling"

    def missing(self, device: str) -> str | None:
        return None

    def refuses(self, architecture: str | None, precision: Precision) -> str | None:
        return None if precision == "fp32" else f"does not compute in {precision}"

    def determines(self) -> dict[str, Any]:
        return {"runtime": "doubling", "version": 1}

    def load(self, base: SentenceTransformer, precision: Precision) -> Engine:
        return DoublingEngine(base)


@pytest.fixture
def doubling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "RUNTIMES", (Doubling(), TorchRuntime()))


@pytest.mark.usefixtures("doubling")
def test_a_new_runtime_is_preferred_computes_and_has_a_store_of_its_own(
    tmp_path: Path, tiny_model: Path, sentences: list[str]
) -> None:
    by_name = {
        name: Embedder(str(tiny_model), tmp_path, device="cpu", runtime=name) for name in ("torch", "doubling", "auto")
    }
    vectors = {name: embedder.documents(sentences) for name, embedder in by_name.items()}

    blocks = {name: found.block(0, len(sentences)) for name, found in vectors.items()}
    np.testing.assert_array_equal(blocks["doubling"], 2 * blocks["torch"])
    np.testing.assert_array_equal(blocks["auto"], blocks["doubling"])
    assert vectors["doubling"].fingerprint == vectors["auto"].fingerprint != vectors["torch"].fingerprint
    assert by_name["auto"].describe()["runtime"] == {"name": "doubling", "runtime": "doubling", "version": 1}
    stores = describe_stores(tmp_path)
    assert sorted(str(store["key"].get("runtime")) for store in stores) == ["None", "doubling"]


@pytest.mark.usefixtures("doubling")
def test_what_a_runtime_refuses_goes_to_the_next_or_is_told(tmp_path: Path, tiny_model: Path) -> None:
    assert Embedder(str(tiny_model), tmp_path, "bf16", device="cpu").describe()["runtime"] == {"name": "torch"}
    with pytest.raises(UserError, match="--runtime doubling: does not compute in bf16"):
        Embedder(str(tiny_model), tmp_path, "bf16", device="cpu", runtime="doubling")
    with pytest.raises(UserError, match="no such runtime; choose one of auto, doubling, torch"):
        Embedder(str(tiny_model), tmp_path, device="cpu", runtime="tensorflow")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_torch_adds_nothing_to_the_key_of_a_store() -> None:
    added = choose_runtime("torch", "bert", "fp32", "cpu").runtime.determines()
    assert added == {}, "stores that were made before there were runtimes would be encoded anew"


def test_a_build_of_torch_for_gpus_is_asked_only_where_there_may_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentence_transformers.util.get_device_name", lambda: "asked")
    monkeypatch.setattr(runtimes, "_DEVICES", tmp_path)
    monkeypatch.setattr(runtimes.sys, "platform", "linux")
    builds = {"2.13.0+cpu": "cpu", "2.13.0": "cpu", "2.13.0+cu130": "cpu", "2.13.0+xpu": "asked"}
    for build, device in builds.items():
        monkeypatch.setattr(runtimes, "version", lambda _, build=build: build)
        assert runtimes.fastest_device() == device
    (tmp_path / "nvidia0").touch()
    assert runtimes.fastest_device() == "asked"
    monkeypatch.setattr(runtimes, "version", lambda _: "2.13.0")
    assert runtimes.fastest_device() == "asked"
    (tmp_path / "nvidia0").unlink()
    monkeypatch.setattr(runtimes.sys, "platform", "darwin")
    assert runtimes.fastest_device() == "asked"
