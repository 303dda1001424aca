"""Checks before torch is imported and before the first long step: everything that a command uses exists and fits."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ragcun.data.benchmark import Dataset, present
from ragcun.data.pair_rows import parse_columns
from ragcun.data.pairs import load_pairs
from ragcun.data.pydocs import PYDOCS
from ragcun.distributed import refuse_launcher
from ragcun.embedding.model_files import architecture, check_model_files, refuse_length
from ragcun.embedding.resolve import ResolvedModel, resolve_model
from ragcun.embedding.runtimes import AUTO, check_runtime, choose_runtime
from ragcun.embedding.width import with_output_dim
from ragcun.errors import UserError
from ragcun.evaluation.tasks import Task, choose, open_all
from ragcun.files import there_of
from ragcun.manifest import read_manifest
from ragcun.pipeline.grid import Cell
from ragcun.pipeline.steps import evaluation_folder, prepare_data
from ragcun.settings.load import RENAMED
from ragcun.settings.schema import Settings, Stage
from ragcun.training.data import PRETRAINING, general_texts, out_of_domain_texts, training_data, trainings

BASE, RANDOM = "base", "random"  # as baselines: the head's own base, and the same head started at random


def ready_to_train(
    settings: Settings, experiment: Path, stage: Stage = "both", load_checkpoint: str | None = None
) -> Settings:
    """The settings, with an output dimension that fits the base, after all that training uses has been opened.

    Data that is made or downloaded later is not checked. The base is downloaded if it is missing.

    Raises:
        UserError: something is missing, malformed or impossible.
        RagcunError: the base could not be downloaded.
    """
    stages = _open_training_data(settings, stage, load_checkpoint)
    base = _base(settings)
    for name, one in stages.items():
        _refuse_another(experiment / PRETRAINING if name == "pretrain" else experiment, with_output_dim(one, base))
    return with_output_dim(settings, base)


def _open_training_data(
    settings: Settings, stage: Stage = "both", load_checkpoint: str | None = None
) -> dict[str, Settings]:
    check_runtime(settings.model.runtime)
    parse_columns(settings.data.columns)
    stages = trainings(settings, stage, load_checkpoint)
    for one in stages.values():
        data = one.data
        made = PYDOCS in data.weights()
        for path, split in (*((path, "train") for path in data.weights()), (data.val, "dev")):
            if path not in {None, PYDOCS}:
                load_pairs(str(path), split, data.on_error, data.columns)
        if data.train and not made:
            training_data(one)
    for folder in settings.data.out_of_domain:
        out_of_domain_texts(Path(folder), settings.data)
    there = tuple(name for name in settings.data.general if name != PYDOCS)
    general_texts(settings.data.model_copy(update={"general": there}))
    if load_checkpoint is not None:
        resolve_model(load_checkpoint)
    return stages


def _base(settings: Settings) -> ResolvedModel:
    """The base. Raises as `resolve_model` does, and a `UserError` if its runtime or its positions do not suit it."""
    model = settings.model
    base = resolve_model(model.base, model.revision)
    check_model_files(base.path, base.source)
    refuse_length(base.path, base.source, model.max_length)
    if model.freeze_base and model.runtime != AUTO:
        choose_runtime(model.runtime, architecture(base.path), model.precision, None)
    return base


def ready_to_run(settings: Settings, experiment: Path) -> tuple[Settings, list[Task]]:
    """The settings with their data prepared, and the collections that are evaluated, opened. Raises as its steps do."""
    refuse_launcher("run: works in one process only; with a launcher, use `ragcun train` and then `ragcun eval`")
    chosen = chosen_datasets(settings, experiment)
    if not chosen:
        raise UserError("run: no dataset to evaluate on; give --datasets")
    settings = ready_to_train(settings, experiment)
    from ragcun.evaluation.beir import identify_all  # brings the retrievers in, which takes as long as all else here
    from ragcun.retrieval.retrievers import RetrieverOptions

    others = [name for name in settings.evaluation.baselines if name not in {BASE, RANDOM}]
    identify_all(others, RetrieverOptions(experiment / "store"))
    made = experiment / "data" / PYDOCS
    open_datasets(settings, [one for one in chosen if one != made])
    settings = prepare_data(settings, experiment)
    return settings, open_datasets(settings, chosen)


def ready_to_ablate(cells: Sequence[Cell], output: Path) -> tuple[list[Cell], list[Dataset | Path]]:
    """The cells with their data prepared, and what they are evaluated on. Raises as its steps do."""
    refuse_launcher("ablate: starts its own processes; use --jobs instead of a launcher")
    most = most_data(cells)
    chosen = chosen_datasets(most, output)
    _open_training_data(most)
    base = _base(most)
    fitted = [with_output_dim(cell.settings, base) for cell in cells]
    made = output / "data" / PYDOCS
    open_datasets(most, [one for one in chosen if one != made])
    data = prepare_data(most, output).data
    cells = [
        replace(cell, settings=settings.model_copy(update={"data": data}))
        for cell, settings in zip(cells, fitted, strict=True)
    ]
    open_datasets(most, chosen)
    return cells, chosen


def ready_to_plan(cells: Sequence[Cell]) -> None:
    """Open the data that a plan counts, datasets of the benchmark where they are here.

    Raises as `chosen_datasets` does, and for data that is missing or malformed.
    """
    most = most_data(cells)
    chosen = chosen_datasets(most, Path())
    _open_training_data(most)
    made, home = Path("data") / PYDOCS, evaluation_folder(most)
    open_datasets(most, [one for one in chosen if one != made and (not isinstance(one, Dataset) or present(one, home))])


def most_data(cells: Sequence[Cell]) -> Settings:
    """Settings that ask for as much data as any cell does; each takes its share of it."""
    stages = [cell.settings.training for cell in cells]
    rows = [stage.rows for stage in stages if stage.rows is not None]
    negatives = {stage.negatives for stage in stages}
    most = {
        "rows": max(rows) if len(rows) == len(stages) else None,
        "negatives": negatives.pop() if len(negatives) == 1 else max(number or 0 for number in negatives),
    }
    training = stages[0].model_copy(update=most)
    return cells[0].settings.model_copy(update={"training": training})


def chosen_datasets(settings: Settings, experiment: Path) -> list[Dataset | Path]:
    """The datasets of `evaluation.datasets`, as in `ragcun eval`; `pydocs` is the experiment's own collection.

    Raises:
        UserError: there is no such dataset.
    """
    evaluation = settings.evaluation
    if evaluation.split is not None and not evaluation.datasets:
        raise UserError(f"--split {evaluation.split}: there is no dataset to evaluate on; give --datasets")
    home = evaluation_folder(settings)
    if there_of(home).is_file():
        raise UserError(f"--data-dir {home}: is a file; give a folder of collections")
    return choose(evaluation.datasets, home, experiment / "data" / PYDOCS) if evaluation.datasets else []


def open_datasets(settings: Settings, chosen: Sequence[Dataset | Path]) -> list[Task]:
    """Open all of `chosen`, downloaded where they are not here. Raises as `open_all` does."""
    return open_all(chosen, settings.evaluation.split, settings.data.on_error, evaluation_folder(settings))


def _refuse_another(experiment: Path, settings: Settings) -> None:
    """Raise where `experiment` holds what other settings trained, or a ragcun whose settings had other names."""
    path = experiment / "manifest.json"
    if any((experiment / name).is_file() for name in ("modules.json", "config.json")):
        raise UserError(f"{experiment}: contains a model; choose another --output-dir")
    if not path.is_file():
        return
    manifest = read_manifest(path)
    if not {"identity", "settings"} <= manifest.keys():
        raise UserError(f"{path}: was not written by ragcun; choose another --output-dir")
    kept, wanted = manifest["settings"], settings.model_dump(mode="json")
    old = next((name for name in RENAMED if name in kept["training"] or name in kept["data"]), None)
    if old is not None:
        raise UserError(
            f"{path}: was written by an older version of ragcun, in which {RENAMED[old]} was called {old}; "
            "choose another --output-dir"
        )
    for ignored in ("log_interval", "track"):
        for values in (kept, wanted):
            values["training"].pop(ignored, None)
    if any(kept[section] != wanted[section] for section in ("seed", "model", "training")):
        raise UserError(
            f"{experiment}: contains an encoder trained with other settings or data; choose another --output-dir"
        )
