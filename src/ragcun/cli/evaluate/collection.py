"""`ragcun eval collection`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli.evaluate.scoring import Scoring, score, with_scoring


@with_scoring
def collection(
    folders: Annotated[list[Path], typer.Argument(help="Collections in BEIR's layout.", metavar="FOLDER...")],
    scoring: Scoring,
    split: Annotated[str, typer.Option(help="Split whose queries are asked.")] = "test",
) -> None:
    """Score retrievers on collections of one's own, as eval beir does on the benchmark's."""
    score(scoring, dict.fromkeys(folders), split)
