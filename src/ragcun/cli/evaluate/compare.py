"""`ragcun eval compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcun.cli import options

if TYPE_CHECKING:
    from ragcun.evaluation.systems import Row


def compare(
    results: Annotated[
        list[str],
        typer.Argument(
            help="Folders with results; NAME=FOLDER names them, and several of one name are seeds of one model.",
            metavar="[NAME=]FOLDER...",
        ),
    ],
    baseline: Annotated[
        str | None, typer.Option(help="Whom the others are compared with.", show_default="the first")
    ] = None,
    metric: Annotated[str, typer.Option(help="What is compared.")] = "nDCG@10",
    figures: Annotated[
        Path | None, typer.Option(help="Folder for figures of the queries' differences.", file_okay=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the randomisation and the bootstrap.")] = 0,
    json: options.Json = False,
) -> None:
    """Compare models with a baseline: paired tests on the queries of each dataset, and over the datasets.

    Two-sided paired randomisation test with Holm's correction, 95 percent bootstrap interval, effect size, and queries
    won, tied and lost. A model's seeds are one row.
    """
    from ragcun.console import say
    from ragcun.evaluation.systems import compare_systems, read_systems

    systems = read_systems(results)
    rows = compare_systems(systems, baseline, metric, seed)
    base = baseline if baseline is not None else systems[0].label
    _print(rows, metric, base)
    written = [] if figures is None else _draw(rows, metric, base, figures)
    for path in written:
        say(f"written: {path}")
    if json:
        options.print_json(
            {
                "baseline": base,
                "metric": metric,
                "rows": [row.to_json() for row in rows],
                "figures": [str(path) for path in written],
            }
        )


def _print(rows: "list[Row]", metric: str, base: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    from ragcun.console import console

    for dataset, split in dict.fromkeys((row.dataset, row.split) for row in rows):
        table = Table(title=escape("over all datasets" if dataset is None else f"{dataset} ({split})"))
        table.add_column("model")
        for name in (metric, "difference", "p (Holm)", "d_z", "won/tied/lost"):
            table.add_column(name, justify="right")
        for row in rows:
            if (row.dataset, row.split) == (dataset, split):
                table.add_row(escape(row.label), *_cells(row))
        console.print(table)
    note = f"against {base}, with 95% bootstrap intervals; paired randomisation test, bold where p (Holm) < 0.05"
    console.print(note, style="dim", markup=False)


def _cells(row: "Row") -> list[str]:
    score = f"{100 * row.score:.2f}"
    if row.deviation is not None:
        score += f" ± {100 * row.deviation:.2f} ({row.seeds} seeds)"
    if (found := row.against) is None or row.p_holm is None:
        return [score]
    difference = f"{100 * found.difference:+.2f} \\[{100 * found.low:+.2f}, {100 * found.high:+.2f}]"
    p_value = f"{row.p_holm:.4f}"
    return [
        score,
        difference,
        f"[bold]{p_value}[/bold]" if row.p_holm < 0.05 else p_value,
        "" if found.effect is None else f"{found.effect:+.2f}",
        f"{found.wins}/{found.ties}/{found.losses}",
    ]


def _draw(rows: "list[Row]", metric: str, base: str, folder: Path) -> list[Path]:
    from ragcun.analysis.differences import query_differences
    from ragcun.evaluation.cells import slug

    datasets = dict.fromkeys((row.dataset, row.split) for row in rows if row.dataset is not None)
    written = []
    for dataset, split in datasets:
        found = {
            row.label: row.differences
            for row in rows
            if (row.dataset, row.split) == (dataset, split) and row.differences is not None
        }
        if found:
            written += query_differences(found, metric, base, folder / slug(f"differences-{dataset}-{split}"))
    return written
