"""Training: nothing lost by an interruption, nothing worse in silence."""

import json
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from safetensors.torch import load_file

from children import Child, in_two_processes, python
from ragcun.cli.main import app
from ragcun.data.collection import Collection
from ragcun.data.pairs import write_pairs
from ragcun.data.provenance import Provenance
from ragcun.embedding.embedder import Embedder
from ragcun.errors import RagcunError, UserError
from ragcun.intact import read_record
from ragcun.settings.load import load_settings
from ragcun.settings.schema import Settings, StageSettings
from ragcun.training.data import training_data
from ragcun.training.history import read_history
from ragcun.training.run import train
from ragcun.training.schedule import learning_rate_factor, make_schedule


def settings_for(collection: Path, tiny_model: Path, **training: Any) -> Settings:
    flags = {"epochs": 4, "batch_size": 8, "learning_rate": 1e-2, "log_interval": 1, "warmup_steps": 2, **training}
    return load_settings(
        flags={
            "data.train": str(collection),
            "model.base": str(tiny_model),
            "model.output_dim": flags.pop("output_dim", 16),
            "model.head": flags.pop("head", "mlp"),
            "model.init": flags.pop("init", "base"),
            **{f"training.{name}": value for name, value in flags.items()},
        }
    )


def weights(experiment: Path) -> dict[str, torch.Tensor]:
    return {
        f"{path.parent.name}.{name}": tensor
        for path in sorted((experiment / "model").glob("*Dense/model.safetensors"))
        for name, tensor in load_file(path).items()
    }


def ended(experiment: Path) -> dict[str, torch.Tensor]:
    """Weights and optimiser at the end of a training, also where an earlier checkpoint was the best."""
    return load_file(experiment / "checkpoints" / "last.safetensors")


