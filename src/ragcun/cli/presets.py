"""`ragcun presets`."""

from typing import Annotated, Any

import typer

from ragcun.cli import options
from ragcun.cli.command import Command
from ragcun.cli.completion import complete
from ragcun.cli.completion import presets as preset_names
from ragcun.cli.output import Format, print_table

app = typer.Typer(name="presets", invoke_without_command=True)


@app.callback()
def presets(context: typer.Context, form: Format = "terminal", json: options.Json = False) -> None:
    """List presets, or print one as TOML."""
    if context.invoked_subcommand is not None:
        return
    from ragcun.settings.load import load_settings, preset_text
    from ragcun.table import Column, Table, cells, decimals

    rows: list[dict[str, Any]] = []
    for name in preset_names():
        settings = load_settings(name)
        about = preset_text(name).partition("\n")[0].lstrip("# ")
        trains = "head" if settings.model.freeze_base else "base and head"
        width = settings.model.output_dim
        rows.append({"preset": name, "description": about, "base": settings.model.base, "trains": trains, "d": width})
    if json:
        options.print_json({"presets": rows})
        return
    names = [Column(name) for name in ("preset", "description", "base", "trains")]
    print_table(
        Table("", [*names, Column("d", decimals(0))], [[cells(*row.values()) for row in rows]], label="presets"), form
    )


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
