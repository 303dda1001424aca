"""Training of a whole encoder: the base learns, what is frozen stays, and memory is spared without changing results."""

import contextlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from children import python, ragcun
from ragcun.data.pairs import Pairs, load_pairs
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.load import load_model
from ragcun.embedding.resolve import resolve_model
from ragcun.errors import RagcunError, UserError
from ragcun.heads.layers import MLPHead
from ragcun.losses.retrieval import RetrievalObjective
from ragcun.model.freezing import freeze_early_layers
from ragcun.settings.load import load_settings
from ragcun.settings.schema import Settings
from ragcun.training.batches import PairTexts
from ragcun.training.encoder import EncoderWithObjective
from ragcun.training.gradcache import cached_backward
from ragcun.training.history import read_history
from ragcun.training.loop import Training
from ragcun.training.run import train


def settings_for(collection: Path, tiny_model: Path, **changed: Any) -> Settings:
    flags = {
        "data.train": str(collection),
        "model.base": str(tiny_model),
        "model.freeze_base": False,
        "model.output_dim": 16,
        "training.epochs": 3,
        "training.batch_size": 8,
        "training.learning_rate": 3e-3,
        "training.lambda_distill": 0.0,
        "training.interpolate": 1.0,
        "training.log_interval": 1,
        "training.warmup_steps": 2,
    }
    return load_settings(flags={**flags, **{name.replace("__", "."): value for name, value in changed.items()}})


def base_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(
        next(
            path
            for path in (folder / "model.safetensors", folder / "0_Transformer" / "model.safetensors")
            if path.exists()
        )
    )


