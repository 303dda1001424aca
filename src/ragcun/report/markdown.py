"""Tables as Markdown, in the dialect of GitHub and MkDocs."""

from collections.abc import Iterable

from ragcun.printable import markdown
from ragcun.table import Cell, Column, Table


def render(table: Table) -> str:
    """Return the title as a paragraph, the table, and a paragraph per note."""
    table = table.flat()
    lines = [f"{markdown(table.title)}\n"] if table.title else []
    lines.append(_line(markdown(column.name) for column in table.columns))
    lines.append(_line("---" if column.show is None else "---:" for column in table.columns))
    lines += [_line(map(_cell, table.columns, row)) for row in table.rows]
    for note in table.notes:
        lines.append(f"\n{_superscript(note.mark)}{markdown(note.text)}")
    return "\n".join(lines) + "\n"


def _line(parts: Iterable[str]) -> str:
    return f"| {' | '.join(parts)} |"


def _cell(column: Column, cell: Cell) -> str:
    text = markdown(column.text(cell))
    if cell.bold:
        text = f"**{text}**"
    elif cell.underlined:
        text = f"<u>{text}</u>"
    return text + _superscript(cell.mark)


def _superscript(mark: str) -> str:
    return f"<sup>{markdown(mark)}</sup>" if mark else ""
