"""The whole chain in real processes: complete, done once, and the same after being killed."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from children import Child, python

CONFIG = """
[model]
base = "{base}"
output_dim = 16

[data]
train = "{collection}"

[training]
epochs = 12
batch_size = 8
learning_rate = 0.01
warmup_steps = 2
log_interval = 1
lambda_distill = 1.0

[evaluation]
datasets = ["{name}"]
data_dir = "{folder}"
baselines = ["bm25", "base", "random"]
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, collection: Path) -> Path:
    path = tmp_path_factory.mktemp("config") / "chain.toml"
    names = {"base": tiny_model, "collection": collection, "name": collection.name, "folder": collection.parent}
    path.write_text(CONFIG.format(**names), encoding="utf-8")
    return path


def command(config: Path, experiment: Path, store: Path) -> list[str]:
    chain = ["-m", "ragcun", "run", "--config", str(config), "--json"]
    return [*chain, "--output-dir", str(experiment), "--store", str(store)]


def run(config: Path, experiment: Path, store: Path) -> dict[str, Any]:
    done = python(*command(config, experiment, store))
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, config: Path) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(config, folder / "e", folder / "s")


@pytest.mark.long
def test_the_chain_leaves_everything_that_it_names(whole: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = whole
    labels = [result["label"] for result in summary["results"]]

    assert labels[0] == "BM25"
    assert labels[2:] == ["head from random start", "trained head"]
    domains = [result["domain"] for result in summary["results"]]
    assert domains == [None, None, "in-domain", "in-domain"], "known from the manifests of what was trained"
    assert all(0 <= value <= 1 for result in summary["results"] for value in result["metrics"].values())
    assert all(Path(path).stat().st_size > 0 for path in summary["files"])
    assert len(summary["verdict"]) == 1
    comparison = summary["comparisons"]["animals"]
    assert comparison["wins"] + comparison["ties"] + comparison["losses"] == 8
    table = (folder / "e" / "tables" / "beir.tex").read_text(encoding="utf-8")
    assert all(label in table for label in labels)
    assert json.loads((folder / "e" / "manifest.json").read_text(encoding="utf-8"))["label"] == "trained head"


@pytest.mark.long
def test_run_again_it_does_nothing_twice(whole: tuple[Path, dict[str, Any]], config: Path) -> None:
    folder, summary = whole

    def times() -> dict[Path, int]:
        kept = ("checkpoints", "cells", "analysis", "model", "shards")
        files = [path for path in folder.rglob("*") if path.is_file() and set(path.parts) & set(kept)]
        return {path: path.stat().st_mtime_ns for path in files}

    before = times()
    assert len(before) > 20

    assert run(config, folder / "e", folder / "s") == summary

    assert times() == before


@pytest.mark.long
@pytest.mark.parametrize("until", ["checkpoints/last.safetensors", "random/checkpoints/last.safetensors", "cells"])
def test_killed_and_run_again_it_finds_the_same(
    until: str, tmp_path: Path, config: Path, whole: tuple[Path, dict[str, Any]]
) -> None:
    experiment = tmp_path / "e"
    process = Child(*command(config, experiment, tmp_path / "s"))
    deadline = time.monotonic() + 120
    while not (experiment / until).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (experiment / "summary.json").exists()

    resumed = run(config, experiment, tmp_path / "s")

    def scores(summary: dict[str, Any]) -> list[Any]:
        return [(result["label"], result["metrics"]) for result in summary["results"]]

    assert scores(resumed) == scores(whole[1])
    assert resumed["comparisons"] == whole[1]["comparisons"]
