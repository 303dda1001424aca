"""`ragcun ablate`: a grid of trainings on the same stored embeddings, over seeds, and what each setting gives.

OUTPUT/cells/SETTINGS/seed=N/     an experiment each (see training)
OUTPUT/results/                   scores of all of them on the collections (see evaluation)
OUTPUT/ablation.json, .csv        means and deviations
OUTPUT/figures/trade.pdf, .png    isotropy against nDCG@10
"""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ragcun.analysis.geometry import measure, sample_rows
from ragcun.analysis.trade import Point, isotropy_against_score
from ragcun.console import console, progress, say, warn
from ragcun.data.collection import Collection
from ragcun.data.texts import Selected
from ragcun.embedding.embedder import Embedder
from ragcun.errors import RagcunError, UserError
from ragcun.evaluation.beir import evaluate
from ragcun.files import read_json, write_json
from ragcun.pipeline.table import write_csv
from ragcun.retrieval.retrievers import Encoding
from ragcun.settings.schema import ModelSettings, Settings, StageSettings
from ragcun.training.run import train

SCORE = "nDCG@10"
ISOTROPY = ("iso_score", "effective_rank", "sigreg")
_SAMPLE = 2_000  # documents that isotropy is measured on

Grid = Mapping[str, Sequence[str]]
Table = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Cell:
    """One setting with one seed: its name, the settings that make it, and its folder."""

    name: str
    values: dict[str, str]
    settings: Settings
    folder: Path


def parse_grid(options: Iterable[str]) -> dict[str, list[str]]:
    """`lambda_isotropy=0,0.1,1` -> {"training.lambda_isotropy": ["0", "0.1", "1"]}.

    A name is a setting of the training or of the model, with or without its section.

    Raises:
        UserError: an option is not NAME=VALUES, or there is no such setting.
    """
    grid: dict[str, list[str]] = {}
    for option in options:
        name, found, values = option.partition("=")
        listed = [value.strip() for value in values.split(",") if value.strip()]
        if not found or not listed:
            raise UserError(f"--grid {option}: NAME=VALUE,VALUE,... such as lambda_isotropy=0,0.1,1")
        section, _, field = name.strip().replace("-", "_").rpartition(".")
        sections = {"training": StageSettings.model_fields, "model": ModelSettings.model_fields}
        owner = next((s for s, fields in sections.items() if field in fields and section in {"", s}), None)
        if owner is None:
            raise UserError(f"--grid {option}: no setting {name!r} of the training or of the model")
        grid[f"{owner}.{field}"] = listed
    return grid


def cells_of(grid: Grid, seeds: int, load: Callable[[dict[str, Any]], Settings], output: Path) -> list[Cell]:
    """The cells of a grid, setting by setting; `load` makes settings of dotted names and values, or refuses them."""
    cells = []
    for values in product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        name = ",".join(f"{key.rpartition('.')[2]}={value}" for key, value in chosen.items()) or "default"
        for seed in range(seeds):
            settings = load({**chosen, "seed": seed})
            if not settings.model.freeze_base:
                raise UserError("ablate: needs a frozen base, whose embeddings all trainings share")
            cells.append(Cell(name, chosen, settings, output / "cells" / name / f"seed={seed}"))
    return cells


def run_ablation(
    cells: Sequence[Cell], output: Path, store: Path, datasets: Sequence[Path], split: str, jobs: int | None
) -> dict[str, Any]:
    """Train all cells, score them, and write ablation.json, ablation.csv and the figure; returns what the JSON holds.

    The first cell encodes what all need; the others train in `jobs` processes. A cell that is complete is not trained
    again, one that was interrupted goes on. A cell that fails is told, and the rest goes on.

    Raises:
        UserError: settings or data that cannot be served.
        RagcunError: cells failed; what the others gave is written.
    """
    train(cells[0].settings, cells[0].folder, store, label=_label(cells[0]))
    failures = _train_rest(cells[1:], store, jobs or _jobs())
    done = [cell for cell in cells if (cell.folder / "manifest.json").is_file()]
    base = cells[0].settings.model.base
    encoding = Encoding(store, cells[0].settings.model.precision, cells[0].settings.model.max_length)
    models = [base, *(str(cell.folder) for cell in done)]
    results = evaluate(models, datasets, output / "results", encoding, split) if datasets else []
    scores: dict[str, dict[str, float]] = {model: {} for model in models}
    for result in results:
        scores[result.model][result.dataset] = result.metrics[SCORE]
    isotropy = {model: _isotropy(model, cells[0].settings, store) for model in models}
    trained_on = Path(str(cells[0].settings.data.train)).name
    found = {
        "base": {"model": base, "scores": scores[base], "isotropy": isotropy[base]},
        "trained_on": trained_on,
        "seeds": len({cell.settings.seed for cell in cells}),
        "rows": [
            _row(name, [cell for cell in done if cell.name == name], scores, isotropy)
            for name in dict.fromkeys(cell.name for cell in done)
        ],
        "failures": failures,
    }
    write_json(output / "ablation.json", found)
    write_csv(output / "ablation.csv", flat_rows(found))
    _draw(found, output)
    if failures:
        raise RagcunError(f"{len(failures)} of {len(cells)} cells failed: {'; '.join(failures)}")
    return found


