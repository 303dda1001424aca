"""`ragcun report paper`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.completion import averages, complete, measures
from ragcun.cli.completion import datasets as datasets_
from ragcun.cli.completion import published as published_


def paper(
    results: Annotated[
        list[str],
        typer.Argument(
            help="Folders with results of `ragcun eval`, `ablate`, `run` and `analyze`. NAME=FOLDER gives the system "
            "in a folder a name in tables; folders with the same name are seeds of one system.",
            metavar="[NAME=]FOLDER...",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", help="Output folder for the paper.", file_okay=False, writable=True)
    ] = Path("paper"),
    metric: Annotated[
        str, typer.Option(help="Metric of the main table.", autocompletion=complete(measures))
    ] = "nDCG@10",
    digits: Annotated[int, typer.Option(min=0, max=4, help="Number of decimals in the main table.")] = 1,
    order: Annotated[
        str,
        typer.Option(
            help="Systems to list first in their group, in this order, separated by commas.",
            show_default="as found",
        ),
    ] = "",
    datasets: Annotated[
        str,
        typer.Option(
            help="Datasets to show, in this order, separated by commas.",
            show_default="all, in the order of BEIR's paper",
            autocompletion=complete(datasets_),
        ),
    ] = "",
    average: Annotated[
        str,
        typer.Option(
            help="Average in the main table: shown (the datasets in the table that no system was trained on), beir13, "
            "beir14 (with CQADupStack), beir15 (also with MS MARCO), beir18, or none. A system without results on the "
            "whole set has no average.",
            metavar="shown|beir13|beir14|beir15|beir18|none",
            autocompletion=complete(averages),
        ),
    ] = "shown",
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="Baseline system; may be repeated.", show_default="each system that ragcun did not train"),
    ] = None,
    published: Annotated[
        str,
        typer.Option(
            help="Retrievers whose published scores are shown, separated by commas.",
            show_default="none",
            autocompletion=complete(partial(published_, "retriever")),
        ),
    ] = "",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the collections, to show the texts of queries and documents in examples.",
            show_default="beir in the cache",
            file_okay=False,
            exists=True,
        ),
    ] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Compile main.tex to main.pdf.")] = False,
    json: options.Json = False,
) -> None:
    """Write a LaTeX article that compiles, with its tables, figures and references.

    Each table and each figure is a file that can also be used in another article. The file provenance.json names the
    files behind each number. The same results always give the same bytes.
    """
    from ragcun.console import say
    from ragcun.data.beir import beir_folder
    from ragcun.report.paper.scores import Choice
    from ragcun.report.paper.write import write_paper
    from ragcun.report.write import compile_pdf

    choice = Choice(
        metric, _split(order), _split(datasets), average, None if not baseline else tuple(baseline), _split(published)
    )
    written = write_paper(results, output, choice, digits, [data_dir or beir_folder()])
    if compile_:
        written.append(compile_pdf(output / "main.tex"))
    say(f"written: {written[0]}, and {len(written) - 1} other files in {output}")
    if json:
        options.print_json({"files": [str(path) for path in written]})


def _split(given: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",") if name.strip())
