"""`ragcun report`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options, output


def report(
    form: Annotated[
        str,
        typer.Argument(
            help="Format of the tables.", metavar="latex|markdown|csv|json|html|terminal", autocompletion=output.forms
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Experiment, or folder with results of `ragcun eval`.")],
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output", help="Folder in which tables/ is written; FOLDER by default.", file_okay=False, writable=True
        ),
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric of the table of scores.")] = "nDCG@10",
    digits: Annotated[int, typer.Option(min=0, max=4, help="Number of decimals in the table of scores.")] = 1,
    isotropy: Annotated[
        Path | None,
        typer.Option(
            help="Isotropy report (isotropy.json); the one below FOLDER by default.", exists=True, dir_okay=False
        ),
    ] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Compile tables/main.tex to tables/main.pdf.")] = False,
    json: options.Json = False,
) -> None:
    """Write tables of scores and isotropy for a paper or a web page.

    In LaTeX and HTML, a document called main shows all tables.
    """
    from ragcun.console import say
    from ragcun.errors import UserError
    from ragcun.report.write import compile_pdf, write_tables

    if compile_ and form != "latex":
        raise UserError(f"report {form}: --compile needs the format latex")
    written = write_tables(folder, output_dir, metric, digits, isotropy, form=form)
    if compile_:
        written.append(compile_pdf(written[-1]))
    for path in written:
        say(f"written: {path}")
    if json:
        options.print_json({"files": [str(path) for path in written]})
