"""Output of commands: tables on standard output."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ragcun.errors import UserError

if TYPE_CHECKING:
    from ragcun.table import Table


FORMS = (
    "terminal",
    "latex",
    "markdown",
    "csv",
    "json",
    "html",
)  # the same as in ragcun.report.forms, which would take too long to import here


def _known(form: str) -> str:
    if form not in FORMS:
        raise UserError(f"--format {form!r}: must be one of {', '.join(FORMS)}")
    return form


Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="Format of the table on standard output.",
        metavar="|".join(FORMS),
        callback=_known,
        autocompletion=lambda: list(FORMS),
    ),
]


def print_table(table: "Table", form: str = "terminal") -> None:
    """Print a table on standard output, or on standard error if `--json` reserves standard output for the result."""
    from ragcun.report.forms import find_form

    typer.echo(find_form(form).render(table), file=sys.stdout, nl=False)
