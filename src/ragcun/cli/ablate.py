"""`ragcun ablate`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.completion import complete, endpoints
from ragcun.cli.output import Format, print_table
from ragcun.cli.settings_flags import of_sections

app = typer.Typer()


@app.command(cls=of_sections("data", "model", "training", "evaluation"))
def ablate(
    context: typer.Context,
    grid: Annotated[list[str], options.GRID],
    seeds: options.Seeds = 3,
    preset: options.Preset = None,
    config: options.Config = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Number of parallel trainings.", show_default="one per core; 1 on a GPU"),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="Second outcome to evaluate on each collection besides nDCG@10: compress:CODEC, abstain:SCORE or "
            "neighbours:INDEX=VALUE. May be repeated.",
            metavar="NAME",
            autocompletion=complete(endpoints),
        ),
    ] = None,
    output_dir: Annotated[
        Path,
        typer.Option(
            "--output-dir", "-o", help="Output folder for trainings and results.", file_okay=False, writable=True
        ),
    ] = Path("experiments/ablation"),
    store: options.Store = None,
    form: Format = "terminal",
    json: options.Json = False,
) -> None:
    """Train a grid of settings over several seeds on the same stored embeddings, and tabulate the results.

    A figure for each collection shows isotropy against nDCG@10. Run the same command again to resume an interrupted
    ablation; finished trainings are kept. The exit code is 1 if a training failed.
    """
    from ragcun.console import say
    from ragcun.errors import UserError
    from ragcun.lock import only_writer
    from ragcun.pipeline.endpoints import parse_endpoint
    from ragcun.pipeline.grid import cells_of, parse_grid
    from ragcun.pipeline.preflight import ready_to_ablate
    from ragcun.settings.load import load_settings

    flags = context.obj
    dimensions = parse_grid(grid)
    for name in dimensions.keys() & flags.keys():
        raise UserError(f"--grid {name}: is given as a flag too; leave one of them out")
    for name in endpoint or []:
        parse_endpoint(name)
    cells = cells_of(dimensions, seeds, lambda values: load_settings(preset, config, {**flags, **values}), output_dir)
    with only_writer(output_dir, "ragcun ablate"):
        cells, datasets = ready_to_ablate(cells, output_dir)
        if endpoint and not datasets:
            raise UserError(f"--endpoint {endpoint[0]}: there is no collection to score on; give --datasets")
        say(f"{len(cells)} trainings ({len(cells) // seeds} settings, {seeds} seeds each) into {output_dir}")

        from ragcun.analysis.ablation import ablation_table
        from ragcun.pipeline.ablation import run_ablation

        found = run_ablation(cells, datasets, output_dir, options.store_folder(store), jobs, endpoint or [])
    print_table(ablation_table(found), form)
    if json:
        options.print_json(found)
