"""Tables for a terminal, by Rich; in a pipe or a file they have no colour and are as wide as needed."""

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from ragcun.printable import one_line
from ragcun.table import Cell, Column, Table

_TONES = {"": "", "good": "green", "caution": "yellow", "bad": "red", "muted": "dim"}
_WIDE = 10_000  # columns: rows are not folded if the output is not a terminal


def render(table: Table) -> str:
    """Return the table for standard output, with the colours and the width of its terminal."""
    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDE
    shown = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in table.columns:
        shown.add_column(
            Text(one_line(column.name)), justify="left" if column.show is None else "right", overflow="fold"
        )
    for place, group in enumerate(table.groups):
        if table.headings:
            shown.add_row(Text(one_line(table.headings[place]), style="italic"))
        for row in group:
            shown.add_row(*map(_cell, table.columns, row))
        shown.add_section()
    with console.capture() as captured:
        if table.title:
            console.print(Text(one_line(table.title), style="bold"), soft_wrap=True)
        console.print(shown)
        for note in table.notes:
            mark = f"({note.mark}) " if note.mark else ""
            console.print(Text(mark + one_line(note.text), style="dim"), soft_wrap=True)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _cell(column: Column, cell: Cell) -> Text:
    text = Text(column.text(cell), style=_TONES[cell.tone])
    if cell.bold:
        text.stylize("bold")
    if cell.underlined:
        text.stylize("underline")
    if cell.mark:
        text.append(f" ({cell.mark})", style="dim")
    return text
