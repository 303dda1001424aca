"""`ragcun data wiki`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options


def wiki(
    passages: Annotated[int, typer.Option(min=1, help="Number of passages.")] = 100_000,
    chars: Annotated[int, typer.Option(min=50, help="Maximum number of characters of a passage.")] = 500,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write the corpus to. (default: data/wiki-PASSAGES)", file_okay=False)
    ] = None,
    offline: options.Offline = False,
    json: options.Json = False,
) -> None:
    """Write the first passages of Wikipedia's articles as a corpus without queries (see `data pairs`).

    The articles are those of wikimedia/wikipedia, 1 November 2023, English. Stubs, redirects, lists of meanings and
    repetitions are left out. An interrupted command continues where it stopped.
    """
    from ragcun.console import say
    from ragcun.data.wiki import prepare_wiki

    folder = output if output is not None else Path("data") / f"wiki-{passages}"
    found = prepare_wiki(folder, passages, chars, offline)
    left_out = ", ".join(f"{why}: {count:,}" for why, count in found["skipped"].items()) or "nothing"
    say(f"{folder}: {passages:,} passages (left out: {left_out})")
    if json:
        options.print_json({"path": str(folder), **found})
