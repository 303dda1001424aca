"""`ragcun eval compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcun.cli import options, output

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
    baseline: Annotated[str | None, typer.Option(help="Baseline system.", show_default="the first")] = None,
    metric: Annotated[str, typer.Option(help="Metric to compare.")] = "nDCG@10",
    figures: Annotated[
        Path | None, typer.Option(help="Folder for figures of each query's difference.", file_okay=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the randomisation and the bootstrap.")] = 0,
    form: output.Format = "terminal",
    json: options.Json = False,
) -> None:
    """Compare models with a baseline: paired tests on the queries of each dataset, and over the datasets.

    Two-sided paired randomisation test with Holm's correction, 95 percent bootstrap interval, effect size, and queries
    won, tied and lost. A model's seeds are one row.
    """
    from ragcun.console import say
    from ragcun.evaluation.systems import compare_systems, read_systems
    from ragcun.evaluation.tables import comparison_table

    systems = read_systems(results)
    rows = compare_systems(systems, baseline, metric, seed)
    base = baseline if baseline is not None else systems[0].label
    output.print_table(comparison_table(rows, metric, base), form)
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


def _draw(rows: "list[Row]", metric: str, base: str, folder: Path) -> list[Path]:
    from ragcun.analysis.differences import query_differences
    from ragcun.evaluation.results import slug

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
