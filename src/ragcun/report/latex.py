r"""Tables in LaTeX (booktabs, siunitx), and an article that includes them. Notes are inside the float.

A table that is wider than the page is split into panels; each panel repeats the leading columns of text.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap

from ragcun.printable import one_line
from ragcun.report.escape import escape
from ragcun.table import MISSING, Cell, Column, Table

# Widths in digits of \small text: a column and the page of a two-column article, and the gap between table columns.
_COLUMN, _PAGE, _GAP = 54, 118, 2
_LONGEST_TEXT = 46  # longer text in a cell is broken into lines
_NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?(e[-+]\d+)?")
_INDEX = re.compile(r"\\ensuremath\{(\\[a-z]+)\}\\_([a-z]+)")  # λ_iso
NUMBERS = (
    r"\providecommand{\tabnum}[1]{\num[detect-all,mode=text,retain-explicit-plus,"
    r"group-digits=integer,group-separator={,},group-minimum-digits=4]{#1}}"
)
PACKAGES = "booktabs,graphicx,siunitx"


def render(table: Table) -> str:
    r"""Return a table float of one or two columns, which needs `\usepackage{booktabs,graphicx,siunitx}`."""
    layouts = [_Layout(table, at) for at in range(len(table.columns))]
    panels = _panels(table, layouts)
    kind = "table" if max(map(_width, panels)) <= _COLUMN else "table*"
    lines = [
        rf"% Written by ragcun; needs \usepackage{{{PACKAGES}}}",
        NUMBERS,
        rf"\begin{{{kind}}}[tbp]",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        *([rf"\caption{{{set_text(table.title)}}}", rf"\label{{tab:{table.label}}}"] if table.title else []),
    ]
    for panel in panels:
        lines += [r"\par\smallskip", *_tabular(table, panel)]
    if table.notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
        lines += [rf"{_superscript(note.mark)}{set_text(note.text)}\par" for note in table.notes]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, rf"\end{{{kind}}}"]) + "\n"


def document(tables: Mapping[str, Table]) -> str:
    r"""Return an article that reads the tables' files in the same folder by \input."""
    return article(rf"\input{{{name}}}" for name in tables)


def article(bodies: Iterable[str]) -> str:
    """Return a complete article around `bodies`, with the packages that tables need."""
    lines = [
        r"\documentclass[10pt,twocolumn]{article}",
        r"\usepackage[margin=2cm]{geometry}",
        rf"\usepackage{{{PACKAGES}}}",
        r"\begin{document}",
        *bodies,
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"


class _Layout:
    """Layout of a column: alignment, width, and whether deviations, intervals and marks have their own column."""

    def __init__(self, table: Table, at: int) -> None:
        self.at = at
        self.column = table.columns[at]
        found = [row[at] for row in table.rows]
        self.is_text = self.column.show is None
        self.split = not self.is_text and any(_behind(self.column, cell) for cell in found)
        longest = max((self._length(cell) for cell in found), default=1)
        name = one_line(self.column.name)
        self.header = wrap(name, max(longest, 9), break_long_words=False, break_on_hyphens=False) or [""]
        self.width = max(longest, *map(len, self.header))
        self.alignment = "l" if self.is_text else "r@{}l" if self.split else "r"

    def _length(self, cell: Cell) -> int:
        value, deviation, interval = self.column.parts(cell)
        behind = len(deviation) + 2 * bool(deviation) + sum(len(end) + 2 for end in interval) + len(cell.mark)
        return min(len(value), _LONGEST_TEXT) + round(0.7 * behind)

    def set_header(self) -> str:
        lines = r" \\ ".join(map(set_text, self.header))
        align = "l" if self.is_text else "c" if self.split else "r"
        if len(self.header) > 1:
            lines = rf"\begin{{tabular}}[b]{{@{{}}{align}@{{}}}}{lines}\end{{tabular}}"
        return rf"\multicolumn{{2}}{{c}}{{{lines}}}" if self.split else lines

    def set_cell(self, cell: Cell) -> str:
        value, _, _ = self.column.parts(cell)
        if self.is_text and len(value) > _LONGEST_TEXT:
            marked = set_text(value) + _superscript(cell.mark)
            return rf"\parbox[t]{{0.4\textwidth}}{{\raggedright {marked}\strut}}"
        shown = set_text(value) if self.is_text else _number(value)
        if cell.bold:
            shown = rf"\textbf{{{shown}}}"
        if cell.underlined:
            shown = rf"\underline{{{shown}}}"
        behind = _behind(self.column, cell)
        return f"{shown} & {behind}" if self.split else shown + behind


def _panels(table: Table, layouts: Sequence[_Layout]) -> list[list[_Layout]]:
    """Split the columns into groups that fit the page, each with the leading columns of text."""
    shown = list(layouts)
    if _width(shown) <= _PAGE:
        return [shown]
    leading = next((at for at, layout in enumerate(shown) if not layout.is_text), len(shown))
    repeated, rest = shown[:leading], shown[leading:]
    if not rest:
        return [shown]
    room = max(_PAGE - _width(repeated), *(_width([one]) for one in rest))
    count = -(-_width(rest) // room)
    while True:  # the fewest panels, with equal numbers of columns
        size = -(-len(rest) // count)
        parts = [rest[at : at + size] for at in range(0, len(rest), size)]
        if size == 1 or all(_width(part) <= room for part in parts):
            return [[*repeated, *part] for part in parts]
        count += 1


def _width(layouts: Sequence[_Layout]) -> int:
    return sum(layout.width + _GAP for layout in layouts)


def _tabular(table: Table, panel: Sequence[_Layout]) -> list[str]:
    alignment = "".join(layout.alignment for layout in panel)
    count = sum(1 + layout.split for layout in panel)
    lines = [
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
        r"\toprule",
        _row(layout.set_header() for layout in panel),
    ]
    for place, group in enumerate(table.groups):
        lines.append(r"\midrule")
        if table.headings:
            heading = rf"\textit{{{set_text(table.headings[place])}}}"
            if len(table.headings[place]) > _LONGEST_TEXT:
                heading = rf"\parbox{{0.9\textwidth}}{{\raggedright {heading}\strut}}"
            lines.append(rf"\multicolumn{{{count}}}{{@{{}}l}}{{{heading}}} \\")
        lines += [_row(layout.set_cell(row[layout.at]) for layout in panel) for row in group]
    return [*lines, r"\bottomrule", r"\end{tabular}}"]


def _behind(column: Column, cell: Cell) -> str:
    """Return deviation, interval and mark, which are set after a value."""
    _, deviation, interval = column.parts(cell)
    shown = rf"{{\scriptsize\,$\pm$\,{_number(deviation)}}}" if deviation else ""
    if interval:
        shown += rf"{{\scriptsize\,{{[}}{', '.join(map(_number, interval))}{{]}}}}"
    return shown + _superscript(cell.mark)


def _row(parts: Iterable[str]) -> str:
    return rf"{' & '.join(parts)} \\"


def set_text(text: str) -> str:
    """Return text as LaTeX: one line, escaped, with N(0, I) and Greek letters with an index as mathematics."""
    text = escape(one_line(text)).replace("N(0, I)", r"\ensuremath{\mathcal{N}(0, I)}")
    return _INDEX.sub(r"\\ensuremath{\1_\\mathrm{\2}}", text)


def _number(text: str) -> str:
    if text == MISSING:
        return "--"
    return rf"\tabnum{{{text.replace(',', '')}}}" if _NUMBER.fullmatch(text) else set_text(text)


def _superscript(mark: str) -> str:
    return rf"\textsuperscript{{{set_text(mark)}}}" if mark else ""
