"""`ragcun eval show`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcun.cli import options
from ragcun.cli.evaluate.table import print_results

if TYPE_CHECKING:
    from ragcun.evaluation.averages import Scored


def show(
    folder: Annotated[Path, typer.Argument(help="Experiment, or folder with results of `ragcun eval`.")],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="A column; may be repeated.", show_default="the main ones")
    ] = None,
    json: options.Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV on standard output.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print it as Markdown on standard output.")] = False,
) -> None:
    """Print the results below a folder again. CSV and JSON hold every metric unless some are chosen."""
    from ragcun.errors import UserError
    from ragcun.evaluation.averages import average_parts
    from ragcun.evaluation.metrics import MAIN
    from ragcun.evaluation.results import read_results

    if json + csv + markdown > 1:
        raise UserError("--json, --csv and --markdown exclude each other")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give an experiment's or a results folder")
    cells = read_results(folder)
    if not cells:
        raise UserError(f"{folder}: no result.json below it; run `ragcun eval beir --output {folder}` first")
    for cell in cells:
        for name in metric or ():
            if name not in cell.metrics:
                raise UserError(f"{cell.path}: no metric {name!r}; it has {', '.join(cell.metrics)}")
    results: list[Scored] = sorted(average_parts(cells), key=lambda result: (result.dataset, result.split))
    if json or csv:
        rows = [_row(result, metric or list(result.metrics)) for result in results]
        options.print_json({"results": rows}) if json else typer.echo(_csv(rows), nl=False)
    elif markdown:
        typer.echo(_markdown(results, metric or list(MAIN)), nl=False)
    else:
        print_results(results, metric or MAIN)


def _row(result: "Scored", metrics: list[str]) -> dict[str, str | float]:
    named = {"dataset": result.dataset, "split": result.split, "model": result.label}
    return named | {name: result.metrics[name] for name in metrics}


def _csv(rows: list[dict[str, str | float]]) -> str:
    import csv
    import io

    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _markdown(results: "list[Scored]", metrics: list[str]) -> str:
    lines = [["dataset", "model", *metrics], ["---", "---", *("---:" for _ in metrics)]]
    for result in results:
        scores = [f"{100 * result.metrics[name]:.2f}" if name in result.metrics else "" for name in metrics]
        lines.append([f"{result.dataset} ({result.split})", result.label.replace("|", r"\|"), *scores])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
