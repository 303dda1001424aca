"""`ragcun data beir`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ragcun.cli import options
from ragcun.cli.completion import complete
from ragcun.cli.completion import datasets as datasets_
from ragcun.cli.output import Format, print_table
from ragcun.errors import Failure, exit_code

if TYPE_CHECKING:
    from ragcun.data.benchmark import Dataset


def beir(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Names of datasets, or all, public, small or nanobeir; or ls, to list them.",
            autocompletion=complete(datasets_),
        ),
    ],
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the datasets.", file_okay=False, show_default="beir in the cache")
    ] = None,
    source: Annotated[
        Literal["hub", "zip"] | None,
        typer.Option(
            "--from",
            help="Source of the download: BeIR/NAME on the hub, or BEIR's zip archives.",
            show_default="the hub where it has the dataset",
        ),
    ] = None,
    offline: options.Offline = False,
    form: Format = "terminal",
    json: options.Json = False,
) -> None:
    """Download BEIR's datasets, or list them with `ragcun data beir ls`.

    This is optional, because `ragcun eval beir` downloads missing datasets. If a download fails, the error is reported
    and the other datasets are still downloaded.
    """
    from ragcun.console import warn_of
    from ragcun.data.beir import beir_folder, prepare_dataset
    from ragcun.data.benchmark import datasets, select_datasets

    folder = data_dir or beir_folder()
    if names == ["ls"]:
        _list(list(datasets().values()), folder, form, json)
        return
    done, failures = [], []
    for dataset in select_datasets(names):
        try:
            path = prepare_dataset(dataset, folder, source, offline)
        except Exception as error:  # the other datasets are still downloaded
            failures.append(Failure.of(dataset.name, error))
            warn_of(failures[-1])
        else:
            done.append({"dataset": dataset.name, "path": str(path)})
    if json:
        options.print_json({"datasets": done, "failures": [failure.to_json() for failure in failures]})
    raise typer.Exit(exit_code(failures, done=bool(done)))


def _list(found: "list[Dataset]", folder: Path, form: str, json: bool) -> None:
    from ragcun.data.benchmark import present
    from ragcun.table import Column, Table, cells, count

    there = {dataset.name: present(dataset, folder) for dataset in found}
    if json:
        rows = [dataset.to_json() | {"here": there[dataset.name]} for dataset in found]
        options.print_json({"data_dir": str(folder), "datasets": rows})
        return
    columns = [Column("dataset"), Column("split"), Column("documents", count), Column("queries", count)]
    columns += [Column("qrels", count), Column("from"), Column("here")]
    lines = [
        cells(
            one.name,
            one.split,
            one.documents,
            one.queries,
            one.judgements,
            ", ".join(filter(None, (one.hub and "hub", one.md5 and "zip", one.bring and "its owner"))),
            "yes" if there[one.name] else "",
        )
        for one in found
    ]
    print_table(Table("", columns, [lines], [], "datasets"), form)
