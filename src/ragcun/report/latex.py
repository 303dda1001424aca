"""Tables in LaTeX (booktabs), and an article that holds them. Written by hand: notes belong inside the float."""

from collections.abc import Mapping, Sequence
from string import ascii_lowercase
from typing import Any

from ragcun.analysis.measures import MEASURES, IsotropyReport, gaussian_columns
from ragcun.errors import UserError
from ragcun.evaluation.averages import Scored
from ragcun.evaluation.footnotes import footnotes
from ragcun.report.escape import escape

_MISSING = "--"
_ARROWS = {"higher": r"\ensuremath{\uparrow}", "lower": r"\ensuremath{\downarrow}", "gaussian": ""}


def beir_table(results: Sequence[Scored], metric: str = "nDCG@10", digits: int = 1, order: Sequence[str] = ()) -> str:
    r"""Return a table of models by datasets, scores times 100, with the average over all datasets.

    Each column's best value is bold and its second best underlined, with all ties of the printed digits. A missing cell
    is an en dash, and so is the average of its row. Models come in the order of `order`, then of `results`. Raises
    `UserError` where a result lacks `metric`.
    """
    for result in results:
        if metric not in result.metrics:
            known = ", ".join(result.metrics)
            raise UserError(f"{result.label} on {result.dataset} has no {metric!r}, only {known}; choose with --metric")
    found = list(dict.fromkeys(result.label for result in results))
    labels = [label for label in dict.fromkeys(order) if label in found]
    labels += [label for label in found if label not in labels]
    columns = sorted({(result.dataset, result.split) for result in results})
    scores = {(r.label, (r.dataset, r.split)): 100 * r.metrics[metric] for r in results}
    rows = [[scores.get((label, column)) for column in columns] for label in labels]
    splits = sorted({split for _, split in columns})
    headers = [dataset if len(splits) == 1 else f"{dataset} ({split})" for dataset, split in columns]
    if len(columns) > 1:
        headers.append("Average")
        rows = [[*row, _average(row)] for row in rows]
    printed = [[None if score is None else f"{score:.{digits}f}" for score in row] for row in rows]
    marked = zip(*(_mark(column) for column in zip(*printed, strict=True)), strict=True)
    where = f"the {splits[0]} split" if len(splits) == 1 else "the splits named"
    caption = (
        rf"{escape(metric)} (\ensuremath{{\times 100}}) on {escape(where)}. "
        "Best value of each column in bold, second best underlined."
    )
    return _table(
        caption,
        "tab:beir",
        ["Model", *map(escape, headers)],
        [[escape(label), *row] for label, row in zip(labels, marked, strict=True)],
        [
            f"{escape('; '.join(names))}: {escape(text)}."
            for names, text in footnotes((result.label, result.settings) for result in results)
        ],
    )


def _average(row: Sequence[float | None]) -> float | None:
    known = [score for score in row if score is not None]
    return sum(known) / len(known) if len(known) == len(row) else None


def _mark(column: Sequence[str | None]) -> list[str]:
    ranking = sorted({float(value) for value in column if value is not None}, reverse=True)
    marks = dict(zip(ranking, (r"\textbf", r"\underline"), strict=False))
    return [
        _MISSING if value is None else f"{marks[float(value)]}{{{value}}}" if float(value) in marks else value
        for value in column
    ]


