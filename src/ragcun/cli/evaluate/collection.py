"""`ragcun eval collection`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli.evaluate.scoring import Scoring, score, with_scoring


@with_scoring
def collection(
    folders: Annotated[list[Path], typer.Argument(help="Collections in BEIR's layout.", metavar="FOLDER...")],
    scoring: Scoring,
    split: Annotated[str, typer.Option(help="Split of queries to evaluate on.")] = "test",
) -> None:
    """Score retrievers on your own collections, in the same way as `ragcun eval beir`."""
    score(scoring, dict.fromkeys(folders), split)
