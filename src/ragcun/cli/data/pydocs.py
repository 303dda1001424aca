"""`ragcun data pydocs`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options


def pydocs(
    output: Annotated[Path, typer.Argument(help="Folder of the collection to write.", file_okay=False)],
    documents: Annotated[
        int | None, typer.Option(min=10, help="How many documents to sample at most; all by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which documents are sampled follows from it.")] = 0,
    max_words: Annotated[int, typer.Option(min=12, help="Words a document is cut to.")] = 100,
    json: options.Json = False,
) -> None:
    """Write a collection with train, dev and test splits from the docstrings of the installed packages.

    A query is a docstring's summary, its document what follows. Read are the standard library and what ragcun
    requires, without importing any of it. The same packages give the same collection.
    """
    from rich.table import Table

    from ragcun.console import console
    from ragcun.data.pydocs import pydocs_collection
    from ragcun.files import read_json

    folder = pydocs_collection(output, documents, seed, max_words)
    source = read_json(folder / "source.json")
    table = Table(
        "split", "packages", "queries", title=str(folder), caption=f"fingerprint {source['fingerprint'][:16]}"
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for split, queries in source["splits"].items():
        packages = sum(package["split"] == split for package in source["packages"])
        table.add_row(split, f"{packages:,}", f"{queries:,}")
    console.print(table)
    if json:
        keys = ("documents", "queries", "splits", "fingerprint")
        options.print_json({"path": str(folder), **{key: source[key] for key in keys}})
