"""`ragcun run`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ragcun.cli import options
from ragcun.cli.output import Format, print_table
from ragcun.cli.settings_flags import WithSettings

if TYPE_CHECKING:
    from ragcun.pipeline.experiment import Summary

app = typer.Typer()


@app.command(cls=WithSettings)
def run(
    context: typer.Context,
    preset: options.Preset = None,
    config: options.Config = None,
    output_dir: options.Experiment = None,
    store: options.Store = None,
    form: Format = "terminal",
    json: options.Json = False,
) -> None:
    """Run a whole experiment: prepare data, train, evaluate, analyse and report.

    Run the same command again to resume an interrupted run; finished steps are not repeated.
    """
    from ragcun.console import say
    from ragcun.lock import only_writer
    from ragcun.pipeline.preflight import ready_to_run
    from ragcun.settings.load import load_settings

    settings = load_settings(preset, config, context.obj)
    experiment = output_dir if output_dir is not None else Path("experiments") / (settings.preset or "run")
    with only_writer(experiment, "ragcun run"):
        settings, tasks = ready_to_run(settings, experiment)
        names = ", ".join(task.collection.name for task in tasks)
        say(f"training on {settings.model.base}, then evaluation on {names}, analysis and report, into {experiment}")

        from ragcun.pipeline.experiment import run as run_experiment

        summary = run_experiment(settings, tasks, experiment, options.store_folder(store))
    _print(summary, form)
    if json:
        options.print_json(summary.to_json())


def _print(summary: "Summary", form: str) -> None:
    from ragcun.console import say
    from ragcun.evaluation.metrics import MAIN
    from ragcun.evaluation.tables import scores_table

    print_table(scores_table(summary.results, MAIN), form)
    for line in summary.verdict:
        say(line)
    say(f"all files are in {summary.experiment}:")
    for path in summary.files:
        say(f"- {path}")
