"""`ragcun plan`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcun.cli import options

if TYPE_CHECKING:
    from ragcun.planning.plan import Plan


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
    from ragcun.planning.workload import PUBLISHED
    from ragcun.settings.load import load_settings

    flags = {"data.train": train_data, "model.base": base_model}
    settings = load_settings(preset, config, flags)
    names = tuple(datasets.split(",")) if datasets else settings.evaluation.datasets
    if datasets == "all":
        names = tuple(PUBLISHED)
    made = make_plan(settings, find_machine(gpu, find_architecture(settings.model.base)), names, data_dir)
    _print(made, price)
    if json:
        options.print_json(made.to_json(price))


def _print(plan: "Plan", price: float | None) -> None:
    from rich.markup import escape
    from rich.table import Table

    from ragcun.console import console, duration, say

    table = Table("step", "work", title=f"Plan for {escape(plan.machine.name)}")
    for name in ("time", "memory GiB", "disk GiB", *(["cost"] if price is not None else [])):
        table.add_column(name, justify="right")
    for step in plan.steps:
        cost = [f"{step.seconds / 3600 * price:,.2f}"] if price is not None else []
        sizes = (f"{step.memory / 2**30:,.1f}", f"{step.disk / 2**30:,.1f}")
        table.add_row(step.name, escape(step.work), duration(step.seconds), *sizes, *cost)
    table.add_section()
    most = max((step.memory for step in plan.steps), default=0.0)
    total = [f"{plan.seconds / 3600 * price:,.2f}"] if price is not None else []
    table.add_row(
        "all", "", duration(plan.seconds), f"{most / 2**30:,.1f}", f"{plan.disk / 2**30:,.1f}", *total, style="bold"
    )
    console.print(table)
    if plan.second_training is not None:
        say(
            f"with the embedding store a second training on the same pairs takes {duration(plan.second_training)}; "
            f"without it, all this would take {duration(plan.without_store)}"
        )
    if most > plan.machine.memory:
        say(
            f"memory: more than the {plan.machine.memory / 2**30:.0f} GiB there; a smaller batch with accumulation fits"
        )
    for line in plan.assumptions:
        console.print(line, style="dim", soft_wrap=True, markup=False)
