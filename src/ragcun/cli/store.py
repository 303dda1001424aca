"""`ragcun store`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragcun.cli import options
from ragcun.cli.command import Command
from ragcun.cli.output import Format, print_table
from ragcun.errors import RagcunError, UserError

if TYPE_CHECKING:
    from ragcun.table import Table, Value

app = typer.Typer(name="store", no_args_is_help=True)


@app.command("ls", cls=Command)
def ls(store: options.StoreThere = None, form: Format = "terminal", json: options.Json = False) -> None:
    """List the stores with their base, number of texts, size and last use."""
    from ragcun.embedding.store import describe_stores

    rows = describe_stores(options.store_folder(store))
    if json:
        options.print_json({"stores": rows})
        return
    from ragcun.console import say

    if not rows:
        say(f"there are no stores in {options.store_folder(store)}")
    print_table(_table(rows), form)


def _table(rows: Sequence[Mapping[str, Any]]) -> "Table":
    from ragcun.table import Column, Table, cells, count, decimals

    columns = [
        *(Column(name) for name in ("store", "base", "prompt", "length", "precision", "runtime")),
        Column("texts", count),
        Column("d", count),
        Column("MiB", decimals(1, scale=1 / 2**20)),
        Column("last used"),
    ]
    shown = [
        cells(
            row["store"],
            *_made_by(row["key"], row["name"]),
            row["texts"],
            row["dimension"],
            row["bytes"],
            datetime.fromtimestamp(row["last_used"], UTC).strftime("%Y-%m-%d %H:%M"),
        )
        for row in rows
    ]
    return Table("", columns, [shown], label="stores")


def _made_by(key: dict[str, Any] | None, name: str | None) -> "tuple[Value, Value, Value, Value, Value]":
    """Return the base, prompt, maximum length, precision and runtime; for an API, the model with its URL."""
    if key is None:
        return "damaged key, repaired on its next use", None, None, None, None
    if "api" in key:
        dimensions = "" if key["dimensions"] is None else f"@{key['dimensions']}"
        return f"{key['model']}{dimensions} at {key['api']}", None, None, None, None
    modules = list(key["modules"].values()) if isinstance(key["modules"], dict) else key["modules"]
    architectures = (module.get("architecture", {}).get("model_type") for module in modules)
    name = name or str(next(filter(None, architectures), modules[0]["type"]))
    return name, repr(key["prompt"]), str(key["max_length"]), key["precision"], key.get("runtime", "torch")


@app.command("verify", cls=Command)
def verify(
    store: options.StoreThere = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Remove damaged shards; their texts will be encoded again.")
    ] = False,
) -> None:
    """Verify the checksum of every shard. The exit code is 1 if a shard is damaged."""
    from ragcun.console import say
    from ragcun.embedding.store import verify_store

    root = options.store_folder(store)
    damaged = [path for key in sorted(root.glob("*/key.json")) for path in verify_store(key.parent)]
    for path in damaged:
        say(f"damaged: {path}")
        if repair:
            path.unlink()
    if damaged and not repair:
        raise RagcunError(f"{root}: {len(damaged)} shards are damaged; `ragcun store verify --repair` removes them")
    say(f"{root}: {len(list(root.glob('*/key.json')))} stores, {len(damaged)} damaged shards")


@app.command("prune", cls=Command)
def prune(
    unused_for: Annotated[
        float | None,
        typer.Option("--unused-for", min=0, help="Remove the stores that were not used for this number of days."),
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="Remove the store with this name; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the stores that would be removed, without removing them.")
    ] = False,
    store: options.StoreThere = None,
) -> None:
    """Remove stored base embeddings. Their texts will be encoded again when they are needed."""
    import shutil

    from ragcun.console import say
    from ragcun.embedding.store import describe_stores, unused_since

    if unused_for is None and not name:
        raise UserError("store prune: choose stores with --unused-for DAYS or --name STORE")
    root = options.store_folder(store)
    rows = describe_stores(root)
    unknown = set(name or ()) - {row["store"] for row in rows}
    if unknown:
        raise UserError(f"--name {sorted(unknown)[0]}: no such store in {root}; `ragcun store ls` lists them")
    for row in rows:
        if row["store"] in (name or ()) or (unused_for is not None and unused_since(row, unused_for)):
            say(f"{'would remove' if dry_run else 'removed'} {row['store']}: {row['texts']:,} texts")
            if not dry_run:
                shutil.rmtree(root / row["store"])