def test_the_loss_falls_and_every_part_is_logged(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    settings = settings_for(collection, tiny_model, epochs=20, lambda_distill=1.0)

    manifest = train(settings, tmp_path / "e", tmp_path / "store")

    rows = [row for row in read_history(tmp_path / "e" / "history.jsonl") if "loss" in row]
    assert len(rows) == 60
    for row in rows:
        parts = [row[name] for name in ("contrastive", "isotropy", "scale", "distillation")]
        assert sum(parts) == pytest.approx(row["loss"], rel=1e-5)
    assert max(row["pairs_per_second"] for row in rows) < 1e5  # a step's own time counts
    assert np.mean([row["loss"] for row in rows[-5:]]) < np.mean([row["loss"] for row in rows[:5]])
    assert manifest["dev"]["best"] >= manifest["dev"]["start"]
    assert manifest["parameters"]["head"] == 32 * 64 + 64 + 64 * 16 + 16
    assert manifest["environment"]["packages"]["torch"] == version("torch")


def test_the_history_is_followed_by_a_tracker(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(settings_for(collection, tiny_model, track=["tensorboard"]), tmp_path / "e", tmp_path / "store")

    events = EventAccumulator(str(next((tmp_path / "e" / "tracking").rglob("events*")).parent))
    events.Reload()
    history = read_history(tmp_path / "e" / "history.jsonl")
    for name in ("loss", "contrastive", "isotropy", "gradient_norm", "dev_ndcg@10", "dev_effective_rank", "dev_sigreg"):
        followed = {event.step: event.value for event in events.Scalars(name)}
        assert followed == pytest.approx({row["step"]: row[name] for row in history if name in row}, rel=1e-5), name
        assert len(followed) > 3
    assert "step" not in events.Tags()["scalars"]
    plain = train(settings_for(collection, tiny_model), tmp_path / "plain", tmp_path / "store")
    assert plain["dev"] == json.loads((tmp_path / "e" / "manifest.json").read_text(encoding="utf-8"))["dev"]


def test_a_tracker_that_is_not_installed_is_named(
    tmp_path: Path, collection: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"pip install 'ragcun\[wandb\]'"):
        train(settings_for(collection, tiny_model, track=["wandb"]), tmp_path / "e", tmp_path / "store")


def test_the_same_command_gives_the_same_bits_and_leaves_a_finished_experiment_alone(
    tmp_path: Path, collection: Path, tiny_model: Path
) -> None:
    settings = settings_for(collection, tiny_model)
    train(settings, tmp_path / "a", tmp_path / "store")
    train(settings, tmp_path / "b", tmp_path / "store")
    for tensors_of in (weights, ended):
        first, second = tensors_of(tmp_path / "a"), tensors_of(tmp_path / "b")
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)

    written = (tmp_path / "a" / "manifest.json").stat().st_mtime_ns
    train(settings, tmp_path / "a", tmp_path / "store")
    assert (tmp_path / "a" / "manifest.json").stat().st_mtime_ns == written
    with pytest.raises(UserError, match="other settings"):
        train(settings_for(collection, tiny_model, epochs=5), tmp_path / "a", tmp_path / "store")


@pytest.mark.long
def test_killed_at_any_step_and_resumed_gives_the_same_bits(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    settings = ["--epochs", "15", "--batch-size", "8", "--learning-rate", "0.01", "--save-interval", "1"]
    settings += ["--log-interval", "1", "--output-dim", "16", "--learnable-temperature"]

    def command(experiment: Path) -> list[str]:
        data = ["--train-data", str(collection), "--base-model", str(tiny_model), "--store", str(tmp_path / "store")]
        return ["-m", "ragcun", "train", *data, *settings, "--output-dir", str(experiment)]

    python(*command(tmp_path / "whole")).check_returncode()
    killed = tmp_path / "killed"
    process = Child(*command(killed))
    deadline = time.monotonic() + 120
    while not (killed / "checkpoints" / "last.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert not (killed / "manifest.json").exists()
    half = f"_beside(Path({str(killed / 'checkpoints' / 'last.safetensors')!r}), '.safetensors').touch()"
    python("-c", f"from pathlib import Path; from ragcun.files import _beside; {half}").check_returncode()
    assert len(list((killed / "checkpoints").glob(".last*"))) == 1

    done = python(*command(killed))
    done.check_returncode()

    assert "starting from the beginning" not in done.stderr
    for tensors_of in (weights, ended):
        first, second = tensors_of(tmp_path / "whole"), tensors_of(killed)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert sorted(path.name[:-12] for path in (killed / "checkpoints").iterdir()) == ["best", "last", "start"]
    steps = [row["step"] for row in read_history(killed / "history.jsonl") if "loss" in row]
    assert steps == list(range(1, 46))


def test_share_zero_saves_the_start_and_says_so(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    manifest = train(settings_for(collection, tiny_model, interpolate=0.0), tmp_path / "e", tmp_path / "store")

    assert manifest["dev"]["end"] == manifest["dev"]["start"]
    start = load_file(tmp_path / "e" / "checkpoints" / "start.safetensors")
    saved = weights(tmp_path / "e")
    assert torch.equal(saved["3_Dense.linear.weight"], start["head.first.weight"])
    assert torch.equal(saved["4_Dense.linear.weight"], start["head.second.weight"])


def test_a_training_that_only_harms_keeps_the_start_and_warns(
    tmp_path: Path,
    collection: Path,
    tiny_model: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eight queries of a random base can score better by chance, so here the score falls with what changes."""
    starts: list[np.ndarray] = []

    def harmed(_: object, queries: object, documents: np.ndarray, *base: object) -> float:
        if base:
            return 0.5
        starts.append(documents)
        return float(1 / (1 + np.abs(documents - starts[0]).max()))

    monkeypatch.setattr("ragcun.training.dev._ndcg", harmed)
    manifest = train(settings_for(collection, tiny_model, output_dim=32), tmp_path / "e", tmp_path / "store")

    assert manifest["dev"]["best_step"] == 0
    assert "the initial weights, which are saved" in capfd.readouterr().err
    assert manifest["dev"]["end"] == manifest["dev"]["start"]


def test_a_start_at_random_is_not_taken_for_a_trained_head(
    tmp_path: Path, collection: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(collection, tiny_model, init="random", learning_rate=1.0, warmup_steps=0)

    manifest = train(settings, tmp_path / "e", tmp_path / "store")

    assert manifest["dev"]["best_step"] > 0
    worse = manifest["dev"]["end"] < manifest["dev"]["start"]
    assert ("score lower on dev than the initial ones" in capfd.readouterr().err) == worse


def test_not_a_number_stops_with_the_last_good_checkpoint(
    tmp_path: Path, collection: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragcun.losses.retrieval import RetrievalObjective

    whole = RetrievalObjective.forward

    def broken(self: RetrievalObjective, *tensors: Any, step: int, **named: Any) -> dict[str, torch.Tensor]:
        parts = whole(self, *tensors, step=step, **named)
        return {name: part * float("nan") for name, part in parts.items()} if step == 5 else parts

    monkeypatch.setattr(RetrievalObjective, "forward", broken)
    with pytest.raises(RagcunError, match=r"not finite at step 6 .*last\.safetensors"):
        train(settings_for(collection, tiny_model, save_interval=1), tmp_path / "e", tmp_path / "store")

    saved = load_file(tmp_path / "e" / "checkpoints" / "last.safetensors")
    assert all(torch.isfinite(tensor.float()).all() for tensor in saved.values())
    assert not (tmp_path / "e" / "manifest.json").exists()


@pytest.mark.parametrize("head", ["whiten", "identity"])
def test_heads_that_are_not_trained(tmp_path: Path, collection: Path, tiny_model: Path, head: str) -> None:
    manifest = train(
        settings_for(collection, tiny_model, head=head, output_dim=32 if head == "identity" else 8),
        tmp_path / "e",
        tmp_path / "store",
    )

    assert 0 <= manifest["dev"]["end"] <= 1
    vectors = Embedder(str(tmp_path / "e"), tmp_path / "store").documents(["the owl", "a cat"]).block(0, 2)
    assert vectors.shape == (2, 32 if head == "identity" else 8)


def test_a_second_training_encodes_nothing(
    tmp_path: Path, collection: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(settings_for(collection, tiny_model), tmp_path / "a", tmp_path / "store")
    from ragcun.embedding import encode

    def refuse(*_: Any) -> None:
        raise AssertionError("something was encoded")

    monkeypatch.setattr(encode, "plan_batches", refuse)
    train(settings_for(collection, tiny_model, lambda_isotropy=10.0), tmp_path / "b", tmp_path / "store")
    with pytest.raises(AssertionError, match="encoded"):
        train(settings_for(collection, tiny_model), tmp_path / "c", tmp_path / "another store")


def test_pairs_with_ragged_negatives_and_held_out_validation(tmp_path: Path, tiny_model: Path) -> None:
    words = ["cat", "dog", "owl", "fish", "frog", "lion", "wolf", "bear", "bird", "ant", "hawk", "eagle", "bees"]
    rows = [
        {"query": f"the {a} {b}", "positive": f"a {a} eats {b}", "negatives": [f"a {b} sleeps"] * (i % 3)}
        for i, (a, b) in enumerate((a, b) for a in words for b in words if a < b)
    ]
    write_pairs(tmp_path / "pairs.jsonl", rows)

    manifest = train(settings_for(tmp_path / "pairs.jsonl", tiny_model), tmp_path / "e", tmp_path / "store")

    assert manifest["data"]["pairs"] + manifest["data"]["dev"]["kept"] == len(rows)
    assert manifest["data"]["dev"]["kept"] > 1


def test_checkpoints_of_another_encoder_are_started_from(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    train(settings_for(collection, tiny_model), tmp_path / "a", tmp_path / "store")
    train(
        settings_for(collection, tiny_model, interpolate=0.0), tmp_path / "b", tmp_path / "store", str(tmp_path / "a")
    )

    first, second = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_schedule_uses_each_pair_once_an_epoch_on_any_number_of_processes() -> None:
    stage = StageSettings.model_validate({"batch_size": 8, "gradient_accumulation_steps": 2, "epochs": 2})
    two = make_schedule(103, stage, 2, 0)
    one = two.divided_among(1)
    for processes, schedule in ((1, one), (2, two)):
        assert schedule.steps == 6
        for epoch in range(2):
            steps = range(epoch * 3, epoch * 3 + 3)
            rows = [r for step in steps for p in range(processes) for batch in schedule.rows(step, p) for r in batch]
            assert len(rows) == len(set(rows)) == 96
    joined = [np.concatenate(parts) for parts in zip(two.rows(4, 0), two.rows(4, 1), strict=True)]
    for a, b in zip(one.rows(4, 0), joined, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UserError, match="batches of 8, which 3 processes cannot share evenly"):
        two.divided_among(3)


def test_learning_rates() -> None:
    def rates(scheduler: str) -> list[float]:
        stage = StageSettings.model_validate({"scheduler": scheduler})
        return [0.4 * learning_rate_factor(stage, step, 10, 4) for step in range(10)]

    for scheduler in ("cosine", "linear", "constant"):
        assert rates(scheduler)[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert rates("linear")[7] == pytest.approx(0.2)
    assert rates("cosine")[7] == pytest.approx(0.2)
    assert rates("constant")[9] == 0.4


@pytest.mark.long
@pytest.mark.parametrize("base", ["frozen", "trained", "trained in parts"])
def test_two_processes_give_the_weights_of_one(tmp_path: Path, collection: Path, undropped: Path, base: str) -> None:
    common = ["train", "--train-data", str(collection), "--base-model", str(undropped), "--lambda-distill", "0"]
    common += ["--epochs", "3", "--output-dim", "16", "--learning-rate", "0.001", "--dropout", "0"]
    common += ["--learnable-temperature", "--log-interval", "1"]
    common += {"frozen": [], "trained": ["--no-freeze-base"]}.get(base, ["--no-freeze-base", "--mini-batch-size", "3"])
    one = [*common, "--batch-size", "8", "--output-dir", str(tmp_path / "one"), "--store", str(tmp_path / "s1")]
    two = [*common, "--batch-size", "4", "--output-dir", str(tmp_path / "two"), "--store", str(tmp_path / "s2")]
    app(one, standalone_mode=False)
    done, other = in_two_processes("-m", "ragcun", *two, "--json")
    assert (done.returncode, other.returncode) == (0, 0), done.stderr + other.stderr

    manifest = read_record(tmp_path / "two" / "manifest.json")
    assert manifest["processes"] == 2
    assert json.loads(done.stdout) == manifest
    assert done.stderr.count("at the start") == 1
    losses = [
        [row["loss"] for row in read_history(tmp_path / name / "history.jsonl") if "loss" in row]
        for name in ("one", "two")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one" / "model").rglob("*.safetensors"))
    assert len(files) == 3
    start = load_file(tmp_path / "one" / "checkpoints" / "start.safetensors")
    end = ended(tmp_path / "one")
    assert max(float((end[f"trained.{name}"] - tensor).abs().max()) for name, tensor in start.items()) > 1e-3
    for file in [*files, "checkpoints/last.safetensors"]:
        first, second = load_file(tmp_path / "one" / file), load_file(tmp_path / "two" / file)
        for name, tensor in first.items():
            if "optimiser." in name or name.endswith("key.bias"):
                continue  # attention does not depend on that bias: Adam blows up the rounding of its 0
            torch.testing.assert_close(second[name], tensor, rtol=1e-3, atol=2e-5)
    stores = [sorted(vectors_of(tmp_path / name)) for name in ("s1", "s2")]
    assert [key for key, _ in stores[0]] == [key for key, _ in stores[1]]


@pytest.fixture(scope="module")
def undropped(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model without dropout, which two processes draw otherwise than one."""
    folder = tmp_path_factory.mktemp("undropped") / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def vectors_of(store: Path) -> list[tuple[bytes, bytes]]:
    """Each text's digest in a store, and its vector."""
    shards = [load_file(path) for path in store.glob("*/shards/*.safetensors")]
    return [
        (digest.numpy().tobytes(), vector.numpy().tobytes())
        for shard in shards
        for digest, vector in zip(shard["digests"], shard["vectors"], strict=True)
    ]


def refusal(settings: Settings, tmp_path: Path) -> str:
    with pytest.raises(UserError) as refused:
        train(settings, tmp_path / "e", tmp_path / "store")
    assert not (tmp_path / "e").exists()
    return str(refused.value)


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED", "MEGATRON_LM"])
def test_a_launch_that_splits_the_encoder_is_refused(
    tmp_path: Path, collection: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{kind}", "true")  # as the launcher does
    assert f"{kind} is not supported" in refusal(settings_for(collection, tiny_model), tmp_path)


def test_a_launch_on_tpus_is_refused(
    tmp_path: Path, collection: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PartialState(), "distributed_type", DistributedType.XLA)
    assert "XLA is not supported" in refusal(settings_for(collection, tiny_model), tmp_path)


def test_a_launch_of_several_processes_that_starts_one_is_refused(
    tmp_path: Path, collection: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")  # as `accelerate launch --cpu --num_processes 2` does
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    assert "--multi_gpu" in refusal(settings_for(collection, tiny_model), tmp_path)


def test_a_training_says_whether_its_treatment_took_and_saves_the_last_checkpoint_where_asked(
    tmp_path: Path, collection: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    off = {"lambda_isotropy": 0, "lambda_reg": 0, "lambda_distill": 0, "interpolate": 1, "learning_rate": 3e-2}

    def trained(name: str, **training: Any) -> dict[str, Any]:
        given = {**off, "epochs": 20, "output_dim": 8, "head": "linear", "checkpoint": "last", **training}
        return train(settings_for(collection, tiny_model, **given), tmp_path / name, tmp_path / "store")

    treatment = {"lambda_covariance": 100.0, "random_documents": 32}
    treated, plain = trained("treated", **treatment), trained("plain")
    told = " ".join(capsys.readouterr().err.split())
    best, whitened = trained("best", checkpoint="best", **treatment), trained("whitened", init="whiten:1", epochs=1)

    def ratio(manifest: dict[str, Any], when: str) -> float:
        found: dict[str, Any] = manifest["isotropy"]
        assert (found["documents"], found["dimension"]) == (40, 8)
        return float(found[when]["participation_ratio"])

    assert ratio(treated, "start") == ratio(plain, "start") < ratio(treated, "gaussian") - 0.2
    assert ratio(treated, "end") > max(ratio(treated, "start") + 0.2, ratio(plain, "end") + 0.05)
    assert ratio(whitened, "start") > ratio(treated, "start") + 0.2
    assert "isotropy of 40 dev documents: participation ratio" in told
    # The treatment costs what dev measures here, so that the best checkpoint is the untreated start.
    assert (treated["dev"]["best_step"], best["dev"]["best_step"]) == (treated["steps"], 0)
    assert treated["dev"]["end"] < best["dev"]["end"] == best["dev"]["start"]
    assert ratio(best, "end") == pytest.approx(ratio(best, "start"))


def test_a_mixture_has_batches_of_one_source_in_proportion_to_the_weights() -> None:
    stage = StageSettings(batch_size=4, epochs=3)
    schedule = make_schedule(60, stage, 2, seed=5, mixture=((48, 1.0), (12, 2.0)))
    assert schedule.steps_per_epoch == 7
    drawn = [np.concatenate([schedule.rows(step, process)[0] for process in (0, 1)]) for step in range(21)]
    sources = [set((rows >= 48).tolist()) for rows in drawn]
    assert all(len(source) == 1 for source in sources)
    assert sum(source == {True} for source in sources) == pytest.approx(14, abs=1)
    first = np.concatenate([rows for rows, source in zip(drawn[:7], sources, strict=False) if source == {False}])
    assert len(set(first.tolist())) == len(first)
    other = make_schedule(60, stage, 4, seed=5, mixture=((48, 1.0), (12, 2.0)))
    again = [np.concatenate([schedule.rows(step, process)[0] for process in (0, 1)]) for step in range(21)]
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))
    assert other.steps_per_epoch == 3


def test_several_collections_are_trained_on_together(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    rows = [{"query": f"which {word} is it", "positive": f"it is the {word}"} for word in map(str, range(60))]
    written = write_pairs(tmp_path / "words.jsonl", rows)
    settings = settings_for(collection, tiny_model)
    data = settings.data.model_copy(update={"train": (f"{collection}=2", str(written))})
    assert data.weights() == {str(collection): 2.0, str(written): 1.0}
    pairs, dev = training_data(settings.model_copy(update={"data": data}))

    alone = [
        training_data(settings.model_copy(update={"data": data.model_copy(update={"train": (path,)})}))
        for path in data.train
    ]
    assert [count for count, _ in pairs.mixture] == [len(of) for of, _ in alone]
    texts = [(of.queries[q], of.documents[d]) for of, _ in alone for q, d in zip(of.anchor, of.positive, strict=True)]
    assert [(pairs.queries[q], pairs.documents[d]) for q, d in zip(pairs.anchor, pairs.positive, strict=True)] == texts
    assert list(pairs.documents) == [text for of, _ in alone for text in of.documents]
    judged = [(dev.queries[int(q)], dev.documents[int(d)]) for q, of in dev.qrels.items() for d in of]
    assert judged == [
        (of.queries[int(q)], of.documents[int(d)]) for _, of in alone for q, ds in of.qrels.items() for d in ds
    ]
    manifest = train(settings.model_copy(update={"data": data}), tmp_path / "e", tmp_path / "store")
    assert [part["path"] for part in manifest["data"]["train"]["parts"]] == [str(collection), str(written)]
    card = (tmp_path / "e" / "model" / "README.md").read_text(encoding="utf-8")
    assert card.count("| training pairs |") == 2
    known = Provenance.of_training(manifest["data"])
    assert known.domain(Collection.open(collection)) == "in-domain"


def test_general_texts_keep_the_head_where_it_was_on_them(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    folder = tmp_path / "general"
    folder.mkdir()
    rows = [
        {"_id": str(row), "text": f"the {word} of a {word}"} for row, word in enumerate(["fox", "owl", "sea", "ice"])
    ]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    off = {"lambda_isotropy": 0, "lambda_reg": 0, "lambda_distill": 0, "interpolate": 1, "learning_rate": 3e-2}
    settings = settings_for(collection, tiny_model, **off, checkpoint="last", lambda_general=1_000)
    kept = settings.model_copy(update={"data": settings.data.model_copy(update={"general": (str(folder),)})})

    def drifted(name: str, chosen: Settings) -> tuple[float, dict[str, Any]]:
        manifest = train(chosen, tmp_path / name, tmp_path / "store")
        texts = [row["text"] for row in rows]
        start = load_file(tmp_path / name / "checkpoints" / "start.safetensors")
        end = load_file(tmp_path / name / "checkpoints" / "best.safetensors")
        base = torch.from_numpy(Embedder(str(tiny_model), tmp_path / "store").documents(texts).block(0, len(texts)))

        def embed(weights: dict[str, torch.Tensor]) -> torch.Tensor:
            hidden = torch.nn.functional.linear(base, weights["head.first.weight"], weights["head.first.bias"])
            hidden = torch.nn.functional.gelu(hidden)
            return torch.nn.functional.linear(hidden, weights["head.second.weight"], weights["head.second.bias"])

        return float((embed(end) - embed(start)).square().mean()), manifest

    (plain, _), (held, manifest) = drifted("plain", settings), drifted("kept", kept)
    assert plain > 1e-3
    assert held < plain / 3
    (source,) = manifest["data"]["general"]
    assert (source["path"], source["rows"]) == (str(folder), 4)
    parts = [row for row in read_history(tmp_path / "kept" / "history.jsonl") if "loss" in row]
    assert parts[0]["contrastive"] + parts[0]["general"] == pytest.approx(parts[0]["loss"])
    assert "general" not in next(row for row in read_history(tmp_path / "plain" / "history.jsonl") if "loss" in row)
