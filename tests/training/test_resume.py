"""What a training goes on from: its own checkpoints, on any number of processes, and nothing else."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ragcun.data.pairs import load_pairs
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.resolve import resolve_model
from ragcun.errors import RagcunError, UserError
from ragcun.losses.retrieval import RetrievalObjective
from ragcun.settings.load import load_settings
from ragcun.settings.schema import DataSettings, Settings
from ragcun.training import dev
from ragcun.training.batches import PairVectors
from ragcun.training.checkpoint import load_tensors, save_tensors
from ragcun.training.data import dev_from_pairs
from ragcun.training.history import read_history
from ragcun.training.loop import Training
from ragcun.training.run import train
from ragcun.training.schedule import make_schedule

Stop = Callable[[int], None]


def settings_for(collection: Path, tiny_model: Path, **changed: Any) -> Settings:
    flags = {
        "data.train": str(collection),
        "model.base": str(tiny_model),
        "model.output_dim": 16,
        "training.epochs": 4,
        "training.batch_size": 8,
        "training.learning_rate": 1e-2,
        "training.warmup_steps": 2,
        "training.log_interval": 1,
    }
    return load_settings(flags={**flags, **{name.replace("__", "."): value for name, value in changed.items()}})


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Makes trainings stop before a step; at -1, they go on."""
    step = Training._step
    where = -1

    def stopping(self: Training, number: int, sums: dict[str, float]) -> None:
        if number == where:
            raise KeyboardInterrupt
        step(self, number, sums)

    def change(number: int) -> None:
        nonlocal where
        where = number

    monkeypatch.setattr(Training, "_step", stopping)
    return change


def same(first: Path, second: Path) -> bool:
    files = [path.relative_to(first) for path in first.rglob("*.safetensors")]
    tensors = [(load_file(first / file), load_file(second / file)) for file in files]
    return bool(files) and all(torch.equal(a[name], b[name]) for a, b in tensors for name in a)


def test_a_training_of_other_settings_in_the_folder_leaves_nothing_to_go_on_from(
    tmp_path: Path, collection: Path, tiny_model: Path, stop_at: Stop
) -> None:
    ours, others = (
        settings_for(collection, tiny_model),
        settings_for(collection, tiny_model, training__lambda_distill=3.0),
    )
    train(ours, tmp_path / "whole", tmp_path / "store")
    for settings, step in ((ours, 7), (others, 2)):
        stop_at(step)
        with pytest.raises(KeyboardInterrupt):
            train(settings, tmp_path / "e", tmp_path / "store")
    stop_at(-1)

    train(ours, tmp_path / "e", tmp_path / "store")

    assert same(tmp_path / "whole", tmp_path / "e")
    steps = [row["step"] for row in read_history(tmp_path / "e" / "history.jsonl") if "loss" in row]
    assert steps == list(range(1, 13))


def test_begun_on_two_processes_it_goes_on_with_the_same_batches_on_one(
    tmp_path: Path, collection: Path, tiny_model: Path, stop_at: Stop, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(collection, tiny_model)
    train(settings, tmp_path / "whole", tmp_path / "store")
    stop_at(7)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "e", tmp_path / "store")
    stop_at(-1)
    last = tmp_path / "e" / "checkpoints" / "last.safetensors"
    tensors, state = load_tensors(last)
    save_tensors(last, tensors, {**state, "processes": 2, "batch": [4, 1, None]})

    train(settings, tmp_path / "e", tmp_path / "store")

    assert "the global batch stays the same, 1 x 8 instead of 2 x 4 pairs" in capfd.readouterr().err
    assert same(tmp_path / "whole" / "model", tmp_path / "e" / "model")


