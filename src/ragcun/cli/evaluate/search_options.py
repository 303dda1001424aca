"""Options of all commands that search by vectors."""

from typing import Annotated

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


def memory_bytes(memory: str | None) -> int | None:
    """What `--memory` says, in bytes."""
    from ragcun.retrieval.memory import parse_memory

    return None if memory is None else parse_memory(memory)
