"""`ragcun ablate`: a grid of trainings over seeds on the same stored embeddings, and its results.

OUTPUT/cells/SETTINGS/seed=N/      an experiment for each training, with log.txt
OUTPUT/results/                    the scores of all trainings on the collections
OUTPUT/ablation.json, .csv         means and standard deviations
OUTPUT/tables/ablation.tex         the table for a paper
OUTPUT/figures/trade-*.pdf, .png   nDCG@10 by isotropy
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ragcun.analysis.ablation import ablation_table
from ragcun.analysis.geometry import sample_rows
from ragcun.analysis.measures import HEADLINES, headlines
from ragcun.analysis.trade import draw_trade
from ragcun.analysis.treatment import CHECKED, verdict
from ragcun.analysis.view import View
from ragcun.console import console, duration, progress, say, warn
from ragcun.data.benchmark import Dataset
from ragcun.data.texts import Selected, Texts
from ragcun.embedding.embedder import Embedder
from ragcun.errors import RagcunError, explained
from ragcun.evaluation.beir import evaluate_tasks, identify_all
from ragcun.evaluation.compress import with_codec
from ragcun.evaluation.endpoint import RANKING, Endpoint
from ragcun.files import write_text
from ragcun.intact import read_kept, write_record
from ragcun.lock import only_writer
from ragcun.machine import cores
from ragcun.pipeline.endpoints import parse_endpoint
from ragcun.pipeline.grid import Cell
from ragcun.pipeline.preflight import open_datasets
from ragcun.pipeline.workers import in_workers
from ragcun.report import csv, latex
from ragcun.retrieval.retrievers import RetrieverOptions
from ragcun.settings.schema import Settings
from ragcun.training.batches import PairVectors
from ragcun.training.data import general_texts, out_of_domain_texts, training_data
from ragcun.training.dev import StoredDev
from ragcun.training.run import train

SCORE = "nDCG@10"
_SAMPLE = 2_000  # documents on which isotropy is measured

Pair = tuple[float, float | None]  # mean, and standard deviation over several seeds


@dataclass(frozen=True)
class Evaluation:
    """The datasets of all cells, the folders of scores and base embeddings, and further outcomes."""

    datasets: tuple[Dataset | Path, ...]
    results: Path
    store: Path
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Results of one cell, or of the base: nDCG@10 (0 to 1) and isotropy of the dev documents.

    `endpoints` has the values of each requested endpoint by dataset. `treatment` is the manifest's record of
    isotropy before and after training. `seconds` has the time of the optimiser's steps with their evaluations,
    and of the whole training.
    """

    dev_start: float | None
    dev: float
    scores: dict[str, float]
    isotropy: dict[str, float]
    treatment: dict[str, Any] | None = None
    seconds: tuple[float, float] = (0.0, 0.0)
    endpoints: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def run_ablation(
    cells: Sequence[Cell],
    datasets: Sequence[Dataset | Path],
    output: Path,
    store: Path,
    jobs: int | None,
    endpoints: Sequence[str] = (),
) -> dict[str, Any]:
    """Train all cells, score them, and write tables and figures; return the content of ablation.json.

    `cells` and `datasets` are those of `preflight.ready_to_ablate`. This process first encodes all texts once. Then
    each cell is trained and scored in one of `jobs` processes (one per core; one on a GPU). Complete cells are kept,
    and interrupted ones resume. A cell that fails is reported, and the others are still trained. `endpoints` are
    further outcomes, as `endpoints.parse_endpoint` accepts them.

    Raises:
        RagcunError: cells failed, after the results of the others were written; or a worker was killed.
    """
    where = Evaluation(tuple(datasets), output / "results", store, tuple(dict.fromkeys(endpoints)))
    bases = encode(cells, where)
    measured, failures = _train_all(cells, where, jobs or _jobs())
    settings = cells[0].settings
    trained_on = {Path(path).resolve() for path in (*settings.data.weights(), settings.data.val) if path is not None}
    tasks = open_datasets(settings, datasets)
    treatments = [one.treatment for one in measured.values() if one.treatment is not None]
    found = {
        "verdict": verdict(treatments),
        "gaussian": {str(one["dimension"]): one["gaussian"] for one in treatments},
        "base": {"model": settings.model.base, **_row(bases)},
        "in_domain": [one.collection.name for one in tasks if one.collection.path.resolve() in trained_on],
        "rows": [
            {"name": name, "values": of[0].values, **_row([measured[cell] for cell in of])}
            for name, of in _by_name([cell for cell in cells if cell in measured]).items()
        ],
        "failures": failures,
    }
    _write(found, output)
    if failures:
        raise RagcunError(f"{len(failures)} of {len(cells)} cells failed: {'; '.join(failures)}")
    return found


