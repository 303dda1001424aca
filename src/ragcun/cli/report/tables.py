"""`ragcun report latex`, `markdown` and the other formats of single tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.completion import complete, measures

Folder = Annotated[Path, typer.Argument(help="Experiment, or folder with results of `ragcun eval`.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", help="Output folder for tables/.", show_default="FOLDER", file_okay=False, writable=True),
]
Metric = Annotated[str, typer.Option(help="Metric of the table of scores.", autocompletion=complete(measures))]
Digits = Annotated[int, typer.Option(min=0, max=4, help="Number of decimals in the table of scores.")]
Isotropy = Annotated[
    Path | None,
    typer.Option(
        help="File isotropy.json of `ragcun analyze isotropy`.",
        show_default="the one in FOLDER",
        exists=True,
        dir_okay=False,
    ),
]
Mteb = Annotated[
    Path | None,
    typer.Option(
        help="Folder of MTEB's result files, whose scores become further rows, which are marked and not averaged.",
        exists=True,
        file_okay=False,
    ),
]
Compile = Annotated[bool, typer.Option("--compile", help="Compile tables/main.tex to tables/main.pdf.")]


def latex(
    folder: Folder,
    output_dir: Output = None,
    metric: Metric = "nDCG@10",
    digits: Digits = 1,
    isotropy: Isotropy = None,
    mteb: Mteb = None,
    compile_: Compile = False,
    json: options.Json = False,
) -> None:
    """Write the tables of scores and isotropy in LaTeX, and main.tex, which includes all of them."""
    _write("latex", folder, output_dir, metric, digits, isotropy, mteb, json, compile_)


def command_of(form: str) -> Callable[..., None]:
    """Make the command that writes tables in `form`."""
    if form == "latex":
        return latex

    def command(
        folder: Folder,
        output_dir: Output = None,
        metric: Metric = "nDCG@10",
        digits: Digits = 1,
        isotropy: Isotropy = None,
        mteb: Mteb = None,
        json: options.Json = False,
    ) -> None:
        _write(form, folder, output_dir, metric, digits, isotropy, mteb, json)

    command.__doc__ = f"Write the tables of scores and isotropy in the format {form}."
    return command


def _write(
    form: str,
    folder: Path,
    output_dir: Path | None,
    metric: str,
    digits: int,
    isotropy: Path | None,
    mteb: Path | None,
    json: bool,
    compiled: bool = False,
) -> None:
    from ragcun.console import say
    from ragcun.report.write import compile_pdf, write_tables

    written = write_tables(folder, output_dir, metric, digits, isotropy, form=form, mteb=mteb)
    if compiled:
        written.append(compile_pdf(written[-1]))
    for path in written:
        say(f"written: {path}")
    if json:
        options.print_json({"files": [str(path) for path in written]})