def isotropy_table(reports: Sequence[IsotropyReport]) -> str:
    """Return a table of measures by models and N(0, I), with the source of each measure below it."""
    one_dataset = len({report.data for report in reports}) == 1
    columns = [
        (report.model if one_dataset else f"{report.model} ({report.data})", report.measures) for report in reports
    ]
    columns += gaussian_columns(reports)
    sources = list(dict.fromkeys(measure.source for measure in MEASURES if measure.source))
    letters = dict(zip(sources, ascii_lowercase, strict=False))
    rows = []
    for measure in MEASURES:
        note = rf"\textsuperscript{{{letters[measure.source]}}}" if measure.source else ""
        name = f"{escape(measure.name)}{note} {_ARROWS[measure.better]}".rstrip()
        rows.append([name, *(_number(values[measure.key]) for _, values in columns)])
    sizes = sorted({report.rows for report in reports})
    data = sorted({report.data for report in reports if report.data})
    caption = (
        f"Isotropy of {' and '.join(f'{size:,}' for size in sizes)} embeddings"
        + (f" of documents of {' and '.join(data)}" if data else "")
        + ", beside a sample of the same size from"
    )
    return _table(
        escape(caption) + r" \ensuremath{\mathcal{N}(0, I)}. An arrow says which way is more isotropic; "
        "elsewhere, nearer to that sample is.",
        "tab:isotropy",
        ["Measure", *(_gaussian(name) for name, _ in columns)],
        rows,
        [rf"\textsuperscript{{{letter}}}{escape(source)}." for source, letter in letters.items()],
    )


def ablation_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of the settings of an ablation, means with deviations over seeds; nDCG@10 times 100.

    Each row has "setting", "seeds", and columns of means, each with a column " sd" beside it (None where unknown).
    """
    names = [name for name in rows[0] if name not in {"setting", "seeds"} and not name.endswith(" sd")]
    measures = {measure.key: measure for measure in MEASURES}
    headers = [
        f"{escape(measures[name].name)} {_ARROWS[measures[name].better]}".rstrip() if name in measures else escape(name)
        for name in names
    ]
    body = []
    for row in rows:
        cells = [_with_deviation(row[name], row[f"{name} sd"], name not in measures) for name in names]
        body.append([escape(row["setting"]), *cells])
    seeds = max(row["seeds"] for row in rows)
    spread = f", with the standard deviation over {seeds} seeds" if seeds > 1 else ""
    caption = rf"nDCG@10 (\ensuremath{{\times 100}}) and isotropy of the documents of dev{spread}."
    return _table(caption, "tab:ablation", ["Setting", *headers], body, [])


def _with_deviation(mean: float | None, deviation: float | None, score: bool) -> str:
    if mean is None:
        return _MISSING
    shown = rf"\ensuremath{{{100 * mean:.1f}}}" if score else _number(mean)
    if deviation is None:
        return shown
    spread = f"{100 * deviation:.1f}" if score else f"{deviation:.1g}"
    return rf"{shown} \ensuremath{{\pm {spread}}}"


def _gaussian(name: str) -> str:
    """Set a column's name, with N(0, I) as mathematics."""
    head, rest = ("N(0, I)", name.removeprefix("N(0, I)")) if name.startswith("N(0, I)") else ("", name)
    return (r"\ensuremath{\mathcal{N}(0, I)}" if head else "") + escape(rest)


def _number(value: float) -> str:
    """Print three significant digits, as a power of ten below a thousandth."""
    if value and abs(value) < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return rf"\ensuremath{{{mantissa} \times 10^{{{int(exponent)}}}}}"
    digits = f"{value:.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".rstrip(".")
    return rf"\ensuremath{{{digits}}}"


def document(bodies: Sequence[str]) -> str:
    r"""Return an article that compiles as it stands; a body is a table, or an \input of one."""
    lines = [
        r"\documentclass{article}",
        r"\usepackage[margin=2.5cm]{geometry}",
        r"\usepackage{booktabs,graphicx}",
        r"\begin{document}",
        *bodies,
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"


def _table(caption: str, label: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    lines = [
        r"% Written by ragcun; needs \usepackage{booktabs,graphicx}",
        r"\begin{table}[tbp]",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{{label}}}",
        r"\par\smallskip",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"\toprule",
        rf"{' & '.join(header)} \\",
        r"\midrule",
        *(rf"{' & '.join(row)} \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    if notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
        lines += [rf"{note}\par" for note in notes]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"
