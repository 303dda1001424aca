"""Output of commands: tables on standard output."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ragcun.cli.completion import complete
from ragcun.errors import UserError, did_you_mean
from ragcun.report.forms import FORMS, find_form

if TYPE_CHECKING:
    from ragcun.table import Table


def _known(form: str) -> str:
    if form not in FORMS:
        raise UserError(f"--format {form!r}: must be one of {', '.join(FORMS)}{did_you_mean(form, FORMS)}")
    return form


Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="Format of the table on standard output.",
        metavar="|".join(FORMS),
        callback=_known,
        autocompletion=complete(FORMS),
    ),
]


def print_table(table: "Table", form: str = "terminal") -> None:
    """Print a table on standard output, or on standard error if `--json` reserves standard output for the result."""
    typer.echo(find_form(form).render(table), file=sys.stdout, nl=False)
