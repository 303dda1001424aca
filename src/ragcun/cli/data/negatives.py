"""`ragcun data negatives`, and its options, which `data pairs` has too."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ragcun.cli import options

if TYPE_CHECKING:
    from ragcun.mining.negatives import Mining

Source = Literal["random", "bm25", "dense"]
Model = Annotated[str | None, typer.Option("--negatives-model", help="The encoder that mines dense ones.")]
Count = Annotated[int, typer.Option("--negatives-per-pair", min=1, help="How many a pair gets.")]
Percentage = Annotated[
    float,
    typer.Option("--percentage", min=0.01, max=1, help="Of the positive's score that a mined negative may reach."),
]
Depth = Annotated[int, typer.Option("--depth", min=1, help="How many documents are retrieved to mine from.")]
Skip = Annotated[int, typer.Option("--skip", min=0, help="How many of the best are passed over.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Everything random follows from it.")]
OnError = Annotated[
    Literal["refuse", "skip"], typer.Option("--on-error", help="Malformed rows: refuse, or skip and count.")
]


def mining_of(source: Source, model: str | None, count: int, percentage: float, depth: int, skip: int) -> "Mining":
    """What the options ask for."""
    from ragcun.mining.negatives import Filter, Mining

    return Mining(source, model, count, Filter(depth, skip, percentage))


def negatives(
    pairs: Annotated[Path, typer.Argument(help="Pairs file, or a collection's folder.")],
    output: Annotated[Path, typer.Option(help="The pairs with negatives, JSON Lines.", dir_okay=False)],
    negatives: Annotated[Source, typer.Option(help="Where negatives come from.")] = "bm25",
    negatives_model: Model = None,
    negatives_per_pair: Count = 1,
    percentage: Percentage = 0.95,
    depth: Depth = 100,
    skip: Skip = 0,
    split: Annotated[str, typer.Option(help="Of a collection: whose judgements are the pairs.")] = "train",
    seed: Seed = 0,
    on_error: OnError = "refuse",
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Mine hard negatives for pairs: documents that rank high for the query and are probably not relevant.

    They are sought among the file's own documents, or a collection's whole corpus, and take the place of negatives
    that the pairs had.
    """
    from ragcun.console import say
    from ragcun.mining.negatives import write_negatives
    from ragcun.retrieval.retrievers import RetrieverOptions

    mining = mining_of(negatives, negatives_model, negatives_per_pair, percentage, depth, skip)
    found = write_negatives(pairs, split, output, mining, seed, RetrieverOptions(options.store_folder(store)), on_error)
    say(f"{output}: {found['pairs']:,} pairs")
    if json:
        options.print_json(found)
