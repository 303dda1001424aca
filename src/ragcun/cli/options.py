"""Options that several commands share. Options of settings are generated from the schema in `settings_flags`."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO, cast

import typer

from ragcun.cli.completion import complete, datasets, grid, presets, runtimes

Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        "-p",
        help="Preset to start from: demo, prototype, medium or hybrid.",
        autocompletion=complete(presets),
    ),
]
Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML file of settings; they override the preset's.", dir_okay=False),
]


def _store(exists: bool) -> Any:
    return typer.Option(
        "--store",
        help="Folder of stored base embeddings.",
        show_default="store in the cache",
        file_okay=False,
        exists=exists,
    )


Store = Annotated[Path | None, _store(exists=False)]
StoreThere = Annotated[Path | None, _store(exists=True)]
Experiment = Annotated[
    Path | None,
    typer.Option(
        "--output-dir",
        "-o",
        help="Folder of the experiment.",
        show_default="experiments/PRESET",
        file_okay=False,
        writable=True,
    ),
]


DATASETS = (
    "BEIR's names, CQADupStack's forums, folders of collections in BEIR's layout (in --data-dir or by their path), "
    "irds:ID of ir_datasets, or all, public, small or nanobeir."
)
Datasets = Annotated[
    list[str],
    typer.Argument(help=f"Datasets: {DATASETS}", metavar="DATASET...", autocompletion=complete(datasets)),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Folder of collections in BEIR's layout.", file_okay=False, show_default="beir in the cache"
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="Split of queries to evaluate on.",
        show_default="the dataset's own; test for other collections",
    ),
]
GRID = typer.Option(
    "--grid",
    autocompletion=complete(grid),
    help="Values of a setting to compare, as NAME=VALUE,VALUE,...; may be repeated.",
    metavar="NAME=VALUES",
)
Seeds = Annotated[
    int, typer.Option("--seeds", min=1, help="Number of trainings for each setting of the grid, with seeds 0, 1, ...")
]


class _ForTheResult:
    """Standard output that is reserved for the result. Whatever libraries print, also while the process ends, goes to
    standard error."""

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
MaxLength = Annotated[
    int | None, typer.Option(min=1, help="Maximum number of tokens of a text.", show_default="the model's own")
]
Precision = Annotated[Literal["fp32", "bf16", "fp16"], typer.Option(help="Precision of the encoder.")]


def _device(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(r"cpu|(cuda|mps|xpu|npu|hpu)(:[0-9]{1,4})?", name):
        raise typer.BadParameter(f"{name!r} is not a device; give cpu, cuda, cuda:N or mps")
    return name


Device = Annotated[
    str | None,
    typer.Option(
        help="Device to compute on: cpu, cuda or mps.",
        show_default="the fastest",
        callback=_device,
        autocompletion=complete(("cpu", "cuda", "mps")),
    ),
]


def _runtime(name: str) -> str:
    from ragcun.embedding.runtimes import check_runtime

    return check_runtime(name)


Runtime = Annotated[
    str,
    typer.Option(
        help="Runtime used to encode with the base; auto is the fastest one that supports it.",
        autocompletion=complete(runtimes),
        callback=_runtime,
    ),
]
OnError = Annotated[
    Literal["refuse", "skip"], typer.Option(help="Refuse data with malformed rows, or skip and count these rows.")
]


def _offline(asked: bool) -> bool:
    if asked:
        os.environ["HF_HUB_OFFLINE"] = "1"  # which huggingface_hub reads when it is imported, for models and datasets
    return asked


Offline = Annotated[
    bool, typer.Option("--offline", help="Use only the local cache, without network access.", callback=_offline)
]


def store_folder(given: Path | None) -> Path:
    """Return the folder of stored base embeddings."""
    from ragcun.files import ragcun_cache

    return given if given is not None else ragcun_cache() / "store"


def print_json(value: Any) -> None:
    """Print a command's result on standard output."""
    from ragcun.printable import json_text

    typer.echo(json_text(value), file=getattr(sys.stdout, "result", sys.stdout))
