"""Runtimes give sentence-transformers' vectors, to rounding; what OpenVINO does not take goes to torch."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
from transformers import AutoConfig, AutoModel, AutoTokenizer

from ragcun.data.texts import Texts
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.model_files import architecture
from ragcun.embedding.openvino_runtime import ARCHITECTURES, OpenVINORuntime
from ragcun.errors import UserError
from ragcun.files import ragcun_cache
from ragcun.retrieval.registry import identify
from ragcun.retrieval.retrievers import RetrieverOptions

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 80,
}
OTHER_NAMES = {"distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}}


def saved(kind: str, tiny: Path, folder: Path, *behind: Any, **configured: Any) -> Path:
    """A model of the architecture `kind` with the tiny model's tokenizer and random weights."""
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    torch.manual_seed(0)
    sizes = {"initializer_range": 0.5, "vocab_size": len(tokenizer), **SIZES, **OTHER_NAMES.get(kind, {})}
    tokens = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2}
    config = AutoConfig.for_model(kind, **sizes, **tokens, sep_token_id=3, **configured)
    AutoModel.from_config(config).save_pretrained(folder / "transformer")
    tokenizer.save_pretrained(folder / "transformer")
    modules = [Transformer(str(folder / "transformer")), *(behind or [Pooling(32)])]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder / "model"), create_model_card=False)
    return folder / "model"


def encode(folder: Path, store: Path, texts: Texts, **options: Any) -> np.ndarray[Any, Any]:
    return Embedder(str(folder), store, device="cpu", **options).documents(texts).block(0, len(texts))


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_vectors_are_those_of_sentence_transformers(
    kind: str, tiny_model: Path, tmp_path: Path, sentences: list[str]
) -> None:
    folder = saved(kind, tiny_model, tmp_path)
    assert architecture(folder) == kind
    texts = [*sentences, "owl"]
    theirs = SentenceTransformer(str(folder), device="cpu").encode(texts)
    scale = np.abs(theirs).max()
    ours = {name: encode(folder, tmp_path / "store", texts, runtime=name) for name in ("torch", "openvino")}
    for vectors in ours.values():
        np.testing.assert_allclose(vectors, theirs, atol=2e-5 * scale)
    assert not np.array_equal(ours["openvino"], ours["torch"]), "torch computed both"
    rounded = encode(folder, tmp_path / "store", texts, runtime="openvino", precision="bf16")
    np.testing.assert_allclose(rounded, theirs, atol=0.1 * scale)


def test_padding_outside_a_local_window_does_no_harm(tiny_model: Path, tmp_path: Path) -> None:
    folder = saved("modernbert", tiny_model, tmp_path, local_attention=8)
    texts = ["owl " * count for count in (1, 2, 40)]
    theirs = SentenceTransformer(str(folder), device="cpu").encode(texts, batch_size=1)
    ours = encode(folder, tmp_path / "store", texts, runtime="openvino")
    np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max())


def test_modules_behind_the_transformer_are_the_models_own(
    tiny_model: Path, tmp_path: Path, sentences: list[str]
) -> None:
    torch.manual_seed(1)
    folder = saved("bert", tiny_model, tmp_path, Pooling(32, "max"), Dense(32, 8))
    by_torch, by_openvino = (encode(folder, tmp_path / "s", sentences, runtime=n) for n in ("torch", "openvino"))
    np.testing.assert_allclose(by_openvino, by_torch, atol=1e-5)


def test_the_converted_base_is_kept_and_made_anew_where_it_is_damaged(
    tiny_model: Path,
    tmp_path: Path,
    sentences: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RAGCUN_CACHE_DIR", str(tmp_path / "cache"))
    folder = saved("bert", tiny_model, tmp_path)
    first = encode(folder, tmp_path / "first", sentences, runtime="openvino")
    (weights,) = (ragcun_cache() / "openvino").glob("*/base.bin")
    written = weights.stat().st_mtime_ns
    np.testing.assert_array_equal(encode(folder, tmp_path / "again", sentences, runtime="openvino"), first)
    assert weights.stat().st_mtime_ns == written
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 0x40
    weights.write_bytes(content)
    np.testing.assert_array_equal(encode(folder, tmp_path / "third", sentences, runtime="openvino"), first)
    record = weights.with_name("complete.json")
    record.write_bytes(b"\xff" + record.read_bytes())
    np.testing.assert_array_equal(encode(folder, tmp_path / "fourth", sentences, runtime="openvino"), first)
    assert capsys.readouterr().err.count("damaged") == 2


def test_auto_prefers_it_and_tells_where_torch_takes_over(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Embedder(str(tiny_model), tmp_path, device="cpu").describe()["runtime"]["name"] == "openvino"
    assert "computed by" not in capsys.readouterr().err
    assert Embedder(str(tiny_model), tmp_path, "fp16", device="cpu").describe()["runtime"]["name"] == "torch"
    assert "computed by torch, because openvino does not compute in fp16" in capsys.readouterr().err
    with pytest.raises(UserError, match="--runtime openvino: does not compute in fp16"):
        Embedder(str(tiny_model), tmp_path, "fp16", device="cpu", runtime="openvino")
    reason = OpenVINORuntime().missing("cuda:0")
    assert reason is not None
    assert "not on cuda" in reason


def test_a_retrievers_identity_names_the_runtime_that_computes_it(tiny_model: Path, tmp_path: Path) -> None:
    inputs = {
        name: identify(str(tiny_model), RetrieverOptions(tmp_path, runtime=name)).inputs for name in ("auto", "torch")
    }
    assert inputs["auto"]["runtime"] == "openvino"
    assert inputs["auto"]["version"]
    assert "runtime" not in inputs["torch"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("adapter_config.json", "{}"),
        ("sentence_bert_config.json", '{"transformer_task": "fill-mask"}'),
        ("config.json", '{"model_type": "bert", "is_decoder": true}'),
    ],
)
def test_what_is_no_plain_transformer_has_no_architecture(
    name: str, content: str, tiny_model: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    assert architecture(folder) == "bert"
    (folder / name).write_text(content, encoding="utf-8")
    assert architecture(folder) is None
