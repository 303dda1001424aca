"""`ragcun presets`."""

from typing import Annotated

import typer

from ragcun.cli.command import Command
from ragcun.cli.completion import complete
from ragcun.cli.completion import presets as preset_names
from ragcun.cli.output import print_table

app = typer.Typer(name="presets", invoke_without_command=True)


@app.callback()
def presets(context: typer.Context) -> None:
    """List presets, or print one as TOML."""
    if context.invoked_subcommand is not None:
        return
    from ragcun.settings.load import load_settings, preset_text
    from ragcun.table import Column, Table, cells, decimals

    rows = []
    for name in preset_names():
        settings = load_settings(name)
        about = preset_text(name).partition("\n")[0].lstrip("# ")
        trains = "head" if settings.model.freeze_base else "base and head"
        rows.append(cells(name, about, settings.model.base, trains, settings.model.output_dim))
    names = [Column(name) for name in ("preset", "description", "base", "trains")]
    print_table(Table("", [*names, Column("d", decimals(0))], [rows], label="presets"))


@app.command("show", cls=Command)
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="Preset to print: demo, prototype, medium or hybrid.", autocompletion=complete(preset_names)
        ),
    ],
) -> None:
    """Print all values of a preset as TOML, to edit and use with --config."""
    from ragcun.settings.load import load_settings, to_toml

    typer.echo(to_toml(load_settings(name)), nl=False)