def test_the_base_learns_and_its_early_layers_stay(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    settings = settings_for(collection, tiny_model, training__epochs=8, model__freeze_early_layers=1)

    manifest = train(settings, tmp_path / "e", tmp_path / "store")

    losses = [row["loss"] for row in read_history(tmp_path / "e" / "history.jsonl") if "loss" in row]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert manifest["dev"]["best_step"] > 0
    before, after = base_weights(tiny_model), base_weights(tmp_path / "e" / "model")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("layer.1." in name for name in changed), changed
    kept = sum(before[name].numel() for name in before if "layer.0." in name or "embeddings" in name)
    whole = manifest["parameters"]["base"] + manifest["parameters"]["head"]
    assert manifest["parameters"]["trained"] == whole - kept


def test_the_saved_encoder_is_the_trained_one(
    tmp_path: Path, collection: Path, tiny_model: Path, sentences: list[str]
) -> None:
    random = {"model__init": "random"}  # no start at random counts as best, so the base that is saved has changed
    train(settings_for(collection, tiny_model, **random), tmp_path / "a", tmp_path / "store")
    train(
        settings_for(collection, tiny_model, training__interpolate=0.0),
        tmp_path / "b",
        tmp_path / "store",
        load_checkpoint=str(tmp_path / "a"),
    )

    first, second = (SentenceTransformer(str(tmp_path / name / "model"), device="cpu") for name in "ab")
    assert first.similarity_fn_name == "euclidean"
    assert np.array_equal(first.encode(sentences), second.encode(sentences))
    before, after = base_weights(tiny_model), base_weights(tmp_path / "a" / "model")
    assert before.keys() == after.keys()
    assert not torch.equal(before["encoder.layer.0.output.dense.weight"], after["encoder.layer.0.output.dense.weight"])


def test_lambda_distill_holds_the_base_as_it_was(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    embedder = Embedder(str(tiny_model), tmp_path / "store")
    pairs, rows = load_pairs(collection, "train"), np.array([7, 3, 11])
    batch = PairTexts(pairs, load_model(resolve_model(str(tiny_model))), embedder).batch(rows, torch.device("cpu"))
    expected = embedder.documents([pairs.documents[int(row)] for row in pairs.positive[rows]]).block(0, 3)
    assert batch.teacher_Bb is not None
    assert np.array_equal(batch.teacher_Bb.numpy(), expected)

    train(settings_for(collection, tiny_model, training__lambda_distill=1.0), tmp_path / "e", tmp_path / "store")
    assert all("distillation" in row for row in read_history(tmp_path / "e" / "history.jsonl") if "loss" in row)


def test_interrupted_and_resumed_gives_the_same_bits(
    tmp_path: Path, collection: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(collection, tiny_model, training__save_interval=2, training__learnable_temperature=True)
    train(settings, tmp_path / "whole", tmp_path / "store")
    step = Training._step

    def interrupted(self: Training, number: int, sums: dict[str, float]) -> None:
        if number == 5:
            raise KeyboardInterrupt
        step(self, number, sums)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Training, "_step", interrupted)
        train(settings, tmp_path / "resumed", tmp_path / "store")
    train(settings, tmp_path / "resumed", tmp_path / "store")

    files = sorted(
        path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole" / "model").rglob("*.safetensors")
    )
    assert len(files) == 3
    for file in [*files, "checkpoints/last.safetensors"]:
        first, second = load_file(tmp_path / "whole" / file), load_file(tmp_path / "resumed" / file)
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert [row["step"] for row in read_history(tmp_path / "resumed" / "history.jsonl") if "loss" in row] == list(
        range(1, 10)
    )


def pairs_with_negatives(collection: Path) -> Pairs:
    pairs = load_pairs(collection, "train")
    negatives = np.stack(
        [np.roll(pairs.positive, 1), np.where(np.arange(len(pairs)) % 2, np.roll(pairs.positive, 2), -1)], 1
    )
    return replace(pairs, negatives=negatives)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_gradcache_gives_the_gradient_of_the_whole_batch(collection: Path, tiny_model: Path, dropout: float) -> None:
    def encoder() -> EncoderWithObjective:
        torch.manual_seed(0)
        base = load_model(resolve_model(str(tiny_model)), device="cpu")
        objective = RetrievalObjective(lambda_isotropy=1.0, lambda_reg=0.1, temperature=1.6, learnable_temperature=True)
        made = EncoderWithObjective(MLPHead(32, 16, dropout), objective, 1.0, base)
        for module in made.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = dropout
        return made.train()

    whole, cached = encoder(), encoder()
    batch = PairTexts(pairs_with_negatives(collection), cached.base, None).batch(np.arange(11), torch.device("cpu"))
    seen: list[tuple[int, torch.Tensor]] = []
    embed = cached.embed

    def watched(inputs: Any) -> torch.Tensor:
        out = embed(inputs)
        seen.append((len(out), out.detach().clone()))
        return out

    cached.embed = watched  # type: ignore[method-assign]
    parts = cached_backward(
        cached, batch, 0, 4, 7, contextlib.nullcontext, lambda p: torch.stack(list(p.values())).sum().backward()
    )

    sizes = [size for size, _ in seen]
    assert max(sizes) == 4
    assert sizes[: len(sizes) // 2] == sizes[len(sizes) // 2 :]
    halves = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    for (_, first), (_, again) in zip(*halves, strict=True):
        assert torch.equal(first, again)  # dropout is drawn alike both times
    if dropout == 0:
        plain = whole(batch, 0)
        torch.stack(list(plain.values())).sum().backward()
        for name in plain:
            torch.testing.assert_close(parts[name], plain[name])
        gradients = dict(whole.named_parameters())
        compared = 0
        for name, parameter in cached.named_parameters():
            expected = gradients[name].grad
            if expected is not None:
                torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-6)
                compared += 1
        assert compared > 20
        assert cached.objective.contrastive.log_temperature is not None


@pytest.mark.parametrize("mini_batch", [None, 8])
def test_out_of_memory_halves_what_is_computed_at_a_time(
    tmp_path: Path,
    collection: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    mini_batch: int | None,
) -> None:
    embed = EncoderWithObjective.embed

    def small(self: EncoderWithObjective, inputs: Any) -> torch.Tensor:
        if self.training and len(inputs["input_ids"]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return embed(self, inputs)

    monkeypatch.setattr(EncoderWithObjective, "embed", small)
    settings = settings_for(collection, tiny_model, training__mini_batch_size=mini_batch)

    manifest = train(settings, tmp_path / "e", tmp_path / "store")

    expected = (
        {"size": 8, "accumulation": 1, "mini_batch": 2}
        if mini_batch
        else {"size": 2, "accumulation": 4, "mini_batch": None}
    )
    assert manifest["batch"] == expected
    assert manifest["steps"] == 9
    assert capfd.readouterr().err.count("out of memory at step 1") == 2
    told = [row for row in read_history(tmp_path / "e" / "history.jsonl") if "out_of_memory" in row]
    assert len(told) == 2


def test_memory_for_not_even_two_pairs_is_an_error(
    tmp_path: Path, collection: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: EncoderWithObjective, inputs: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(EncoderWithObjective, "embed", never)
    with pytest.raises(RagcunError, match="out of memory with batches of 2"):
        train(settings_for(collection, tiny_model), tmp_path / "e", tmp_path / "store")


def test_layers_that_cannot_be_found_are_an_error(tiny_model: Path) -> None:
    base = load_model(resolve_model(str(tiny_model)), device="cpu")
    with pytest.raises(UserError, match="tiny has only 2 layers"):
        freeze_early_layers(base, 3, "tiny")
    base[0].auto_model.encoder.layer = torch.nn.Sequential(*base[0].auto_model.encoder.layer)
    with pytest.raises(UserError, match="cannot identify the layers of tiny"):
        freeze_early_layers(base, 1, "tiny")


@pytest.mark.parametrize("kind", ["mpnet", "gemma"])
def test_layers_of_other_architectures_are_found(kind: str) -> None:
    from transformers import Gemma3TextConfig, Gemma3TextModel, MPNetConfig, MPNetModel

    small = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "vocab_size": 50,
    }
    if kind == "mpnet":
        transformer: Any = MPNetModel(MPNetConfig(**small))
        layers = transformer.encoder.layer
    else:
        transformer = Gemma3TextModel(Gemma3TextConfig(**small, num_key_value_heads=1, head_dim=16))
        layers = transformer.layers

    class Base(list[Any]): ...

    class Module:
        auto_model = transformer

    freeze_early_layers(Base([Module()]), 2, kind)  # type: ignore[arg-type]
    assert not any(p.requires_grad for layer in layers[:2] for p in layer.parameters())
    assert all(p.requires_grad for p in layers[2].parameters())
    embeddings = transformer.embeddings if kind == "mpnet" else transformer.embed_tokens
    assert not any(p.requires_grad for p in embeddings.parameters())
    before = transformer(torch.tensor([[5, 6, 7]]), output_hidden_states=True).hidden_states[2]
    assert not before.requires_grad  # nothing that the frozen layers use is trained


@pytest.mark.long
def test_a_full_disk_is_one_line_and_the_last_good_checkpoint_stays(
    tmp_path: Path, collection: Path, tiny_model: Path
) -> None:
    command = ["train", "--train-data", str(collection), "--base-model", str(tiny_model)]
    command += ["--output-dim", "16", "--batch-size", "8", "--epochs", "2", "--store", str(tmp_path / "store")]
    limit = 25_000  # the weights fit, the state of the optimiser does not

    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
    done = python("-c", limited + "from ragcun.cli.main import main; main()", *command, "--output-dir", tmp_path / "e")

    assert done.returncode == 1, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "cannot be written" in errors[0]
    left = {path.name for path in (tmp_path / "e" / "checkpoints").iterdir()}
    assert left == {"start.safetensors", "best.safetensors"}
    assert load_file(tmp_path / "e" / "checkpoints" / "best.safetensors")


def test_any_seed_is_one_for_gradcache(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    settings = settings_for(collection, tiny_model, seed=2**32 - 1, training__mini_batch_size=3, training__epochs=1)
    assert train(settings, tmp_path / "e", tmp_path / "store")["steps"] == 3


@pytest.mark.long
def test_both_stages_on_two_processes(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    command = ["-m", "ragcun", "train", "--preset", "prototype", "--freeze-early-layers", "0", "--output-dim", "16"]
    command += ["--train-data", str(collection), "--pretrain-data", str(collection), "--base-model", str(tiny_model)]
    command += ["--output-dir", str(tmp_path / "e"), "--store", str(tmp_path / "store"), "--mixed-precision", "bf16"]
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
    done = subprocess.run([sys.executable, *launch, *command], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for stage in (tmp_path / "e" / "pretraining", tmp_path / "e"):
        assert json.loads((stage / "manifest.json").read_text(encoding="utf-8"))["processes"] == 2


@pytest.mark.long
def test_both_stages_in_one_command(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    command = ["train", "--preset", "prototype", "--base-model", str(tiny_model)]
    command += ["--freeze-early-layers", "1", "--output-dim", "16", "--store", str(tmp_path / "store"), "--json"]
    command += ["--train-data", str(collection), "--output-dir", str(tmp_path / "e")]

    refused = ragcun(*command, RAGCUN_PRETRAINING__EPOCHS="1")
    assert refused.returncode == 1  # without data of its own, stage 1 downloads Wikipedia, and tests are offline
    assert "wikimedia/wikipedia" in refused.stderr
    done = ragcun(*command, "--pretrain-data", collection, RAGCUN_PRETRAINING__EPOCHS="1")

    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    first = resolve_model(str(tmp_path / "e" / "pretraining"))
    assert manifest["load_checkpoint"] == {
        "path": str(tmp_path / "e" / "pretraining"),
        "fingerprint": first.fingerprint,
    }
    assert manifest["settings"]["training"]["learning_rate"] == 1e-5
    first = json.loads((tmp_path / "e" / "pretraining" / "manifest.json").read_text(encoding="utf-8"))
    assert first["settings"]["training"]["learning_rate"] == 2e-5
    assert first["steps"] == 3
    start = load_file(tmp_path / "e" / "checkpoints" / "start.safetensors")
    best = load_file(tmp_path / "e" / "pretraining" / "checkpoints" / "best.safetensors")
    assert start.keys() == best.keys()
    assert all(torch.equal(start[name], best[name]) for name in start)
