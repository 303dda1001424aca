"""Plans: their parts add up, follow the settings, and count the data that is there."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from children import ragcun
from hub import Hub
from ragcun.errors import UserError
from ragcun.pipeline.grid import Cell, cells_of, parse_grid
from ragcun.planning import measured as measuring
from ragcun.planning.architecture import KNOWN, find_architecture, fitted
from ragcun.planning.machines import MACHINES, Machine
from ragcun.planning.plan import Plan, find_machine, make_plan
from ragcun.planning.tables import plan_table
from ragcun.settings.load import load_settings
from ragcun.settings.schema import ModelSettings, Settings


def planned(preset: str, datasets: tuple[str, ...] = (), **flags: object) -> Plan:
    return plan_of(load_settings(preset, None, {"evaluation.datasets": datasets, **flags}))


def plan_of(settings: Settings, machine: Machine = MACHINES["t4"]) -> Plan:
    return plan_of_cells(cells_of({}, 1, lambda _: settings, Path()), machine)


def plan_of_cells(cells: list[Cell], machine: Machine = MACHINES["t4"], documents: int | None = None) -> Plan:
    base = find_architecture(cells[0].settings.model.base)
    return make_plan(fitted(cells, base), base, machine, documents)


@pytest.mark.parametrize("preset", ["prototype", "medium", "hybrid"])
def test_every_preset_can_be_planned_without_its_data(preset: str) -> None:
    plan = planned(preset, ("all", "nanobeir"))
    assert all(step.seconds > 0 for step in plan.steps)
    assert plan.seconds == pytest.approx(sum(step.seconds for step in plan.steps))
    assert (
        len([step for step in plan.steps if step.name.startswith("evaluate")]) == 18 + 12 + 13
    )  # CQADupStack has 12 parts
    assert plan.to_json(price=2.0)["cost"] == pytest.approx(plan.seconds / 1800)


def test_more_work_takes_more_time() -> None:
    def training(**flags: object) -> float:
        settings = {
            "training." + name: value for name, value in ({"rows": 500_000, "max_steps": 10**6} | flags).items()
        }
        plan = plan_of(load_settings("hybrid", None, settings))
        return next(step.seconds for step in plan.steps if step.name == "train")

    assert training(epochs=6) == pytest.approx(2 * training(epochs=3), rel=0.05)
    assert training(lambda_isotropy=0.0) < training()
    assert training(rows=10_000) < training(rows=100_000) < training()
    assert training(max_steps=2_000) == pytest.approx(2 * training(max_steps=1_000), rel=0.05)


def test_the_store_saves_every_epoch_but_the_first() -> None:
    plan = planned("hybrid", **{"training.epochs": 3, "training.max_steps": 10**6})
    encoding = next(step.seconds for step in plan.steps if step.name == "encode")
    assert plan.without_store == pytest.approx(plan.seconds + 2 * encoding)
    assert plan.second_training is not None
    assert plan.second_training < plan.seconds - encoding


def test_a_corpus_of_any_size_can_be_planned() -> None:
    """Time, disk and main memory grow with its documents, less what the queries take."""

    def made(documents: int) -> Plan:
        cells = cells_of({}, 1, lambda _: load_settings("hybrid"), Path())
        return plan_of_cells(cells, documents=documents)

    small, large = made(10**8), made(10**9)
    assert "1,000,000,000 documents" in large.steps[-1].work
    for measure in ("seconds", "disk"):
        ratio = getattr(large.steps[-1], measure) / getattr(small.steps[-1], measure)
        assert ratio == pytest.approx(10, rel=0.01)
    assert large.main_memory == 10 * small.main_memory > 2**30
    assert any("GiB of main memory" in note.text for note in plan_table(large).notes)
    assert not any("main memory" in note.text for note in plan_table(made(1000)).notes)


def test_a_shared_corpus_is_encoded_once() -> None:
    def seconds(*names: str) -> float:
        return planned("hybrid", names).seconds

    alone, other, both = seconds("fever"), seconds("climate-fever"), seconds("fever", "climate-fever")
    assert alone < both < 0.6 * (alone + other)


def test_data_that_is_here_is_counted(collection: Path) -> None:
    where = {"evaluation.data_dir": str(collection.parent), "training.batch_size": 8}
    plan = planned("hybrid", (collection.name,), **{"data.train": str(collection)}, **where)
    encoding, training = (next(s for s in plan.steps if s.name == name) for name in ("encode", "train"))
    assert "24 batches" not in training.work
    assert f"{10 * 24 // 8} batches of 8" in training.work
    assert "72 texts" in encoding.work  # 24 queries and their documents, 8 dev queries, the other 16 documents
    assert any("40 documents, 8 queries (counted)" in step.work for step in plan.steps)
    elsewhere = planned("hybrid", (collection.name,), **where)
    assert plan.steps[-1].disk < elsewhere.steps[-1].disk  # what was trained on is encoded


def test_a_batch_that_does_not_fit_shows() -> None:
    small = planned("medium")
    large = planned("medium", **{"training.batch_size": 512})
    memory = [max(step.memory for step in plan.steps) for plan in (small, large)]
    assert memory[0] < MACHINES["t4"].memory < memory[1]


def test_memory_that_is_spared_and_negatives_show() -> None:
    large = {"training.batch_size": 512}
    whole = planned("medium", **large)
    assert whole.steps[-1].name == "training"
    for spared in ({"training.gradient_checkpointing": True}, {"training.mini_batch_size": 8}):
        assert planned("medium", **large, **spared).steps[-1].memory < 0.5 * whole.steps[-1].memory
    parts, negatives = ({"training.mini_batch_size": 8}, {"training.negatives": 4})
    for slower in (parts, negatives):
        assert planned("medium", **large, **slower).steps[-1].seconds > 1.2 * whole.steps[-1].seconds
    texts = [next(s.work for s in planned("hybrid", **flags).steps if s.name == "encode") for flags in ({}, negatives)]
    counts = [int(work.split()[0].replace(",", "")) for work in texts]
    assert counts[1] > 2 * counts[0]


def test_the_data_of_both_stages_is_counted(collection: Path) -> None:
    flags = {"data.pretrain": str(collection), "data.train": str(collection)}
    stages = [step for step in planned("prototype", **flags).steps if "training" in step.name]
    assert [step.work.split(",")[0] for step in stages] == ["9 batches of 8", "3 batches of 8"]


def test_a_grid_encodes_once_and_trains_every_cell() -> None:
    def planned_grid(grid: list[str], seeds: int) -> Plan:
        flags = {"evaluation.datasets": ("scifact",), "evaluation.baselines": ("base",)}
        cells = cells_of(parse_grid(grid), seeds, lambda values: load_settings("hybrid", None, flags | values), Path())
        return plan_of_cells(cells)

    def seconds(plan: Plan, start: str) -> list[float]:
        return [step.seconds for step in plan.steps if step.name.startswith(start)]

    single = planned("hybrid", ("scifact",), **{"evaluation.baselines": ("base",)})
    plan = planned_grid(["lambda_isotropy=1.0,10", "learning_rate=1e-3"], 3)
    assert seconds(plan, "encode") == seconds(single, "encode")
    assert seconds(plan, "train ") == pytest.approx([3 * seconds(single, "train")[0]] * 2)
    assert [step.work.split(" of")[0] for step in plan.steps if step.name.startswith("train ")] == ["3 seeds"] * 2
    assert seconds(single, "evaluate")[0] < seconds(plan, "evaluate")[0] < 6 * seconds(single, "evaluate")[0]
    assert plan.without_store > plan.seconds + 5 * sum(seconds(plan, "encode"))
    narrow = planned_grid(["output_dim=64,512"], 1)
    assert seconds(narrow, "train ")[0] < seconds(narrow, "train ")[1]


def test_this_machine_is_measured_with_the_base_and_its_runtime(tiny_model: Path) -> None:
    model = ModelSettings(base=str(tiny_model), runtime="torch")
    machine = find_machine("here", find_architecture(str(tiny_model)), model)
    assert machine.source == "measured with torch for encoding"
    assert 1e8 < machine.peak_fp32 < 1e15
    assert 0 < machine.encoding_fp32 <= 1.5
    assert 0 < machine.training <= 1.5
    slower = replace(machine, peak_fp32=machine.peak_fp32 / 2)
    settings = load_settings("hybrid")
    assert plan_of(settings, slower).seconds > plan_of(settings, machine).seconds


@pytest.mark.parametrize(("percent", "told"), [(3.0, False), (60.0, True)])
def test_a_busy_machine_is_told(
    percent: float, told: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: percent)
    monkeypatch.setattr(measuring, "_seconds", lambda work, device: 1.0)
    measured = measuring.measure_here(KNOWN["sentence-transformers/all-MiniLM-L6-v2"], ModelSettings(base="lab/absent"))
    assert measured.source == "measured with torch layers instead of lab/absent, which is not on disk"
    assert ("other processes use 60% of this machine's cores" in " ".join(capsys.readouterr().err.split())) == told


def test_general_texts_are_encoded_once(collection: Path, tmp_path: Path) -> None:
    general = tmp_path / "general.jsonl"
    general.write_text(
        "".join(json.dumps({"_id": f"g{number}", "text": f"text {number}"}) + "\n" for number in range(7)),
        encoding="utf-8",
    )
    where = {"data.train": str(collection), "evaluation.data_dir": str(collection.parent)}

    def made(*texts: Path) -> tuple[int, float, Plan]:
        plan = planned("hybrid", (collection.name,), **where, **{"data.general": tuple(map(str, texts))})
        encoding, training = (next(s for s in plan.steps if s.name == name) for name in ("encode", "train"))
        return int(encoding.work.split()[0]), training.seconds, plan

    alone, one, both = made(), made(general), made(general, collection)
    assert one[0] == alone[0] + 7
    assert both[0] == one[0] + 40 + 40, "documents and queries of the collection"
    assert one[1] > alone[1], "they go through the head, too"

    elsewhere = {"evaluation.data_dir": str(collection.parent)}
    stored = planned("hybrid", (collection.name,), **elsewhere, **{"data.general": (str(collection),)})
    assert stored.steps[-1].disk == alone[2].steps[-1].disk, "its documents need no second encoding"


def test_what_cannot_be_planned_is_said() -> None:
    with pytest.raises(UserError, match="not one of t4, v100, a100, h100, here"):
        find_machine("k80", KNOWN["sentence-transformers/all-MiniLM-L6-v2"], ModelSettings())
    with pytest.raises(UserError, match="no-such-set"):
        planned("hybrid", ("no-such-set",))
    with pytest.raises(UserError, match="give --output-dim 384 or less"):
        planned("hybrid", **{"model.base": "sentence-transformers/all-MiniLM-L6-v2"})
    with pytest.raises(UserError, match="no training data"):
        plan_of(load_settings())


def test_plan_as_users_meet_it() -> None:
    done = ragcun("plan", "--preset", "hybrid", "--gpu", "t4", "--price", "0.5", "--datasets", "scifact", "--json")
    assert done.returncode == 0, done.stderr
    assert "evaluate scifact" in done.stderr
    found = json.loads(done.stdout)
    assert found["cost"] == pytest.approx(found["seconds"] / 3600 * 0.5)
    refused = ragcun("plan", "--gpu", "k80")
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1


def test_a_plan_downloads_nothing_and_knows_revisions(tmp_path: Path, tiny_model: Path, collection: Path) -> None:
    given = ["plan", "--gpu", "t4", "--train-data", collection, "--base-model"]
    with Hub({"lab/tiny": tiny_model}).serve() as hub:
        online = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}

        def plan(base: str) -> subprocess.CompletedProcess[str]:
            line = [sys.executable, "-m", "ragcun", *map(str, given), base]  # which has not imported the hub's library
            environment = {**os.environ, **online}
            return subprocess.run(line, check=False, capture_output=True, text=True, env=environment)

        absent = plan("lab/tiny")
        assert absent.returncode == 2
        assert "lab/tiny: not in the local cache, and a plan downloads nothing" in absent.stderr
        short = plan("contriever")
        assert "(hf download facebook/contriever)" in short.stderr
        known = plan("mpnet")
        assert known.returncode == 0, known.stderr
        assert hub.requests == []
    refused = ragcun(*given, tiny_model, "--revision", "main")
    assert (refused.returncode, "only models on the hub have revisions" in refused.stderr) == (2, True)
