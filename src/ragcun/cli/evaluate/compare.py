"""`ragcun eval compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ragcun.cli import options, output
from ragcun.cli.completion import complete, measures
from ragcun.errors import UserError

if TYPE_CHECKING:
    from ragcun.evaluation.systems import Row

Test = Literal["randomisation", "wilcoxon"]
Correction = Literal["holm", "bh"]


def compare(
    results: Annotated[
        list[str],
        typer.Argument(
            help="Folders with results; NAME=FOLDER names them, and several of one name are seeds of one model.",
            metavar="[NAME=]FOLDER...",
        ),
    ],
    baseline: Annotated[
        list[str] | None, typer.Option(help="Baseline system; repeat for several.", show_default="the first")
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric to compare.", autocompletion=complete(measures))] = "nDCG@10",
    test: Annotated[Test, typer.Option(help="Test over queries.")] = "randomisation",
    correction: Annotated[
        Correction, typer.Option(help="Correction for many comparisons: Holm's or Benjamini and Hochberg's.")
    ] = "holm",
    margin: Annotated[
        float, typer.Option(help="Points within which two models are equivalent.", metavar="POINTS")
    ] = 0.5,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for figures of each query's difference.", file_okay=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the randomisation and the bootstrap.")] = 0,
    form: output.Format = "terminal",
    json: options.Json = False,
) -> None:
    """Compare models with a baseline: paired tests on the queries of each dataset, and over the datasets.

    Each comparison has a two-sided p-value, a 95 percent bootstrap interval, an effect size, the queries won, tied and
    lost, a test of equivalence, and the power. A model's seeds are one row, and a second interval and p-value hold for
    other seeds too. Datasets that a model was trained on have an average of their own.
    """
    from ragcun.console import say
    from ragcun.evaluation.systems import Method, compare_systems, read_systems
    from ragcun.evaluation.tables import comparison_table

    if not 0 < margin <= 100:
        raise UserError(f"--margin {margin:g}: a number of points above 0, at most 100")
    method = Method(metric, test, correction, margin / 100, seed)
    rows = compare_systems(read_systems(results), baseline, method)
    output.print_table(comparison_table(rows, method), form)
    written = [] if figures is None else _draw(rows, metric, figures)
    for path in written:
        say(f"written: {path}")
    if json:
        options.print_json(
            {
                "baselines": list(dict.fromkeys(row.baseline for row in rows)),
                "metric": metric,
                "test": test,
                "correction": correction,
                "margin": margin,
                "rows": [row.to_json() for row in rows],
                "figures": [str(path) for path in written],
            }
        )


def _draw(rows: "list[Row]", metric: str, folder: Path) -> list[Path]:
    from ragcun.analysis.differences import query_differences
    from ragcun.evaluation.results import slug

    drawn = [row for row in rows if row.dataset is not None and row.differences is not None]
    several = len({row.baseline for row in drawn}) > 1
    written = []
    for dataset, split, baseline in dict.fromkeys((row.dataset, row.split, row.baseline) for row in drawn):
        found = {
            row.label: row.differences
            for row in drawn
            if (row.dataset, row.split, row.baseline) == (dataset, split, baseline) and row.differences is not None
        }
        name = f"differences-{dataset}-{split}" + (f"-{baseline}" if several else "")
        written += query_differences(found, metric, baseline, folder / slug(name))
    return written
