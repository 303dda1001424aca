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
            help="Folders with results. NAME=FOLDER gives a folder a name in the table; folders with the same name "
            "are seeds of one model.",
            metavar="[NAME=]FOLDER...",
        ),
    ],
    baseline: Annotated[
        list[str] | None, typer.Option(help="Baseline system; may be repeated.", show_default="the first")
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric to compare.", autocompletion=complete(measures))] = "nDCG@10",
    test: Annotated[Test, typer.Option(help="Paired significance test over queries.")] = "randomisation",
    correction: Annotated[
        Correction, typer.Option(help="Correction for multiple comparisons: Holm, or Benjamini and Hochberg.")
    ] = "holm",
    margin: Annotated[
        float,
        typer.Option(help="Largest difference, in points, at which two models count as equivalent.", metavar="POINTS"),
    ] = 0.5,
    figures: Annotated[
        Path | None,
        typer.Option(help="Output folder for figures of the difference on each query.", file_okay=False, writable=True),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the randomisation and the bootstrap.")] = 0,
    form: output.Format = "terminal",
    json: options.Json = False,
) -> None:
    """Compare models with a baseline by paired tests, on each dataset and over all of them.

    Each comparison reports a two-sided p-value, a 95 percent bootstrap interval, an effect size, the numbers of queries
    won, tied and lost, a test of equivalence, and the power. The seeds of a model share one row, with a second interval
    and p-value that also account for the variation between seeds. In-domain datasets are averaged separately.
    """
    from ragcun.console import say
    from ragcun.evaluation.systems import Method, compare_systems, read_systems
    from ragcun.evaluation.tables import comparison_table

    if not 0 < margin <= 100:
        raise UserError(f"--margin {margin:g}: must be a number of points above 0 and at most 100")
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
