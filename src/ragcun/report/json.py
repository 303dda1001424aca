"""Tables as JSON with all their contents, unrounded."""

import json
from typing import Any

from ragcun.printable import one_line
from ragcun.table import Cell, Table


def render(table: Table) -> str:
    """Return an object with the title, the rows (objects with column names as keys) and the notes."""
    table = table.flat()
    names = [one_line(column.name) for column in table.columns]
    value = {
        "title": one_line(table.title),
        "rows": [dict(zip(names, map(_value, row), strict=True)) for row in table.rows],
        "notes": [{"mark": note.mark, "text": one_line(note.text)} for note in table.notes],
    }
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _value(cell: Cell) -> Any:
    value = one_line(cell.value) if isinstance(cell.value, str) else cell.value
    more: dict[str, Any] = {"deviation": cell.deviation, "interval": cell.interval, "mark": cell.mark or None}
    more["sources"] = list(cell.sources) or None
    known = {name: part for name, part in more.items() if part is not None}
    return {"value": value, **known} if known else value
