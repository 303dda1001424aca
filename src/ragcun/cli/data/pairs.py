"""`ragcun data pairs`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ragcun.cli import options
from ragcun.cli.data import negatives as mining


def pairs(
    documents: Annotated[
        Path,
        typer.Option(
            help="Documents as a file, a folder or a collection: text (one per line), JSONL, JSON, CSV, TSV or Parquet."
        ),
    ],
    output: Annotated[
        Path, typer.Option(help="Output folder for train.jsonl, val.jsonl and test/.", file_okay=False, writable=True)
    ],
    pairs: Annotated[
        int | None,
        typer.Option(min=3, help="Maximum number of pairs, which are drawn at random.", show_default="all"),
    ] = None,
    query: Annotated[
        Literal["first-sentence", "title", "inverse-cloze", "doc2query"],
        typer.Option(help="How queries are made from documents."),
    ] = "first-sentence",
    query_model: Annotated[
        str | None, typer.Option(help="Hub id or folder of the sequence-to-sequence model that doc2query uses.")
    ] = None,
    negatives: Annotated[
        Literal["none", "random", "bm25", "dense"], typer.Option(help="How hard negatives are found.")
    ] = "none",
    negatives_model: mining.Model = None,
    negatives_per_pair: mining.Count = 1,
    percentage: mining.Percentage = 0.95,
    depth: mining.Depth = 100,
    skip: mining.Skip = 0,
    split: Annotated[str, typer.Option(help="Fractions of the pairs for train, val and test.")] = "0.8,0.1,0.1",
    seed: mining.Seed = 0,
    on_error: options.OnError = "refuse",
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Make training pairs from documents without queries, and a collection to test on.

    No query and no document appears in two splits. A folder that is already complete is left unchanged.
    """
    from ragcun.console import say
    from ragcun.errors import UserError
    from ragcun.mining.pairs import PairSettings, prepare_pairs
    from ragcun.retrieval.retrievers import RetrieverOptions

    try:
        train, val, test = (float(share) for share in split.split(","))
    except ValueError:
        raise UserError(f"--split {split}: must be three numbers, such as 0.8,0.1,0.1") from None
    if negatives == "none" and negatives_model is not None:
        raise UserError(f"--negatives-model {negatives_model}: needs --negatives dense, but no negatives are mined")
    mined = None
    if negatives != "none":
        mined = mining.mining_of(negatives, negatives_model, negatives_per_pair, percentage, depth, skip)
    settings = PairSettings(pairs, query, query_model, mined, (train, val, test), seed)
    found = prepare_pairs(documents, output, settings, RetrieverOptions(options.store_folder(store)), on_error)
    counts = ", ".join(f"{count:,} {name}" for name, count in found["pairs"].items())
    left_out = "; ".join(f"{reason}: {count:,}" for reason, count in found["skipped"].items())
    say(f"{output}: {counts}" + (f" (left out: {left_out})" if left_out else ""))
    if json:
        options.print_json(found)
