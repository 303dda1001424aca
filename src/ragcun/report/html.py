"""Tables as HTML that a screen reader can read; `page` includes them in a document."""

from html import escape
from itertools import repeat

from ragcun.printable import one_line
from ragcun.table import Cell, Column, Table


def render(table: Table) -> str:
    """Return a figure element: the table with a caption, headers of columns and rows, and notes below it."""
    header = "".join(f'<th scope="col"{_class(column)}>{_escape(column.name)}</th>' for column in table.columns)
    lines = [f'<figure id="{_escape(table.label)}">', "<table>"]
    if table.title:
        lines.append(f"<caption>{_escape(table.title)}</caption>")
    lines.append(f"<thead><tr>{header}</tr></thead>")
    for place, group in enumerate(table.groups):
        rows = [
            "".join(map(_cell, table.columns, row, ['th scope="row"', *repeat("td", len(row) - 1)])) for row in group
        ]
        if table.headings:
            heading = _escape(table.headings[place])
            rows.insert(0, f'<th scope="rowgroup" colspan="{len(table.columns)}"><em>{heading}</em></th>')
        lines += ["<tbody>", *(f"<tr>{row}</tr>" for row in rows), "</tbody>"]
    lines.append("</table>")
    lines += [f"<p>{_superscript(note.mark)}{_escape(note.text)}</p>" for note in table.notes]
    return "\n".join([*lines, "</figure>"]) + "\n"


def _class(column: Column) -> str:
    return "" if column.show is None else ' class="number"'


def _cell(column: Column, cell: Cell, tag: str) -> str:
    text = _escape(column.text(cell))
    if cell.bold:
        text = f"<strong>{text}</strong>"
    if cell.underlined:
        text = f"<u>{text}</u>"
    return f"<{tag}{_class(column)}>{text}{_superscript(cell.mark)}</{tag.partition(' ')[0]}>"


def _superscript(mark: str) -> str:
    return f"<sup>{_escape(mark)}</sup>" if mark else ""


def _escape(text: str) -> str:
    return escape(one_line(text))
