"""`ragcun store`."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ragcun.cli import options
from ragcun.errors import RagcunError, UserError

app = typer.Typer(help="Look after stored base embeddings.", no_args_is_help=True)


@app.command("ls")
def ls(store: options.Store = None, json: options.Json = False) -> None:
    """List the stores: what made them, how many texts, how large, when last used."""
    from ragcun.embedding.store import describe_stores

    rows = describe_stores(options.store_folder(store))
    if json:
        options.print_json({"stores": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("store", "base", "prompt", "length", "precision", "texts", "d", "MiB", "last used", box=None)
    for row in rows:
        table.add_row(
            row["store"],
            *_made_by(row["key"]),
            f"{row['texts']:,}",
            str(row["dimension"] or "-"),
            f"{row['bytes'] / 2**20:,.1f}",
            datetime.fromtimestamp(row["last_used"], UTC).strftime("%Y-%m-%d %H:%M"),
        )
    Console(emoji=False, markup=False).print(table if rows else f"no stores in {options.store_folder(store)}")


def _made_by(key: dict[str, Any]) -> tuple[str, str, str, str]:
    """Base, prompt, length and precision; of an API's vectors, the model and where it is."""
    if "api" in key:
        dimensions = "" if key["dimensions"] is None else f"@{key['dimensions']}"
        return f"{key['model']}{dimensions} at {key['api']}", "-", "-", "-"
    base = key["modules"][0]
    name = str(base.get("architecture", {}).get("model_type", base["type"]))
    return name, repr(key["prompt"]), str(key["max_length"]), key["precision"]


@app.command("verify")
def verify(
    store: options.Store = None,
    repair: Annotated[bool, typer.Option("--repair", help="Remove damaged shards; they are encoded anew.")] = False,
) -> None:
    """Compare the checksum of every shard with its bytes. Exit code 1 where any is damaged."""
    from ragcun.console import say
    from ragcun.embedding.store import verify_store

    root = options.store_folder(store)
    damaged = [path for key in sorted(root.glob("*/key.json")) for path in verify_store(key.parent)]
    for path in damaged:
        say(f"damaged: {path}")
        if repair:
            path.unlink()
    if damaged and not repair:
        raise RagcunError(f"{root}: {len(damaged)} damaged shards; `ragcun store verify --repair` removes them")
    say(f"{root}: {len(list(root.glob('*/key.json')))} stores, {len(damaged)} damaged shards")


@app.command("prune")
def prune(
    unused_for: Annotated[
        float | None, typer.Option("--unused-for", help="Remove stores not used for so many days.")
    ] = None,
    name: Annotated[list[str] | None, typer.Option("--name", help="Remove this store. May be repeated.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed.")] = False,
    store: options.Store = None,
) -> None:
    """Remove stores. What was in them is encoded again when it is needed."""
    import shutil

    from ragcun.console import say
    from ragcun.embedding.store import describe_stores, unused_since

    if unused_for is None and not name:
        raise UserError("store prune: say which, by --unused-for DAYS or --name STORE")
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
