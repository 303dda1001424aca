"""`ragcun data negatives`, and the options that it shares with `data pairs`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ragcun.cli import options
from ragcun.cli.completion import bases, complete

if TYPE_CHECKING:
    from ragcun.mining.negatives import Mining

Source = Literal["random", "bm25", "dense"]
Model = Annotated[
    str | None,
    typer.Option("--negatives-model", help="Encoder that retrieves dense negatives.", autocompletion=complete(bases)),
]
Count = Annotated[int, typer.Option("--negatives-per-pair", min=1, help="Maximum number of negatives per pair.")]
Percentage = Annotated[
    float,
    typer.Option(
        "--percentage", min=0.01, max=1, help="Maximum score of a negative, as a fraction of the positive's score."
    ),
]
Depth = Annotated[int, typer.Option("--depth", min=1, help="Number of documents to retrieve per query.")]
Skip = Annotated[int, typer.Option("--skip", min=0, help="Number of top-ranked documents to skip.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Random seed of the sample.")]


def mining_of(source: Source, model: str | None, count: int, percentage: float, depth: int, skip: int) -> "Mining":
    """Make the mining settings of the options."""
    from ragcun.mining.negatives import Filter, Mining

    return Mining(source, model, count, Filter(depth, skip, percentage))


def negatives(
    pairs: Annotated[Path, typer.Argument(help="File of training pairs, or the folder of a collection.")],
    output: Annotated[
        Path,
        typer.Option(
            help="Output file in JSON Lines for the pairs with their negatives.", dir_okay=False, writable=True
        ),
    ],
    negatives: Annotated[Source, typer.Option(help="How hard negatives are found.")] = "bm25",
    negatives_model: Model = None,
    negatives_per_pair: Count = 1,
    percentage: Percentage = 0.95,
    depth: Depth = 100,
    skip: Skip = 0,
    split: Annotated[
        str | None,
        typer.Option(help="Split of the collection whose relevance judgements become pairs.", show_default="train"),
    ] = None,
    seed: Seed = 0,
    on_error: options.OnError = "refuse",
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Mine hard negatives: documents that rank high for a query but are probably not relevant to it.

    Negatives are retrieved from the documents of the file, or from the whole corpus of a collection. They replace any
    negatives that the pairs already have.
    """
    from ragcun.console import say
    from ragcun.errors import UserError
    from ragcun.mining.negatives import write_negatives
    from ragcun.retrieval.retrievers import RetrieverOptions

    if split is not None and pairs.is_file():
        raise UserError(f"--split {split}: {pairs} is a file of pairs; only a collection has splits")
    mining = mining_of(negatives, negatives_model, negatives_per_pair, percentage, depth, skip)
    found = write_negatives(
        pairs, split or "train", output, mining, seed, RetrieverOptions(options.store_folder(store)), on_error
    )
    say(f"{output}: {found['pairs']:,} pairs")
    if json:
        options.print_json(found)
