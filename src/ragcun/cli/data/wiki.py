"""`ragcun data wiki`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options


def wiki(
    passages: Annotated[int, typer.Option(min=1, help="Number of passages to download.")] = 100_000,
    chars: Annotated[int, typer.Option(min=50, help="Maximum number of characters of a passage.")] = 500,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Output folder for the passages.", show_default="data/wiki-PASSAGES", file_okay=False, writable=True
        ),
    ] = None,
    offline: options.Offline = False,
    json: options.Json = False,
) -> None:
    """Download the opening passages of Wikipedia's articles as a corpus without queries (see `ragcun data pairs`).

    The articles come from wikimedia/wikipedia, English, 1 November 2023. Stubs, redirects, disambiguation pages and
    duplicates are left out. Run the same command again to resume an interrupted download.
    """
    from ragcun.console import say
    from ragcun.data.wiki import prepare_wiki

    folder = output if output is not None else Path("data") / f"wiki-{passages}"
    found = prepare_wiki(folder, passages, chars, offline)
    left_out = ", ".join(f"{why}: {count:,}" for why, count in found["skipped"].items()) or "nothing"
    say(f"{folder}: {passages:,} passages (left out: {left_out})")
    if json:
        options.print_json({"path": str(folder), **found})
