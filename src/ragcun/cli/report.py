"""`ragcun report`: tables for a paper."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options

app = typer.Typer(help="Write tables and figures for a paper.", no_args_is_help=True)


@app.command()
def latex(
    folder: Annotated[Path, typer.Argument(help="Experiment, or folder with results of `ragcun eval`.")],
    output: Annotated[Path | None, typer.Option(help="Folder that gets tables/; FOLDER by default.")] = None,
    metric: Annotated[str, typer.Option(help="Metric of the BEIR table.")] = "nDCG@10",
    digits: Annotated[int, typer.Option(min=0, max=4, help="Decimals of the BEIR table.")] = 1,
    isotropy: Annotated[Path | None, typer.Option(help="isotropy.json; the one below FOLDER by default.")] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Also make tables/main.pdf.")] = False,
    json: options.Json = False,
) -> None:
    """Write LaTeX tables of evaluation and isotropy results, and an article that holds them."""
    from ragcun.console import say
    from ragcun.report.write import compile_pdf, write_tables

    written = write_tables(folder, output, metric, digits, isotropy)
    if compile_:
        written.append(compile_pdf(written[-1]))
    for path in written:
        say(f"written: {path}")
    if json:
        options.print_json({"files": [str(path) for path in written]})
