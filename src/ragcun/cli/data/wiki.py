"""`ragcun data wiki`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options


def wiki(
    passages: Annotated[int, typer.Option(min=1, help="How many.")] = 100_000,
    chars: Annotated[int, typer.Option(min=50, help="Characters of a passage, at most.")] = 500,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the corpus. (default: data/wiki-PASSAGES)", file_okay=False)
    ] = None,
    offline: options.Offline = False,
    json: options.Json = False,
) -> None:
    """Write the first passages of Wikipedia's articles as a corpus without queries (see `data pairs`).

    From wikimedia/wikipedia, 1 November 2023, English; stubs, redirects, lists of meanings, repetitions left out.
    """
    from ragcun.console import say
    from ragcun.data.wiki import prepare_wiki

    folder = output if output is not None else Path("data") / f"wiki-{passages}"
    found = prepare_wiki(folder, passages, chars, offline)
    left_out = ", ".join(f"{why}: {count:,}" for why, count in found["skipped"].items()) or "nothing"
    say(f"{folder}: {passages:,} passages (left out: {left_out})")
    if json:
        options.print_json({"path": str(folder), **found})
