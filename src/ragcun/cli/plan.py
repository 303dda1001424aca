"""`ragcun plan`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.completion import complete, gpus
from ragcun.cli.output import Format, print_table
from ragcun.cli.settings_flags import WithSettings

app = typer.Typer()


@app.command(cls=WithSettings)
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
    grid: Annotated[list[str], options.GRID] = [],  # noqa: B006
    seeds: options.Seeds = 3,
    price: Annotated[float | None, typer.Option(min=0, help="Price per machine-hour, in any currency.")] = None,
    documents: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="Plan an evaluation on a further corpus of this many passages of MS MARCO's length, such as 1e9.",
        ),
    ] = None,
    form: Format = "terminal",
    json: options.Json = False,
) -> None:
    """Estimate the time, memory, disk and cost of each step, from a model of FLOPs and bytes.

    The plan is for `ragcun run` or, with --grid, for `ragcun ablate`. The number of texts is counted where the data are
    on disk, and taken from published counts otherwise. Nothing is downloaded.
    """
    from ragcun.pipeline.grid import cells_of, parse_grid
    from ragcun.pipeline.preflight import ready_to_plan
    from ragcun.planning.architecture import find_architecture, fitted
    from ragcun.settings.load import load_settings

    flags = context.obj
    parsed = parse_grid(grid)
    cells = cells_of(
        parsed,
        seeds if parsed else 1,
        lambda values: load_settings(preset, config, {**flags, **values} if parsed else flags),
        Path(),
    )
    ready_to_plan(cells)
    model = cells[0].settings.model
    base = find_architecture(model.base, model.revision)
    cells = fitted(cells, base)

    from ragcun.planning.plan import find_machine, make_plan
    from ragcun.planning.tables import plan_table

    made = make_plan(cells, base, find_machine(gpu, base, model), None if documents is None else round(documents))
    print_table(plan_table(made, price), form)
    if json:
        options.print_json(made.to_json(price))
