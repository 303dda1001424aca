"""`ragcun eval abstain`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcun.cli import options, output
from ragcun.cli.evaluate.scoring import Scoring, score, with_scoring
from ragcun.errors import Failure

if TYPE_CHECKING:
    from ragcun.evaluation.results import Result


@with_scoring
def abstain(
    datasets: options.Datasets,
    scoring: Scoring,
    data_dir: options.DataDir = None,
    split: options.Split = None,
    every: Annotated[bool, typer.Option("--all", help="Show all confidence scores, not only the main ones.")] = False,
    form: output.Format = "terminal",
) -> None:
    """Evaluate confidence scores that tell answerable queries from queries without an answer in the corpus.

    Each query is scored twice: with its relevant documents in the corpus, and with these documents removed. Queries of
    the other collections are scored as unanswerable queries, too. The tables show how well each confidence score
    separates answerable from unanswerable queries. A threshold that abstains on 10 percent of the answerable queries is
    fitted on one half of the queries, and tested on the other half and on the other collections. Results are saved in
    --output, and `ragcun eval compare OUTPUT/cells-abstain --metric AUROC:SCORE` compares models.
    """
    from ragcun.abstain.run import endpoint
    from ragcun.evaluation.tasks import choose

    score(scoring, choose(datasets, data_dir), split, data_dir, endpoint=endpoint, show=partial(_show, every, form))


def _show(
    every: bool, form: str, results: "Sequence[Result]", failures: Sequence[Failure], path: Path, json: bool
) -> None:
    from ragcun.abstain.tables import assess, collections_table, summary_table
    from ragcun.console import say

    rows = assess(results)
    if json:
        failed = [failure.to_json() for failure in failures]
        options.print_json({"results": [row.to_json() for row in rows], "failures": failed})
    elif rows:
        output.print_table(collections_table(rows, every), form)
        output.print_table(summary_table(rows), form)
        say(f"runs, scores and evidence: {path / 'cells-abstain'}")
