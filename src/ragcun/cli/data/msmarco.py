"""`ragcun data msmarco`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options


def msmarco(
    pairs: Annotated[str, typer.Option(help="Number of training pairs to draw, or all.")] = "all",
    hard_negatives: Annotated[int, typer.Option(min=0, help="Number of published hard negatives per pair.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Output folder for the pairs.", show_default="data/msmarco-PAIRS", file_okay=False, writable=True
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed for drawing pairs.")] = 0,
    offline: options.Offline = False,
    json: options.Json = False,
) -> None:
    """Download the training and dev pairs of MS MARCO passage ranking, in BEIR's version.

    The corpus of 8.8 million passages is streamed, and only the passages of the pairs are kept.
    """
    from ragcun.console import say
    from ragcun.data.msmarco import prepare_msmarco
    from ragcun.errors import UserError

    if pairs != "all" and not (pairs.isdecimal() and int(pairs) > 0):
        raise UserError(f"--pairs {pairs}: must be a number above 0, or all")
    folder = output if output is not None else Path("data") / f"msmarco-{pairs}"
    found = prepare_msmarco(folder, None if pairs == "all" else int(pairs), hard_negatives, seed, offline)
    say(f"{folder}: {found['pairs']['train']:,} training pairs, {found['pairs']['dev']:,} dev pairs")
    if json:
        options.print_json({"path": str(folder), **found})
