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
            help="Experiments, or folders with results of `ragcun eval`. NAME=FOLDER gives the results a name; folders "
            "with the same name are seeds of one model.",
            metavar="[NAME=]FOLDER...",
        ),
    ],
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output",
            help="Folder in which report.html and tables/ are written.",
            show_default="the first FOLDER",
            file_okay=False,
            writable=True,
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="Baseline system; may be repeated.", show_default="the first")
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric of the page.", autocompletion=complete(measures))] = "nDCG@10",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the collections, from which the page has the texts of queries and documents.",
            show_default="beir in the cache",
            file_okay=False,
            exists=True,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Write one page, report.html, on which readers explore results; it needs no other file and no network.

    It sorts scores and shows their significance, ranks with their intervals, two systems side by side, slices of
    queries with their tests, what each system returned for a query, figures, and for each number the record behind it
    with the command that repeats it. Its tables are also written one by one, as fragments of HTML.
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
