r"""Tables in LaTeX (booktabs), and an article that holds them. Notes stand inside the float."""

import re
from collections.abc import Iterable, Mapping

from ragcun.printable import one_line
from ragcun.report.escape import escape
from ragcun.table import MISSING, Cell, Column, Table

_SIGN = re.compile(r"(?<![\w.])[-+](?=\d)")
_POWER = re.compile(r"(?<=\d)e([-+]\d+)\b")


def render(table: Table) -> str:
    r"""Return a table float that needs `\usepackage{booktabs,graphicx}`; it is scaled down to the line's width."""
    alignment = "".join("l" if column.show is None else "r" for column in table.columns)
    lines = [
        r"% Written by ragcun; needs \usepackage{booktabs,graphicx}",
        r"\begin{table}[tbp]",
        r"\centering",
        *([rf"\caption{{{_text(table.title)}}}", rf"\label{{tab:{table.label}}}"] if table.title else []),
        r"\par\smallskip",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        _row(_text(column.name) for column in table.columns),
    ]
    for group in table.groups:
        lines += [r"\midrule", *(_row(map(_cell, table.columns, row)) for row in group)]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if table.notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
        lines += [rf"{_superscript(note.mark)}{_text(note.text)}\par" for note in table.notes]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def document(tables: Mapping[str, Table]) -> str:
    r"""Return an article that compiles beside the tables' files, which it reads by \input."""
    return article(rf"\input{{{name}}}" for name in tables)


def article(bodies: Iterable[str]) -> str:
    """Return an article that compiles as it stands around LaTeX that needs what the tables need."""
    lines = [
        r"\documentclass{article}",
        r"\usepackage[margin=2.5cm]{geometry}",
        r"\usepackage{booktabs,graphicx}",
        r"\begin{document}",
        *bodies,
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"


def _row(parts: Iterable[str]) -> str:
    return rf"{' & '.join(parts)} \\"


def _cell(column: Column, cell: Cell) -> str:
    text = column.text(cell)
    shown = _text(text) if column.show is None else _number(text)
    if cell.bold:
        shown = rf"\textbf{{{shown}}}"
    if cell.underlined:
        shown = rf"\underline{{{shown}}}"
    return shown + _superscript(cell.mark)


def _text(text: str) -> str:
    return escape(one_line(text)).replace("N(0, I)", r"\ensuremath{\mathcal{N}(0, I)}")


def _number(text: str) -> str:
    """Set signs and powers of ten as mathematics, and the digits as text, so that they can be bold."""
    if text == MISSING:
        return "--"
    signed = _SIGN.sub(r"\\ensuremath{\g<0>}", escape(text))
    return _POWER.sub(lambda found: rf"\ensuremath{{\times 10^{{{int(found[1])}}}}}", signed)


def _superscript(mark: str) -> str:
    return rf"\textsuperscript{{{mark}}}" if mark else ""
