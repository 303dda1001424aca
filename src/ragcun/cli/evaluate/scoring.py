"""What the commands that score retrievers share: their options, and how results and failures are told."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ragcun.cli import options
from ragcun.cli.output import print_table
from ragcun.errors import Failure, exit_code

if TYPE_CHECKING:
    from ragcun.evaluation.averages import Average
    from ragcun.evaluation.cells import CellResult

Model = Annotated[
    list[str],
    typer.Option(
        "--model", help="bm25, minilm, contriever, a hub id, a folder, openai:MODEL, rrf:A+B; may be repeated."
    ),
]
Output = Annotated[Path, typer.Option(help="Folder for runs and scores.", file_okay=False)]
MaxLength = Annotated[
    int | None, typer.Option(min=1, help="Tokens a text is cut to; the model's own limit by default.")
]
Precision = Annotated[Literal["fp32", "bf16", "fp16"], typer.Option(help="Precision of the encoder.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, mps; the fastest by default.")]
OnError = Annotated[
    Literal["refuse", "skip"], typer.Option(help="Malformed rows of a collection: refuse, or skip and count.")
]

RESULTS = Path("results")


def tell(results: "Sequence[CellResult]", failures: Sequence[Failure], output: Path, json: bool) -> None:
    """Print the table, and the JSON where asked for, and exit."""
    from ragcun.console import say
    from ragcun.evaluation.averages import average_parts
    from ragcun.evaluation.metrics import MAIN
    from ragcun.evaluation.tables import scores_table

    rows = average_parts(results)
    if rows:
        print_table(scores_table(rows, MAIN))
        say(f"runs and scores: {output / 'cells'}")
    if json:
        failed = [failure.to_json() for failure in failures]
        options.print_json({"results": [_row(row, output) for row in rows], "failures": failed})
    raise typer.Exit(exit_code(failures, done=bool(results)))


def _row(row: "CellResult | Average[CellResult]", output: Path) -> dict[str, Any]:
    from ragcun.evaluation.cells import CellResult

    cells = [row] if isinstance(row, CellResult) else row.parts
    shown = {
        "model": cells[0].model,
        "dataset": row.dataset,
        "split": row.split,
        "metrics": row.metrics,
        "settings": row.settings,
        "queries": sum(cell.queries for cell in cells),
        "documents": sum(cell.documents for cell in cells),
        "seconds": round(sum(cell.seconds for cell in cells), 3),
    }
    if isinstance(row, CellResult):
        return shown | {"run": str(output / row.run), "scores": str(output / row.scores)}
    return shown | {"parts": [_row(cell, output) for cell in cells]}
