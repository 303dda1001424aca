"""`ragcun data pydocs`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.output import Format, print_table


def pydocs(
    output: Annotated[Path, typer.Argument(help="Output folder of the collection.", file_okay=False, writable=True)],
    documents: Annotated[
        int | None,
        typer.Option(min=10, help="Maximum number of documents, which are drawn at random.", show_default="all"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the sample.")] = 0,
    max_words: Annotated[int, typer.Option(min=12, help="Maximum number of words per document.")] = 100,
    form: Format = "terminal",
    json: options.Json = False,
) -> None:
    """Make a collection with train, dev and test splits from Python's own documentation.

    The documents come from the docstrings of the standard library and the topics of `help()`. A query is the first
    sentence of a docstring or paragraph; its relevant document is the text that follows. The same version of Python
    always gives the same collection.
    """
    from ragcun.data.pydocs import pydocs_collection
    from ragcun.files import read_json
    from ragcun.table import Column, Note, Table, cells, count

    folder = pydocs_collection(output, documents, seed, max_words)
    source = read_json(folder / "source.json")
    rows = [cells(split, len(source["parts"][split]), queries) for split, queries in source["splits"].items()]
    columns = [Column("split"), Column("modules and topics", count), Column("queries", count)]
    note = Note(f"{source['python']}, fingerprint {source['fingerprint'][:16]}")
    print_table(Table(str(folder), columns, [rows], [note], "pydocs"), form)
    if json:
        keys = ("documents", "queries", "splits", "python", "fingerprint")
        options.print_json({"path": str(folder), **{key: source[key] for key in keys}})
