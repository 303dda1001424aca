"""`ragcun report html`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.completion import complete, measures


def html(
    results: Annotated[
        list[str],
        typer.Argument(
            help="Experiments, or folders with results of `ragcun eval`. NAME=FOLDER gives a folder a name; folders "
            "with the same name are seeds of one model.",
            metavar="[NAME=]FOLDER...",
        ),
    ],
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output",
            help="Output folder for report.html and tables/.",
            show_default="the first FOLDER",
            file_okay=False,
            writable=True,
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="Baseline system; may be repeated.", show_default="the first")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="Metric of the page's tables.", autocompletion=complete(measures))
    ] = "nDCG@10",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the collections, to show the texts of queries and documents.",
            show_default="beir in the cache",
            file_okay=False,
            exists=True,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Write an interactive page, report.html, which needs no other file and no network.

    Readers can sort the scores and see their significance, ranks with intervals, two systems side by side, scores on
    slices of the queries with tests, the documents that each system returned for a query, and figures. Each number is
    linked to the record behind it and to the command that reproduces it. Each table is also written to tables/ as an
    HTML fragment.
    """
    from ragcun.console import say
    from ragcun.data.beir import beir_folder
    from ragcun.evaluation.systems import Method
    from ragcun.report.page.write import write_page

    written = write_page(results, output_dir, baseline, Method(metric), [data_dir or beir_folder()])
    for path in written:
        say(f"written: {path}")
    if json:
        options.print_json({"files": [str(path) for path in written]})
