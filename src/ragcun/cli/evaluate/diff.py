"""`ragcun eval diff`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options, output
from ragcun.cli.completion import complete, measures
from ragcun.errors import UserError


def diff(
    a: Annotated[
        Path, typer.Argument(help="First result, as a result.json, the folder of one, or a folder of results.")
    ],
    b: Annotated[Path, typer.Argument(help="Second result, in one of the same forms.")],
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Dataset to explain, if a folder has results on several datasets.", show_default="the only one"
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Split to explain, if a folder has results on several splits.", show_default="the only one"),
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric to explain.", autocompletion=complete(measures))] = "nDCG@10",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Collection of the results, which --rerun and the check of tied scores need.",
            file_okay=False,
            exists=True,
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--rerun", help="Evaluate A again with one factor of B at a time, until the cause is found."),
    ] = False,
    device: options.Device = None,
    store: options.Store = None,
    form: output.Format = "terminal",
    json: options.Json = False,
) -> None:
    """Explain why two scores on one dataset differ.

    The command compares what the two results record about the model, dtype, prompts, maximum length, split, data,
    package versions and hardware. With --rerun, A is evaluated again, first unchanged, then with one factor of B at a
    time, then with several, until its score equals B's.
    """
    from ragcun.data.collection import Collection
    from ragcun.evaluation.diff import explain, find_result, rerun
    from ragcun.evaluation.tables import difference_table
    from ragcun.retrieval.retrievers import RetrieverOptions

    if again and data is None:
        raise UserError("--rerun: needs the collection of the results; give its folder with --data")
    ours, theirs = find_result(a, dataset, split), find_result(b, dataset, split)
    collection = None if data is None else Collection.open(data, "skip", ours.dataset)
    found = explain(ours, theirs, metric, collection)
    if again and collection is not None and not found.same:
        encoding = RetrieverOptions(options.store_folder(store), device=device)
        found = rerun(found, ours, theirs, collection, encoding)
    output.print_table(difference_table(found), form)
    if json:
        options.print_json(found.to_json())
