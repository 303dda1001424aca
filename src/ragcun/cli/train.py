"""`ragcun train`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ragcun.cli import options
from ragcun.cli.settings_flags import of_sections

app = typer.Typer()


@app.command(cls=of_sections("", "data", "model", "training"))
def train(
    context: typer.Context,
    preset: options.Preset = None,
    config: options.Config = None,
    output_dir: options.Experiment = None,
    stage: Annotated[
        Literal["both", "pretrain", "finetune"], typer.Option(help="Stage to train in a two-stage strategy.")
    ] = "both",
    load_checkpoint: Annotated[
        str | None,
        typer.Option("--load-checkpoint", help="Initialise the weights from this encoder or experiment."),
    ] = None,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Train a head on a frozen base, or a whole encoder.

    Settings are merged from the defaults, the preset, --config, the environment (such as RAGCUN_TRAINING__EPOCHS=3) and
    the flags; a later source overrides an earlier one. In two-stage strategies, the flags of the training apply to
    stage 2, or to stage 1 with --stage pretrain. Run the same command again to resume an interrupted training. A
    finished training is not repeated.
    """
    from ragcun.console import say
    from ragcun.lock import only_writer
    from ragcun.pipeline.preflight import ready_to_train
    from ragcun.settings.load import load_settings

    flags = context.obj
    if stage == "pretrain":
        flags = {name.replace("training.", "pretraining."): value for name, value in flags.items()}
    settings = load_settings(preset, config, flags)
    experiment = output_dir if output_dir is not None else Path("experiments") / (settings.preset or "train")
    with only_writer(experiment, "ragcun train"):
        settings = ready_to_train(settings, experiment, stage, load_checkpoint)
        data = settings.data.weights() or [settings.data.pretrain or settings.training.source]
        say(f"training on {settings.model.base} with {', '.join(data)} into {experiment}")

        from ragcun.distributed import join_processes
        from ragcun.pipeline.steps import prepare_data
        from ragcun.training.stages import train_stages

        processes = join_processes()
        with processes.main_process_first():
            ready = prepare_data(settings, experiment, stage)
        manifest = train_stages(ready, experiment, options.store_folder(store), load_checkpoint, stage=stage)
        processes.destroy_process_group()
        if not processes.is_main_process:
            return
        _draw(experiment)
        if json:
            options.print_json(manifest)
        else:
            say(f"the encoder and its manifest are in {experiment}")


def _draw(experiment: Path) -> None:
    """Draw the training curves and, if the interpolation was chosen on dev, its curve."""
    from ragcun.analysis.figures import training_curves
    from ragcun.analysis.trade import interpolation_curve
    from ragcun.training.history import read_history

    history = read_history(experiment / "history.jsonl")
    if history:
        training_curves(history, experiment / "figures")
    if (experiment / "interpolation.json").is_file():
        interpolation_curve(experiment / "interpolation.json", experiment / "figures")
