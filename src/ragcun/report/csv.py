"""Tables as CSV: unrounded values, for other programs."""

import csv
import io

from ragcun.printable import one_line
from ragcun.table import Cell, Table

_FORMULA = ("=", "+", "-", "@")


def render(table: Table) -> str:
    """Return a header and a line per row; deviations and the ends of intervals have columns of their own.

    Title, marks and notes are left out. A missing value is empty. Text that a spreadsheet would read as a formula
    begins with an apostrophe.
    """
    table = table.flat()
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    parts = [_parts([row[at] for row in table.rows]) for at in range(len(table.columns))]
    writer.writerow(
        _safe(column.name + part) for column, names in zip(table.columns, parts, strict=True) for part in names
    )
    for row in table.rows:
        writer.writerow(_value(cell, part) for cell, names in zip(row, parts, strict=True) for part in names)
    return stream.getvalue()


def _parts(column: list[Cell]) -> list[str]:
    deviation = [" sd"] * any(cell.deviation is not None for cell in column)
    interval = [" low", " high"] if any(cell.interval is not None for cell in column) else []
    return ["", *deviation, *interval]


def _value(cell: Cell, part: str) -> str | float | None:
    if part == " sd":
        return cell.deviation
    if part:
        return None if cell.interval is None else cell.interval[part == " high"]
    return _safe(cell.value) if isinstance(cell.value, str) else cell.value


def _safe(text: str) -> str:
    text = one_line(text)
    return f"'{text}" if text.startswith(_FORMULA) else text