def flat_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of ablation.json as a table: a column for each mean and each deviation, the base first."""
    base = found["base"]
    measured = {name: (value, 0.0) for name, value in {**base["scores"], **base["isotropy"]}.items()}
    flat: list[dict[str, Any]] = [{"setting": "base", "seeds": 1, **_columns(measured)}]
    for row in found["rows"]:
        columns = {"dev": row["dev"], **row["scores"], **row["isotropy"]}
        flat.append({"setting": row["name"], "seeds": row["seeds"], **_columns(columns)})
    return flat


def _columns(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {f"{name}{suffix}": pair[i] for name, pair in values.items() for i, suffix in enumerate(("", " sd"))}


def _label(cell: Cell) -> str:
    return f"{cell.name} seed {cell.settings.seed}"


def _jobs() -> int:
    import torch

    return 1 if torch.cuda.is_available() else len(os.sched_getaffinity(0))


def _train_rest(cells: Sequence[Cell], store: Path, jobs: int) -> list[str]:
    failures: list[str] = []
    if not cells:
        return failures
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(min(jobs, len(cells)), mp_context=context, initializer=_quiet) as pool,
        progress("training the grid", len(cells), "trainings") as bar,
    ):
        tasks = {pool.submit(_train_cell, cell.settings, cell.folder, store, _label(cell)): cell for cell in cells}
        for task in as_completed(tasks):
            problem = task.result()
            if problem is not None:
                failures.append(f"{_label(tasks[task])}: {problem}")
                warn(failures[-1])
            bar.advance()
    return failures


def _quiet() -> None:
    import torch

    console.quiet = True
    torch.set_num_threads(1)


def _train_cell(settings: Settings, folder: Path, store: Path, label: str) -> str | None:
    """Train one cell in a process of the pool; what went wrong, as a line."""
    try:
        train(settings, folder, store, label=label)
    except Exception as error:  # the grid goes on, and the line is told
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None


def _isotropy(model: str, settings: Settings, store: Path) -> dict[str, float]:
    """Isotropy of the training collection's documents under `model`, on a sample, the same for all models."""
    collection = Collection.open(str(settings.data.train), settings.data.on_error)
    rows = sample_rows(len(collection.corpus), _SAMPLE, 0)
    embedder = Embedder(model, store, precision=settings.model.precision, max_length=settings.model.max_length)
    vectors = embedder.documents(Selected(collection.corpus, rows)).block(0, len(rows))
    measured = measure(embedder.label, vectors, 0).measures
    return {name: float(measured[name]) for name in ISOTROPY}


def _row(name: str, cells: Sequence[Cell], scores: Table, isotropy: Table) -> dict[str, Any]:
    folders = [str(cell.folder) for cell in cells]
    dev = [read_json(cell.folder / "manifest.json")["dev"]["end"] for cell in cells]
    return {
        "name": name,
        "values": cells[0].values,
        "seeds": len(cells),
        "dev": _mean_and_deviation(dev),
        "scores": {d: _mean_and_deviation([scores[f][d] for f in folders]) for d in scores[folders[0]]},
        "isotropy": {m: _mean_and_deviation([isotropy[f][m] for f in folders]) for m in ISOTROPY},
    }


def _mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _draw(found: Mapping[str, Any], output: Path) -> None:
    """A figure a collection: a line for each setting of all but the first of the grid's names."""
    if not found["rows"]:
        return
    first = next(iter(found["rows"][0]["values"]), None)
    for dataset in found["base"]["scores"]:
        groups: dict[str, list[Point]] = {}
        for row in found["rows"]:
            rest = ", ".join(f"{k.rpartition('.')[2]} {v}" for k, v in row["values"].items() if k != first)
            point = Point(row["values"].get(first, ""), row["isotropy"]["iso_score"], row["scores"][dataset])
            groups.setdefault(rest or str(first).rpartition(".")[2], []).append(point)
        base = found["base"]
        star = Point("base", (base["isotropy"]["iso_score"], 0.0), (base["scores"][dataset], 0.0))
        home = "trained on" if dataset == found["trained_on"] else "not trained on"
        figure = output / "figures" / f"trade-{dataset}"
        isotropy_against_score(groups, star, "IsoScore", f"{SCORE}, {dataset} ({home})", figure)
    say(f"figures: {output / 'figures'}")
