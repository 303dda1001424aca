"""The formats of tables; to add a format, write its module and add an entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ragcun.errors import UserError
from ragcun.report import csv, html, json, latex, markdown, terminal
from ragcun.table import Table


@dataclass(frozen=True)
class Form:
    """A format of tables.

    Attributes:
        suffix: suffix of files in this format, with its dot.
        render: returns the table as text that ends with a line break.
        document: returns a document that includes several tables, by the names of their files; None if the format has
            no such document.
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
    """Return the format with this name. Raises `UserError` if there is none."""
    if name not in FORMS:
        raise UserError(f"format {name!r}: unknown; choose one of {', '.join(FORMS)}")
    return FORMS[name]
