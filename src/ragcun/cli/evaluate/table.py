"""The table of scores on a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragcun.evaluation.parts import Scored


def print_results(results: "Sequence[Scored]") -> None:
    """Print the scores times 100 to standard error: a block for each dataset, its best values bold.

    Below it a dim line for each set of settings says which models were run with it.
    """
    from rich.markup import escape
    from rich.table import Table

    from ragcun.console import console
    from ragcun.evaluation.footnotes import footnotes

    measures = list(results[0].metrics)
    table = Table("dataset", "model")
    for measure in measures:
        table.add_column(measure, justify="right")
    for dataset in dict.fromkeys(result.dataset for result in results):
        rows = [result for result in results if result.dataset == dataset]
        shown = [[f"{100 * result.metrics[measure]:.2f}" for measure in measures] for result in rows]
        best = [max(column, key=float) for column in zip(*shown, strict=True)]
        for result, values in zip(rows, shown, strict=True):
            cells = (
                f"[bold]{v}[/bold]" if v == top and len(rows) > 1 else v for v, top in zip(values, best, strict=True)
            )
            table.add_row(escape(dataset), escape(result.label), *cells)
        table.add_section()
    console.print(table)
    for labels, text in footnotes((result.label, result.settings) for result in results):
        console.print(f"{'; '.join(labels)}: {text}", style="dim", markup=False, soft_wrap=True)