def _jobs() -> int:
    return 1 if torch.cuda.is_available() else cores()


def encode(cells: Sequence[Cell], where: Evaluation) -> list[Measured]:
    """Encode the data of all cells and collections; return the results of the base for each of their dev data."""
    settings = cells[0].settings
    embedder = _embedder(settings.model.base, settings, where.store)
    scores, others = _scores(settings.model.base, settings, where)
    seen: dict[tuple[int | None, int | None], Settings] = {}
    for cell in cells:
        stage = cell.settings.training
        seen.setdefault((stage.rows, stage.negatives), cell.settings)
    found = []
    for each in seen.values():
        pairs, dev_texts = training_data(each)
        general = [part for parts in general_texts(each.data).values() for part in parts]
        PairVectors(pairs, embedder, "training", general=general)
        dev = StoredDev(dev_texts, embedder)
        for path in each.data.out_of_domain:
            StoredDev(out_of_domain_texts(Path(path), each.data), embedder)
        score = dev.ndcg_of_base(embedder.similarity)
        isotropy = _isotropy(embedder, dev_texts.documents)
        found.append(Measured(score, score, scores, isotropy, endpoints=others))
    return found


def _embedder(model: str, settings: Settings, store: Path) -> Embedder:
    wanted = settings.model
    revision = wanted.revision if model == wanted.base else None
    return Embedder(model, store, wanted.precision, wanted.max_length, revision=revision, runtime=wanted.runtime)


