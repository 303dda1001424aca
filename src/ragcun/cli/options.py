"""Options that several commands share, and where they go in the settings."""

import sys
from pathlib import Path
from typing import Annotated, Any, TextIO, cast

import typer

Preset = Annotated[str | None, typer.Option("--preset", "-p", help="demo, prototype, medium or hybrid.")]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="TOML file of settings.", dir_okay=False)]
Store = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of stored base embeddings. (default: store in the cache)", file_okay=False),
]


class _ForTheResult:
    """Standard output kept for the result: what libraries print, also as the process ends, goes to standard error."""

    def __init__(self, result: TextIO) -> None:
        self.result = result

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


def _keep_for_the_result(json: bool) -> bool:
    if json:
        sys.stdout = cast(TextIO, _ForTheResult(sys.stdout))
    return json


Json = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON on standard output.", callback=_keep_for_the_result),
]
Offline = Annotated[bool, typer.Option("--offline", help="Take what is in the local cache; no network.")]
TrainData = Annotated[
    str | None, typer.Option("--train-data", help="Pairs file or collection's folder (its train split).")
]
ValData = Annotated[
    str | None,
    typer.Option("--val-data", help="Pairs file or collection's folder (its dev split).", show_default="train's dev"),
]
BaseModel = Annotated[str | None, typer.Option("--base-model", help="Hub id or folder of the base.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Everything random follows from it.")]
OnError = Annotated[
    str | None, typer.Option("--on-error", help="Malformed rows: refuse, or skip and count.", metavar="refuse|skip")
]


def store_folder(given: Path | None) -> Path:
    """The folder of stored base embeddings."""
    from ragcun.files import ragcun_cache

    return given if given is not None else ragcun_cache() / "store"


def print_json(value: Any) -> None:
    """Print a command's result on standard output."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    typer.echo(text, file=getattr(sys.stdout, "result", sys.stdout))
