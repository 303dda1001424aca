"""`ragcun eval neighbours`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ragcun.cli import options, output
from ragcun.cli.evaluate.scoring import Scoring, score, with_scoring
from ragcun.errors import Failure, UserError

if TYPE_CHECKING:
    from ragcun.evaluation.results import Result


@with_scoring
def neighbours(
    datasets: options.Datasets,
    scoring: Scoring,
    data_dir: options.DataDir = None,
    split: options.Split = None,
    form: output.Format = "terminal",
) -> None:
    """Compare approximate nearest-neighbour indexes with exact search over the same embeddings.

    HNSW, inverted lists (IVF) and product quantisation (FAISS) are searched with increasing effort. The first table
    shows their recall of the exact search's results, nDCG@10, queries per second, memory and build time, and the
    hubness of the documents. The second table compares models at equal recall. Results are saved in --output, and
    `ragcun eval compare OUTPUT/cells-neighbours --metric Found@10:hnsw=40` compares models.
    """
    from ragcun.evaluation.tasks import choose
    from ragcun.neighbours.run import endpoint

    if scoring.index != "exact":
        raise UserError(f"--index {scoring.index}: every index is compared with exact search; leave --index out")
    score(scoring, choose(datasets, data_dir), split, data_dir, endpoint=endpoint, show=partial(_show, form))


def _show(form: str, results: "Sequence[Result]", failures: Sequence[Failure], path: Path, json: bool) -> None:
    from ragcun.console import say
    from ragcun.neighbours.tables import curves_table, equal_recall_table, points

    rows = points(results)
    if json:
        options.print_json({"results": rows, "failures": [failure.to_json() for failure in failures]})
    elif rows:
        output.print_table(curves_table(rows), form)
        output.print_table(equal_recall_table(rows), form)
        say(f"runs and scores: {path / 'cells-neighbours'}")
