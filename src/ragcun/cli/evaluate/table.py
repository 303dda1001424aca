"""The table of scores on a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragcun.evaluation.averages import Scored


def print_results(results: "Sequence[Scored]", measures: Sequence[str]) -> None:
    """Print the scores times 100 to standard error: a block for each dataset and split, its best values bold.

    Below it a dim line for each set of settings says which models were run with it.
    """
    from rich.markup import escape
    from rich.table import Table

    from ragcun.console import console
    from ragcun.evaluation.footnotes import footnotes

    table = Table("dataset", "model")
    for measure in measures:
        table.add_column(measure, justify="right")
    for dataset, split in dict.fromkeys((result.dataset, result.split) for result in results):
        rows = [result for result in results if (result.dataset, result.split) == (dataset, split)]
        name = dataset if split == "test" else f"{dataset} ({split})"
        shown = [[_percent(result.metrics.get(measure)) for measure in measures] for result in rows]
        best = [max(column, key=lambda value: float(value or -1)) for column in zip(*shown, strict=True)]
        for result, values in zip(rows, shown, strict=True):
            cells = (
                f"[bold]{v}[/bold]" if v == top and len(rows) > 1 else v for v, top in zip(values, best, strict=True)
            )
            table.add_row(escape(name), escape(result.label), *cells)
        table.add_section()
    console.print(table)
    for labels, text in footnotes((result.label, result.settings) for result in results):
        console.print(f"{'; '.join(labels)}: {text}", style="dim", markup=False, soft_wrap=True)


def _percent(score: float | None) -> str:
    return "" if score is None else f"{100 * score:.2f}"
