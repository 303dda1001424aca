"""Ablations: every cell once, means and deviations that add up, and the rest where one fails."""

import csv
import json
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from children import ragcun
from ragcun.analysis.wording import label_in_symbols
from ragcun.console import say
from ragcun.errors import UserError
from ragcun.evaluation.systems import Method, compare_systems, read_systems
from ragcun.pipeline.ablation import Evaluation, Measured, encode, train_cell
from ragcun.pipeline.endpoints import parse_endpoint
from ragcun.pipeline.grid import cells_of, parse_grid
from ragcun.pipeline.preflight import most_data
from ragcun.settings.load import load_settings
from ragcun.settings.schema import Settings, StageSettings


def test_a_grid_names_settings() -> None:
    grid = parse_grid(["lambda_isotropy=0,0.1", "init=base,random", "model.dropout=0"])
    assert grid == {
        "training.lambda_isotropy": ["0", "0.1"],
        "model.init": ["base", "random"],
        "model.dropout": ["0"],
    }
    for wrong, said in (
        (["lambda_isotropy"], "NAME=VALUE"),
        (["lambda_isotropy="], "NAME=VALUE"),
        (["lambda_isotropi=1"], "did you mean lambda_isotropy"),
        (["model.epochs=1"], "have no setting 'model.epochs'"),
        (["epochs=1,1"], "a value is given twice"),
        (["epochs=1", "training.epochs=2"], "a name is given twice"),
        (["base=a,b"], "run an ablation for each base"),
    ):
        with pytest.raises(UserError, match=said):
            parse_grid(wrong)


@pytest.mark.long
def test_a_grid_is_trained_once_scored_and_drawn(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    command = ["ablate", "--grid", "lambda_isotropy=0,10", "--grid", "init=random"]
    command += ["--seeds", "2", "--train-data", str(collection), "--base-model", str(tiny_model), "--output-dim", "16"]
    command += ["--datasets", collection.name, "--data-dir", str(collection.parent), "--epochs", "3", "--json"]
    output = tmp_path / "out"
    command += ["--store", str(tmp_path / "store"), "--output-dir", str(output), "--jobs", "1"]

    done = ragcun(*command, RAGCUN_TRAINING__BATCH_SIZE="8")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row["name"] for row in found["rows"]] == [f"lambda_isotropy={weight},init=random" for weight in (0, 10)]
    for row in found["rows"]:
        manifests = [output / "cells" / row["name"] / f"seed={seed}" / "manifest.json" for seed in (0, 1)]
        scores = [json.loads(path.read_text(encoding="utf-8"))["dev"]["end"] for path in manifests]
        assert row["dev"] == pytest.approx([np.mean(scores), np.std(scores, ddof=1)])
    first, second = (row["isotropy"]["sigreg_shape_axes"][0] for row in found["rows"])
    assert second < first
    figures = {path.name for path in (output / "figures").iterdir()}
    assert figures == {f"trade-{name}.{kind}" for name in ("animals", "dev") for kind in ("pdf", "png")}
    assert found["in_domain"] == ["animals"]
    table = (output / "tables" / "ablation.tex").read_text(encoding="utf-8")
    assert all(f"mathrm{{iso}}}} = {weight}, init = random" in table for weight in (0, 10))
    with (output / "ablation.csv").open(newline="", encoding="utf-8") as stream:
        settings = [row["setting"] for row in csv.DictReader(stream)]
    assert settings == ["base", "N(0, I), d = 16", *(label_in_symbols(row["name"]) for row in found["rows"])]
    ratios = [row["isotropy"]["participation_ratio"][0] for row in found["rows"]]
    assert found["gaussian"]["16"]["participation_ratio"] > max(ratios)
    assert all(row["isotropy_start"]["participation_ratio"][0] > 0 for row in found["rows"])
    assert (found["verdict"] is None) == ("no test of isotropy" not in table)
    written = {path: path.stat().st_mtime_ns for path in output.rglob("manifest.json")}
    assert len(written) == 4
    again = ragcun(*command, RAGCUN_TRAINING__BATCH_SIZE="8")
    assert again.returncode == 0
    assert json.loads(again.stdout) == found
    assert {path: path.stat().st_mtime_ns for path in output.rglob("manifest.json")} == written


