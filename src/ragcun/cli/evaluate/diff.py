"""`ragcun eval diff`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options, output
from ragcun.cli.completion import complete, measures
from ragcun.errors import UserError


def diff(
    a: Annotated[Path, typer.Argument(help="A result.json, the folder of a cell, or a folder of results.")],
    b: Annotated[Path, typer.Argument(help="The other one.")],
    dataset: Annotated[
        str | None, typer.Option(help="Dataset, where a folder has results on several.", show_default="the only one")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split, where a folder has several.")] = None,
    metric: Annotated[str, typer.Option(help="Metric to explain.", autocompletion=complete(measures))] = "nDCG@10",
    data: Annotated[
        Path | None,
        typer.Option(
            help="The collection; needed to rerun, and to see what ties can do.", file_okay=False, exists=True
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--rerun", help="Evaluate A again with one factor of B at a time until the cause is named.")
    ] = False,
    device: options.Device = None,
    store: options.Store = None,
    form: output.Format = "terminal",
    json: options.Json = False,
) -> None:
    """Explain why two scores on one dataset differ.

    Compares what the two results say of model, dtype, prompts, length, split, data, versions and hardware. With
    --rerun, A is evaluated again, then with one factor of B at a time, then with several, until it scores as B does.
    """
    from ragcun.data.collection import Collection
    from ragcun.evaluation.diff import explain, find_result, rerun
    from ragcun.evaluation.tables import difference_table
    from ragcun.retrieval.retrievers import RetrieverOptions

    if again and data is None:
        raise UserError("--rerun: needs --data, the collection that the results are of")
    ours, theirs = find_result(a, dataset, split), find_result(b, dataset, split)
    collection = None if data is None else Collection.open(data, "skip", ours.dataset)
    found = explain(ours, theirs, metric, collection)
    if again and collection is not None and not found.same:
        encoding = RetrieverOptions(options.store_folder(store), device=device)
        found = rerun(found, ours, theirs, collection, encoding)
    output.print_table(difference_table(found), form)
    if json:
        options.print_json(found.to_json())
