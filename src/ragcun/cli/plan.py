"""`ragcun plan`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.output import print_table


def plan(
    preset: options.Preset = None,
    config: options.Config = None,
    gpu: Annotated[str, typer.Option("--gpu", help="t4, v100, a100, h100, or here: this machine, measured.")] = "here",
    price: Annotated[float | None, typer.Option(min=0, help="Of an hour of it, in any currency.")] = None,
    train_data: options.TrainData = None,
    base_model: options.BaseModel = None,
    datasets: Annotated[
        str | None, typer.Option("--datasets", help="Evaluate on these, separated by commas; all is BEIR's 15.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Folder that holds them.")] = None,
    json: options.Json = False,
) -> None:
    """Tell time, memory, disk and cost of each step before they are spent, from a model of FLOPs and bytes.

    Data that is here is counted, other data is taken as published. Nothing is downloaded.
    """
    from ragcun.planning.architecture import find_architecture
    from ragcun.planning.machines import find_machine
    from ragcun.planning.plan import make_plan
    from ragcun.planning.tables import plan_table
    from ragcun.planning.workload import PUBLISHED
    from ragcun.settings.load import load_settings

    flags = {"data.train": train_data, "model.base": base_model}
    settings = load_settings(preset, config, flags)
    names = tuple(datasets.split(",")) if datasets else settings.evaluation.datasets
    if datasets == "all":
        names = tuple(PUBLISHED)
    made = make_plan(settings, find_machine(gpu, find_architecture(settings.model.base)), names, data_dir)
    print_table(plan_table(made, price))
    if json:
        options.print_json(made.to_json(price))