def test_data_is_prepared_for_the_cell_that_asks_for_most() -> None:
    def most(*grid: str) -> StageSettings:
        load = partial(load_settings, "hybrid", None)
        return most_data(cells_of(parse_grid(list(grid)), 1, load, Path("e"))).training

    asked = most("negatives=0,4", "rows=1000,10000")
    assert (asked.rows, asked.negatives) == (10_000, 4)
    assert most("interpolate=0,1") == load_settings("hybrid", None, {"training.interpolate": 0}).training


@pytest.mark.long
def test_a_cell_that_fails_is_told_and_the_rest_goes_on(tmp_path: Path, collection: Path, tiny_model: Path) -> None:
    command = ["ablate", "--grid", "head=whiten,linear", "--seeds", "1", "--rows", "8", "--epochs", "1"]
    command += ["--train-data", str(collection), "--base-model", str(tiny_model), "--jobs", "1"]
    command += ["--store", str(tmp_path / "store"), "--output-dir", str(tmp_path / "out")]

    done = ragcun(*command)

    assert done.returncode == 1
    assert "1 of 2 cells failed: head=whiten seed 0" in done.stderr
    found = json.loads((tmp_path / "out" / "ablation.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in found["rows"]] == ["head=linear"]
    assert found["rows"][0]["dev"][1] is None
    assert "Traceback" in (tmp_path / "out" / "cells" / "head=whiten" / "seed=0" / "log.txt").read_text("utf-8")


def test_what_cells_need_is_encoded_before_they_are_trained_and_each_has_its_log(
    tmp_path: Path, collection: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(values: dict[str, Any]) -> Settings:
        flags = {"data.train": str(collection), "model.base": str(tiny_model), "model.output_dim": 16}
        return load_settings(flags={**flags, "training.rows": 8, **values})

    cells = cells_of(parse_grid(["epochs=1"]), 3, load, tmp_path)
    where = Evaluation((collection,), tmp_path / "results", tmp_path / "store")

    bases = encode(cells, where)

    assert [found.scores.keys() for found in bases] == [{collection.name}]
    shards = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*.safetensors")}
    assert shards
    capsys.readouterr()
    for cell in cells:
        assert isinstance(train_cell(cell, where, threads=1), Measured)
        assert "training: " in (cell.folder / "log.txt").read_text(encoding="utf-8")
    assert not capsys.readouterr().err
    with redirect_stderr(StringIO()) as later:
        say("said after them")
    assert later.getvalue() == "said after them\n"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*.safetensors")} == shards


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("compress", "must be compress:CODEC"),
        ("speed:fast", "must be compress:CODEC"),
        ("compress:trelis48", "trelis48"),
        ("abstain:tops", "did you mean top"),
        ("neighbours:hnsw=41", "choose from"),
    ],
)
def test_endpoints_that_there_are_not_are_refused(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_endpoint(name)


def test_cells_carry_endpoints_which_can_be_compared_over_seeds(
    tmp_path: Path, collection: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragcun.neighbours.run._LEAST", 0)  # speed is not looked at

    def load(values: dict[str, Any]) -> Settings:
        flags = {"data.train": str(collection), "model.base": str(tiny_model), "model.output_dim": 16}
        return load_settings(flags={**flags, "training.rows": 8, **values})

    cells = cells_of(parse_grid(["epochs=1"]), 2, load, tmp_path)
    endpoints = ("compress:binary", "neighbours:hnsw=10")
    where = Evaluation((collection,), tmp_path / "results", tmp_path / "store", endpoints)

    measured = [*encode(cells, where), *(train_cell(cell, where, threads=1) for cell in cells)]

    values: dict[str, list[float]] = {name: [] for name in endpoints}
    for one in measured:
        assert isinstance(one, Measured), one
        for name in endpoints:
            assert one.endpoints[name].keys() == one.scores.keys() == {collection.name}
            values[name].append(one.endpoints[name][collection.name])
    for name, kind, metric in (
        ("compress:binary", "cells", "nDCG@10"),
        ("neighbours:hnsw=10", "cells-neighbours", "Found@10:hnsw=10"),
    ):
        systems = read_systems([str(where.results / kind)])
        base, trained = sorted(
            (one for one in systems if kind != "cells" or "binary" in one.label), key=lambda one: "epochs" in one.label
        )
        row = compare_systems([base, trained], method=Method(metric))[1]
        assert row.seeds == 2
        assert row.score == pytest.approx(np.mean(values[name][1:]))
