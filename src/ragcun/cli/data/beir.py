"""`ragcun data beir`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ragcun.cli import options
from ragcun.errors import Failure, exit_code

if TYPE_CHECKING:
    from ragcun.data.benchmark import Dataset


def beir(
    names: Annotated[list[str], typer.Argument(help="Datasets, or all, public, small, nanobeir; or ls to list them.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the datasets. (default: beir in the cache)", file_okay=False)
    ] = None,
    source: Annotated[
        Literal["hub", "zip"] | None,
        typer.Option("--from", help="BeIR/NAME on the hub, or BEIR's zip archives.", show_default="hub if it is there"),
    ] = None,
    offline: options.Offline = False,
    json: options.Json = False,
) -> None:
    """Download BEIR's datasets, which `eval beir` also does by itself; `ls` lists them (`--json`: all that is known).

    A dataset that fails is reported, and the rest goes on.
    """
    from ragcun.console import warn_of
    from ragcun.data.beir import beir_folder, prepare_dataset
    from ragcun.data.benchmark import datasets, select_datasets

    folder = data_dir or beir_folder()
    if names == ["ls"]:
        _list(list(datasets().values()), folder, json)
        return
    done, failures = [], []
    for dataset in select_datasets(names):
        try:
            path = prepare_dataset(dataset, folder, source, offline)
        except Exception as error:  # whatever it is, the rest goes on
            failures.append(Failure.of(dataset.name, error))
            warn_of(failures[-1])
        else:
            done.append({"dataset": dataset.name, "path": str(path)})
    if json:
        options.print_json({"datasets": done, "failures": [failure.to_json() for failure in failures]})
    raise typer.Exit(exit_code(failures, done=bool(done)))


def _list(found: "list[Dataset]", folder: Path, json: bool) -> None:
    from rich.table import Table

    from ragcun.console import console
    from ragcun.data.benchmark import present

    table = Table("dataset", "split", "documents", "queries", "qrels", "from", "here")
    for column in table.columns[2:5]:
        column.justify = "right"
    rows: list[dict[str, Any]] = []
    for dataset in found:
        sources = [dataset.hub and "hub", dataset.md5 and "zip", dataset.bring and "its owner"]
        there = present(dataset, folder)
        counts = (dataset.documents, dataset.queries, dataset.judgements)
        table.add_row(
            dataset.name,
            dataset.split,
            *("" if count is None else f"{count:,}" for count in counts),
            ", ".join(source for source in sources if source),
            "yes" if there else "",
        )
        rows.append(dataset.to_json() | {"here": there})
    if json:
        options.print_json({"data_dir": str(folder), "datasets": rows})
    else:
        console.print(table)