def test_smaller_batches_leave_the_number_of_steps(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    stage = settings_for(collection, tiny_model, training__batch_size=100, training__epochs=3).training
    schedule = make_schedule(5_000, stage, 1, 0)
    smaller = replace(schedule, batch_size=12, accumulation=8)
    assert (schedule.steps, smaller.steps) == (150, 150)
    rows = np.concatenate([row for step in range(50) for row in smaller.rows(step, 0)])
    assert len(rows) == len(set(rows.tolist())) == 50 * 96


def test_a_training_ends_at_its_maximum_of_steps(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    settings = settings_for(collection, tiny_model, training__epochs=50, training__max_steps=7)
    assert train(settings, tmp_path / "e", tmp_path / "store")["steps"] == 7


def test_what_is_started_from_is_known_by_its_weights(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    store = tmp_path / "store"
    train(settings_for(collection, tiny_model), tmp_path / "start", store)
    start = shutil.copytree(tmp_path / "start" / "model", tmp_path / "plain")
    train(settings_for(collection, tiny_model), tmp_path / "e", store, str(start))
    path = next(start.glob("*Dense/model.safetensors"))
    weights = load_file(path)
    save_file({name: tensor + 1 for name, tensor in weights.items()}, path)

    with pytest.raises(UserError, match="trained with other settings or data"):
        train(settings_for(collection, tiny_model), tmp_path / "e", store, str(start))


def test_trainings_in_one_process_have_their_own_precision(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    for name, precision in (("a", "bf16"), ("b", "no")):
        train(
            settings_for(collection, tiny_model, training__mixed_precision=precision, training__checkpoint="last"),
            tmp_path / name,
            tmp_path / "s",
        )
    assert not same(tmp_path / "a" / "model", tmp_path / "b" / "model")


def test_ids_do_not_depend_on_the_order_in_the_store(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    pairs = load_pairs(collection, "train")
    texts = [pairs.documents[int(row)] for row in reversed(pairs.positive)]
    orders = []
    for name, before in (("a", []), ("b", texts[:5]), ("c", texts[5:])):
        embedder = Embedder(str(tiny_model), tmp_path / name)
        embedder.documents(before)
        source = PairVectors(pairs, embedder, "training")
        batch = source.batch(np.arange(len(pairs)), torch.device("cpu"))
        orders.append(torch.cat([batch.anchor_ids, batch.document_ids, batch.known_pairs]))
    assert all(torch.equal(orders[0], other) for other in orders[1:])


def test_a_base_that_ends_in_dense_layers_keeps_them(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense

    torch.manual_seed(0)
    own = Dense(32, 32, activation_function=torch.nn.Tanh())
    model = SentenceTransformer(modules=[*SentenceTransformer(str(tiny_model), device="cpu"), own], device="cpu")
    model.save(str(tmp_path / "dense"), create_model_card=False)
    for frozen in (True, False):
        settings = settings_for(
            collection,
            tmp_path / "dense",
            model__freeze_base=frozen,
            training__interpolate=0.0,
            training__lambda_distill=0.0,
        )
        first, second = tmp_path / f"first-{frozen}", tmp_path / f"second-{frozen}"
        start = train(settings, first, tmp_path / "store")
        again = train(settings, second, tmp_path / "store", str(first))

        saved = SentenceTransformer(str(second / "model"), device="cpu")
        assert [type(module).__name__ for module in saved][-3:] == ["Dense", "Dense", "Dense"]
        assert torch.equal(saved[-3].linear.weight, own.linear.weight)
        assert again["dev"]["start"] == start["dev"]["end"]
    centred = model.encode(["the old owl sings", "a cold sea", "green frog jumps", "the sun"])
    embedded = saved.encode(["the old owl sings", "a cold sea", "green frog jumps", "the sun"])
    gram = [(x - x.mean(0)) @ (x - x.mean(0)).T for x in (centred, embedded)]
    assert np.corrcoef(gram[0].ravel(), gram[1].ravel())[0, 1] > 0.95  # share 0: the PCA of what the base gives


def test_held_out_pairs_are_as_many_as_are_asked_for(collection: Path) -> None:
    pairs = load_pairs(collection, "train")
    texts, again, other = (dev_from_pairs(pairs, DataSettings(dev_rows=5, sample_seed=seed)) for seed in (0, 0, 1))
    assert (len(texts.queries), len(texts.documents), len(texts.qrels)) == (5, 5, 5)
    assert texts.notes == ("dev: 5 of 24 held-out queries, with their documents",)
    assert list(texts.queries) == list(again.queries) != list(other.queries)


def test_the_loss_is_followed_on_held_out_pairs(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    draw = np.random.default_rng(0)
    queries, documents = (draw.normal(size=(6, 4)).astype(np.float32) for _ in range(2))
    qrels = {str(query): {str(5 - query): 1} for query in range(6)} | {"0": {"5": 1, "4": 2, "3": 0}}
    encoder = SimpleNamespace(objective=RetrievalObjective(temperature=3.0))
    logits = -((queries[:, None] - documents[None]) ** 2).sum(-1) / 3.0
    expected = []
    for query, document in [(0, 5), (0, 4), (1, 4), (2, 3), (3, 2), (4, 1), (5, 0)]:
        others = [d for q, d in [(0, 5), (0, 4), (1, 4), (2, 3), (3, 2), (4, 1), (5, 0)]]
        kept = [d for d in others if str(d) not in qrels[str(query)] or qrels[str(query)][str(d)] == 0]
        expected.append(np.log(np.exp(logits[query, [document, *kept]]).sum()) - logits[query, document])
    assert dev._contrastive(qrels, queries, documents, encoder) == pytest.approx(np.mean(expected), rel=1e-5)

    train(settings_for(collection, tiny_model), tmp_path / "e", tmp_path / "store")
    rows = [row for row in read_history(tmp_path / "e" / "history.jsonl") if "dev_sigreg" in row]
    assert [row["step"] for row in rows if row["dev_contrastive"] > 0] == [0, 3, 6, 9, 12]


@pytest.mark.parametrize("name", ["start", "best", "last"])
def test_a_damaged_checkpoint_is_refused_with_what_to_do(
    name: str, tmp_path: Path, collection: Path, tiny_model: Path
) -> None:
    settings = settings_for(collection, tiny_model)
    train(settings, tmp_path / "e", tmp_path / "store")
    (tmp_path / "e" / "manifest.json").unlink()
    damage(tmp_path / "e" / "checkpoints" / f"{name}.safetensors")
    with pytest.raises(RagcunError, match=rf"{name}\.safetensors: damaged .*; delete .*checkpoints and"):
        train(settings, tmp_path / "e", tmp_path / "store")


def test_a_damaged_encoder_is_refused_and_saved_again_by_the_training_s_command(
    tmp_path: Path, collection: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, experiment = settings_for(collection, tiny_model), tmp_path / "e"
    train(settings, experiment, tmp_path / "store")
    weights = sorted((experiment / "model").rglob("model.safetensors"))
    whole = [path.read_bytes() for path in weights]
    assert len(weights) >= 2
    for path in (*weights, experiment / "model" / "modules.json"):
        damage(path)
        with pytest.raises(RagcunError, match=r"damaged .*run the training's command again"):
            resolve_model(str(experiment))
        capsys.readouterr()
        train(settings, experiment, tmp_path / "store")
        assert "saved again" in " ".join(capsys.readouterr().err.split())
        assert [path.read_bytes() for path in weights] == whole
    (experiment / "model" / "modules.json").unlink()
    with pytest.raises(RagcunError, match="missing; run the training's command again"):
        resolve_model(str(experiment))
    assert not list(experiment.rglob(".*"))


def test_a_damaged_manifest_is_refused(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    settings, manifest = settings_for(collection, tiny_model), tmp_path / "e" / "manifest.json"
    before = train(settings, tmp_path / "e", tmp_path / "store")
    for content in (manifest.read_bytes()[:100], manifest.read_bytes().replace(b'"label": "e"', b'"label": "d"')):
        manifest.write_bytes(content)
        for reading in (
            lambda: train(settings, tmp_path / "e", tmp_path / "store"),
            lambda: resolve_model(str(tmp_path / "e")),
        ):
            with pytest.raises(RagcunError, match=r"manifest\.json: damaged .*; delete it and"):
                reading()
        manifest.unlink()
        assert train(settings, tmp_path / "e", tmp_path / "store")["dev"] == before["dev"]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
