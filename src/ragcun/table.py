"""Tables as data, which `ragcun.report` renders in several formats."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ragcun.printable import one_line

MISSING = "–"

Value = str | float | None
Show = Callable[[float], str]
Tone = Literal["", "good", "caution", "bad", "muted"]


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        value: text, a number in its own unit, or None if it is unknown.
        deviation: the standard deviation of the value, in the same unit.
        interval: the ends of the confidence interval, in the same unit.
        bold, underlined: the emphasis of the cell.
        mark: the letter of a note on the cell, printed as a superscript.
        tone: the meaning for which a terminal colours the cell.
        sources: the files from which the value was read or computed, relative to the folder of the table's results.
    """

    value: Value
    deviation: float | None = None
    interval: tuple[float, float] | None = None
    bold: bool = False
    underlined: bool = False
    mark: str = ""
    tone: Tone = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """One column: its header, and the format of its numbers.

    Attributes:
        show: formats a value and the ends of its interval; None for a column of text.
        spread: formats a deviation; None uses `show`.
    """

    name: str
    show: Show | None = None
    spread: Show | None = None

    def text(self, cell: Cell) -> str:
        """Return one line: the value, ± its deviation, and its interval in brackets; an en dash for None."""
        text, deviation, interval = self.parts(cell)
        return text + (f" ± {deviation}" if deviation else "") + (f" [{', '.join(interval)}]" if interval else "")

    def parts(self, cell: Cell) -> tuple[str, str, tuple[str, ...]]:
        """Return the value, the deviation and the ends of the interval as printed; missing parts are empty."""
        if cell.value is None:
            return MISSING, "", ()
        if isinstance(cell.value, str) or self.show is None:
            return one_line(str(cell.value)), "", ()
        deviation = "" if cell.deviation is None else (self.spread or self.show)(cell.deviation)
        return self.show(cell.value), deviation, tuple(map(self.show, cell.interval or ()))


@dataclass(frozen=True)
class Note:
    """A note below a table; `mark` is the letter of the cells that it is about, or empty for the whole table."""

    text: str
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells in groups, with a title and notes.

    Attributes:
        title: the caption; empty if the context is sufficient.
        columns: one for each cell of a row.
        groups: groups of rows; some formats draw a rule between them.
        headings: the names of all groups, or none.
        notes: explanations below the table, such as settings and sources.
        label: the name by which a document refers to the table.
    """

    title: str
    columns: Sequence[Column]
    groups: Sequence[Sequence[Sequence[Cell]]]
    notes: Sequence[Note] = field(default=())
    label: str = "table"
    headings: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.label}: a row of {len(row)} cells below {len(self.columns)} columns")
        if self.headings and len(self.headings) != len(self.groups):
            raise ValueError(f"{self.label}: {len(self.headings)} headings of {len(self.groups)} groups")

    @property
    def rows(self) -> list[Sequence[Cell]]:
        """List the rows of all groups."""
        return [row for group in self.groups for row in group]

    def flat(self) -> "Table":
        """Return the same table with the headings as its first column, for formats without headings."""
        if not self.headings:
            return self
        groups = [[[Cell(name), *row] for row in group] for name, group in zip(self.headings, self.groups, strict=True)]
        return replace(self, columns=[Column("group"), *self.columns], groups=groups, headings=())


def cells(*values: Value) -> list[Cell]:
    """Make cells without emphasis."""
    return [Cell(value) for value in values]


def best_marked(column: Column, column_cells: Sequence[Cell]) -> list[Cell]:
    """Make the highest value bold and underline the second highest; values with equal printed digits share the mark."""
    printed = [float(column.parts(cell)[0]) if isinstance(cell.value, float) else None for cell in column_cells]
    best = dict(zip(sorted({value for value in printed if value is not None}, reverse=True)[:2], (0, 1), strict=False))
    ranks = [None if value is None else best.get(value) for value in printed]
    return [replace(cell, bold=rank == 0, underlined=rank == 1) for cell, rank in zip(column_cells, ranks, strict=True)]


def count(value: float) -> str:
    """Format a whole number with commas between thousands."""
    return f"{value:,.0f}"


def decimals(digits: int, scale: float = 1.0, sign: bool = False) -> Show:
    """Make a format of `scale` times a value with `digits` decimals; `sign` also prints a plus sign."""
    return lambda value: f"{scale * value:{'+' if sign else ''}.{digits}f}"


def significant(value: float) -> str:
    """Format three significant digits; below a thousandth with a power of ten, as in 2.1e-04."""
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".rstrip(".")


def letters() -> Iterable[str]:
    """Yield a, b, ... z, aa, ab, ..."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return (first + second for first in ("", *alphabet) for second in alphabet)
