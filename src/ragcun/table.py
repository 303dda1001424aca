"""Tables as data. `ragcun.report` renders them."""

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
        value: text, a number in its own unit, or None where it is not known.
        deviation: the standard deviation of the value, in the same unit.
        interval: the ends of its confidence interval, in the same unit.
        bold, underlined: how it is set off.
        mark: the letter of the note that belongs to it, printed as a superscript.
        tone: what a terminal colours it for.
        sources: the files that the value was read or computed from, relative to what the table is of.
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
    """One column: its header, and how its numbers are printed.

    Attributes:
        show: prints a value and the ends of its interval; None for a column of text.
        spread: prints a deviation; `show` where None.
    """

    name: str
    show: Show | None = None
    spread: Show | None = None

    def text(self, cell: Cell) -> str:
        """Return one line: the value, its deviation behind ±, its interval in brackets; an en dash for None."""
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
    """A line below a table; `mark` is the letter of the cells that it belongs to, empty for the whole table."""

    text: str
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells in groups, with a title and notes.

    Attributes:
        title: the caption, a sentence or a few words; empty where the context says it.
        columns: as many as each row has cells.
        groups: rows that belong together; forms that can set a rule between them.
        headings: the names of the groups, as many as there are groups; none where they need no name.
        notes: what a reader needs besides: settings, sources.
        label: the table's name in a document, by which it is referred to.
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
        """The rows of all groups."""
        return [row for group in self.groups for row in group]

    def flat(self) -> "Table":
        """The same table with the headings as a first column, for forms that have no place for them."""
        if not self.headings:
            return self
        groups = [[[Cell(name), *row] for row in group] for name, group in zip(self.headings, self.groups, strict=True)]
        return replace(self, columns=[Column("group"), *self.columns], groups=groups, headings=())


def cells(*values: Value) -> list[Cell]:
    """Return plain cells."""
    return [Cell(value) for value in values]


def best_marked(column: Column, column_cells: Sequence[Cell]) -> list[Cell]:
    """Set the highest value bold and the second highest underlined, with all ties of the printed digits."""
    printed = [float(column.parts(cell)[0]) if isinstance(cell.value, float) else None for cell in column_cells]
    best = dict(zip(sorted({value for value in printed if value is not None}, reverse=True)[:2], (0, 1), strict=False))
    ranks = [None if value is None else best.get(value) for value in printed]
    return [replace(cell, bold=rank == 0, underlined=rank == 1) for cell, rank in zip(column_cells, ranks, strict=True)]


def count(value: float) -> str:
    """Print a whole number with commas between thousands."""
    return f"{value:,.0f}"


def decimals(digits: int, scale: float = 1.0, sign: bool = False) -> Show:
    """Print `scale` times a value with so many decimals; 100 for scores that are 0 to 1. `sign` prints a plus too."""
    return lambda value: f"{scale * value:{'+' if sign else ''}.{digits}f}"


def significant(value: float) -> str:
    """Print three significant digits; a power of ten below a thousandth, as in 2.1e-04."""
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".rstrip(".")


def letters() -> Iterable[str]:
    """Yield a, b, ... z, aa, ab, ..."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return (first + second for first in ("", *alphabet) for second in alphabet)
