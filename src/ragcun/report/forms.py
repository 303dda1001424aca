"""The forms that a table is printed in. To add one is to write its file and its entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ragcun.errors import UserError
from ragcun.report import csv, html, json, latex, markdown, terminal
from ragcun.table import Table


@dataclass(frozen=True)
class Form:
    """How a table is printed.

    Attributes:
        suffix: how the name of a file in this form ends, with its dot.
        render: returns the table as text that ends with a line break.
        document: returns a file that shows several tables, by the names of their own files; None where there is none.
    """

    suffix: str
    render: Callable[[Table], str]
    document: Callable[[Mapping[str, Table]], str] | None = None


FORMS = {
    "terminal": Form(".txt", terminal.render),
    "latex": Form(".tex", latex.render, latex.document),
    "markdown": Form(".md", markdown.render),
    "csv": Form(".csv", csv.render),
    "json": Form(".json", json.render),
    "html": Form(".html", html.render),
}


def find_form(name: str) -> Form:
    """Return the form of this name. Raises `UserError` where there is none."""
    if name not in FORMS:
        raise UserError(f"format {name!r}: unknown; choose one of {', '.join(FORMS)}")
    return FORMS[name]