def _scores(model: str, settings: Settings, where: Evaluation) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Return nDCG@10 by dataset, and the values of each endpoint."""
    if not where.datasets:
        return {}, {}
    encoding = RetrieverOptions(
        where.store, settings.model.precision, settings.model.max_length, runtime=settings.model.runtime
    )
    tasks = open_datasets(settings, where.datasets)

    def scored(name: str, measure: str, endpoint: Endpoint) -> dict[str, float]:
        results = evaluate_tasks(identify_all([name], encoding), tasks, where.results, encoding, endpoint=endpoint)
        return {result.dataset: result.metrics[measure] for result in results}

    others = {}
    for name in where.endpoints:
        asked = parse_endpoint(name)
        named = model if asked.codec is None else with_codec(model, asked.codec)
        others[name] = scored(named, asked.measure, asked.of(tasks))
    return scored(model, SCORE, RANKING), others


def _isotropy(embedder: Embedder, documents: Texts) -> dict[str, float]:
    """Measure isotropy on a sample of documents, which is the same for all models."""
    rows = sample_rows(len(documents), _SAMPLE, 0)
    vectors = embedder.documents(Selected(documents, rows)).block(0, len(rows))
    return headlines(View(vectors))


def _train_all(cells: Sequence[Cell], where: Evaluation, jobs: int) -> tuple[dict[Cell, Measured], list[str]]:
    measured: dict[Cell, Measured] = {}
    failures: list[str] = []
    threads = max(1, cores() // min(jobs, len(cells)))
    work = partial(train_cell, where=where, threads=threads)
    began = time.monotonic()
    # In this process, the output of the cell goes to its log, so a bar would, too.
    with progress("training", len(cells), "cells") if jobs > 1 else nullcontext() as bar:
        for done, (cell, found) in enumerate(in_workers(work, cells, jobs), start=1):
            left = (time.monotonic() - began) / done * (len(cells) - done)
            place = f"[{done}/{len(cells)}{f', about {duration(left)} left' if done < len(cells) else ''}]"
            if isinstance(found, Measured):
                measured[cell] = found
                say(f"{place} {cell.label}: dev {SCORE} {100 * found.dev:.2f}, {found.seconds[1]:.1f} s")
            else:
                failures.append(f"{cell.label}: {found}")
                warn(f"{place} {failures[-1]} (more in {cell.folder / 'log.txt'})")
            if bar is not None:
                bar.advance()
    return measured, failures


def train_cell(cell: Cell, where: Evaluation, threads: int) -> Measured | str:
    """Train and measure one cell on `threads` threads; return the results, or a line that describes the failure."""
    torch.set_num_threads(threads)
    with _words_into(cell.folder / "log.txt"):
        try:
            with only_writer(cell.folder, "ragcun ablate"):
                return _train_cell(cell, where)
        except Exception as error:  # the grid continues, and the error is reported
            console.print_exception()
            return str(explained(error))


def _train_cell(cell: Cell, where: Evaluation) -> Measured:
    manifest = train(cell.settings, cell.folder, where.store, label=cell.label)
    scores, others = _scores(str(cell.folder), cell.settings, where)
    isotropy = _isotropy_of(cell, manifest["identity"], where.store)
    dev = manifest["dev"]
    seconds = (manifest.get("training_seconds", 0.0), manifest["seconds"]["total"])
    return Measured(dev.get("start"), dev["end"], scores, isotropy, manifest.get("isotropy"), seconds, others)


@contextmanager
def _words_into(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log, redirect_stderr(log):
        yield


def _isotropy_of(cell: Cell, identity: str, store: Path) -> dict[str, float]:
    kept = cell.folder / "dev_isotropy.json"
    found = read_kept(kept)
    if found is not None and found["identity"] == identity:
        isotropy: dict[str, float] = found["isotropy"]
        if isotropy.keys() >= set(HEADLINES):
            return isotropy
    _, dev_texts = training_data(cell.settings)
    isotropy = _isotropy(_embedder(str(cell.folder), cell.settings, store), dev_texts.documents)
    write_record(kept, {"identity": identity, "isotropy": isotropy})
    return isotropy


def _by_name(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    return {name: [cell for cell in cells if cell.name == name] for name in dict.fromkeys(c.name for c in cells)}


def _row(found: Sequence[Measured]) -> dict[str, Any]:
    starts = [one.dev_start for one in found if one.dev_start is not None]
    before = [one.treatment["start"] for one in found if one.treatment is not None]
    training, total = zip(*(one.seconds for one in found), strict=True)
    return {
        "seeds": len(found),
        "dev_start": _mean_and_deviation(starts) if starts else None,
        "dev": _mean_and_deviation([one.dev for one in found]),
        "scores": {name: _mean_and_deviation([one.scores[name] for one in found]) for name in found[0].scores},
        "endpoints": {
            name: {dataset: _mean_and_deviation([one.endpoints[name][dataset] for one in found]) for dataset in values}
            for name, values in found[0].endpoints.items()
        },
        "isotropy": {name: _mean_and_deviation([one.isotropy[name] for one in found]) for name in HEADLINES},
        "isotropy_start": {
            name: _mean_and_deviation([one[name] for one in before]) for name in (CHECKED if before else ())
        },
        "seconds": {"training": float(np.mean(training)), "total": float(np.mean(total))},
    }


def _mean_and_deviation(values: Sequence[float]) -> Pair:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def _write(found: Mapping[str, Any], output: Path) -> None:
    write_record(output / "ablation.json", found)
    table = ablation_table(found)
    write_text(output / "ablation.csv", csv.render(table))
    write_text(output / "tables" / "ablation.tex", latex.render(table))
    for figure in _draw(found, output / "figures"):
        say(f"figure: {figure}")


def _draw(found: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw a figure for dev and for each collection."""
    if not found["rows"]:
        return []
    drawn = draw_trade(found, None, f"{SCORE} (×100), dev", folder / "trade-dev")
    for dataset in found["base"]["scores"]:
        place = "trained on" if dataset in found["in_domain"] else "not trained on"
        drawn += draw_trade(found, dataset, f"{SCORE} (×100), {dataset} ({place})", folder / f"trade-{dataset}")
    return drawn
