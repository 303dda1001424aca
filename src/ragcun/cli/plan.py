"""`ragcun plan`."""

from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.completion import complete, gpus
from ragcun.cli.output import print_table


def plan(
    context: typer.Context,
    preset: options.Preset = None,
    config: options.Config = None,
    gpu: Annotated[
        str,
        typer.Option(
            "--gpu",
            help="Machine to plan for: t4, v100, a100, h100, or here, which measures this machine.",
            autocompletion=complete(gpus),
        ),
    ] = "here",
    price: Annotated[float | None, typer.Option(min=0, help="Price per machine-hour, in any currency.")] = None,
    json: options.Json = False,
) -> None:
    """Estimate time, memory, disk and cost of each step before they are spent, from a model of FLOPs and bytes.

    Data that is on disk is counted, other data is taken as published. Nothing is downloaded.
    """
    from ragcun.embedding.width import fit_output_dim
    from ragcun.pipeline.preflight import ready_to_plan
    from ragcun.planning.architecture import find_architecture
    from ragcun.settings.load import load_settings

    settings = load_settings(preset, config, context.obj)
    ready_to_plan(settings)
    base = find_architecture(settings.model.base)
    settings = fit_output_dim(settings, base.dimension, settings.model.base)

    from ragcun.planning.machines import find_machine
    from ragcun.planning.plan import make_plan
    from ragcun.planning.tables import plan_table

    made = make_plan(settings, find_machine(gpu, base))
    print_table(plan_table(made, price))
    if json:
        options.print_json(made.to_json(price))
