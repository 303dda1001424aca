"""`ragcun run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcun.cli import options
from ragcun.cli.output import print_table

if TYPE_CHECKING:
    from ragcun.pipeline.experiment import Summary


def run(
    preset: options.Preset = None,
    config: options.Config = None,
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", "-o", help="The experiment's folder. (default: experiments/PRESET)"),
    ] = None,
    train_data: options.TrainData = None,
    val_data: options.ValData = None,
    base_model: options.BaseModel = None,
    datasets: Annotated[str | None, typer.Option("--datasets", help="Evaluate on these, separated by commas.")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Folder that holds them.")] = None,
    store: options.Store = None,
    seed: options.Seed = None,
    on_error: options.OnError = None,
    json: options.Json = False,
) -> None:
    """Run the whole chain: data, training, evaluation, analysis, report.

    Run again, it does nothing twice; killed anywhere, the same command resumes.
    """
    from ragcun.settings.load import load_settings

    settings = load_settings(
        preset,
        config,
        {
            "seed": seed,
            "data.train": train_data,
            "data.val": val_data,
            "data.on_error": on_error,
            "model.base": base_model,
            "evaluation.datasets": datasets.split(",") if datasets else None,
            "evaluation.data_dir": None if data_dir is None else str(data_dir),
        },
    )
    from ragcun.pipeline.experiment import run as run_experiment

    experiment = output_dir if output_dir is not None else Path("experiments") / (settings.preset or "run")
    summary = run_experiment(settings, experiment, options.store_folder(store))
    _print(summary)
    if json:
        options.print_json(summary.to_json())


def _print(summary: "Summary") -> None:
    from ragcun.console import say
    from ragcun.evaluation.metrics import MAIN
    from ragcun.evaluation.tables import scores_table

    print_table(scores_table(summary.results, MAIN))
    for line in summary.verdict:
        say(line)
    say(f"everything is in {summary.experiment}:")
    for path in summary.files:
        say(f"  {path}")
