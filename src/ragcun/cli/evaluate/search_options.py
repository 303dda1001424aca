"""Options of all commands that search by vectors."""

from typing import Annotated, Literal, TypedDict

import typer

_PANEL = "Search"

Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        help="What the process may hold while it searches. (default: 4GiB more than before)",
        metavar="SIZE",
        rich_help_panel=_PANEL,
    ),
]
Index = Annotated[
    Literal["exact", "hnsw", "ivfpq"],
    typer.Option(
        "--index", help="Exact search, or FAISS' approximate one, whose recall is told.", rich_help_panel=_PANEL
    ),
]


class Search(TypedDict):
    """The part of an `RetrieverOptions` that these options determine."""

    memory: int | None
    index: Literal["exact", "hnsw", "ivfpq"]


def search(memory: str | None, index: Literal["exact", "hnsw", "ivfpq"]) -> Search:
    """What the options say."""
    from ragcun.retrieval.memory import parse_memory

    return {"memory": None if memory is None else parse_memory(memory), "index": index}
