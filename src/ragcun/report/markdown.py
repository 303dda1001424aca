"""Tables as Markdown, in the dialect of GitHub and MkDocs."""

import re
from collections.abc import Iterable

from ragcun.printable import one_line
from ragcun.table import Cell, Column, Table

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~&]")


def render(table: Table) -> str:
    """Return the title as a paragraph, the table, and a paragraph per note."""
    table = table.flat()
    lines = [f"{_escape(table.title)}\n"] if table.title else []
    lines.append(_line(_escape(column.name) for column in table.columns))
    lines.append(_line("---" if column.show is None else "---:" for column in table.columns))
    lines += [_line(map(_cell, table.columns, row)) for row in table.rows]
    for note in table.notes:
        lines.append(f"\n{_superscript(note.mark)}{_escape(note.text)}")
    return "\n".join(lines) + "\n"


def _line(parts: Iterable[str]) -> str:
    return f"| {' | '.join(parts)} |"


def _cell(column: Column, cell: Cell) -> str:
    text = _escape(column.text(cell))
    if cell.bold:
        text = f"**{text}**"
    elif cell.underlined:
        text = f"<u>{text}</u>"
    return text + _superscript(cell.mark)


def _superscript(mark: str) -> str:
    return f"<sup>{_escape(mark)}</sup>" if mark else ""


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", one_line(text))
