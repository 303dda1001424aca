"""`ragcun eval show`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options, output
from ragcun.cli.completion import complete, measures


def show(
    folder: Annotated[Path, typer.Argument(help="Experiment, or folder with results of `ragcun eval`.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="Metric to show; may be repeated.",
            show_default="the main metrics",
            autocompletion=complete(measures),
        ),
    ] = None,
    form: output.Format = "terminal",
    json: options.Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV, as --format csv does.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table as Markdown, as --format markdown does.")
    ] = False,
) -> None:
    """Print saved results. CSV and JSON contain all metrics unless --metric is given."""
    from ragcun.errors import UserError
    from ragcun.evaluation.audit import audit_notes
    from ragcun.evaluation.metrics import MAIN
    from ragcun.evaluation.results import average_parts, read_results
    from ragcun.evaluation.tables import scores_table

    asked = [name for name, given in {"json": json, "csv": csv, "markdown": markdown}.items() if given]
    if len(asked) + (form != "terminal") > 1:
        raise UserError("--json, --csv, --markdown and --format cannot be combined; give one of them")
    form = asked[0] if asked else form
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder of an experiment or of results")
    cells = read_results(folder)
    if not cells:
        raise UserError(f"{folder}: has no result.json; run `ragcun eval beir --output {folder}` first")
    for cell in cells:
        for name in metric or ():
            if name not in cell.metrics:
                raise UserError(f"{cell.path}: has no metric {name!r}, only {', '.join(cell.metrics)}")
    results = sorted(average_parts(cells), key=lambda result: (result.dataset, result.split))
    every = list(dict.fromkeys(name for result in results for name in result.metrics))
    chosen = metric or (every if form in {"csv", "json"} else MAIN)
    if json:
        rows = [
            {"dataset": result.dataset, "split": result.split, "model": result.label}
            | {name: result.metrics[name] for name in chosen if name in result.metrics}
            for result in results
        ]
        options.print_json({"results": rows})
    else:
        table = scores_table(results, chosen)
        output.print_table(replace(table, notes=[*table.notes, *audit_notes(folder)]), form)
