"""`ragcun eval beir`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.completion import complete
from ragcun.cli.completion import datasets as names_of_datasets
from ragcun.cli.evaluate.scoring import Scoring, score, with_scoring


@with_scoring
def beir(
    datasets: Annotated[
        str,
        typer.Option(
            help="BEIR's datasets, CQADupStack's forums or folders in DATA_DIR, separated by commas; or all, public, "
            "small, nanobeir.",
            autocompletion=complete(names_of_datasets),
        ),
    ],
    scoring: Scoring,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of collections in BEIR's layout.", file_okay=False, show_default="beir in the cache"),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split whose queries are asked.", show_default="the dataset's own; test")
    ] = None,
    offline: options.Offline = False,
) -> None:
    """Score retrievers on BEIR: nDCG, MRR, recall, MAP and precision.

    Datasets that are not in DATA_DIR are downloaded; ragcun data beir ls lists them. Runs (TREC format) and scores of
    each query are kept in OUTPUT. What is there and unchanged is not computed again. A dataset that fails is reported,
    the rest goes on, and the exit code is 1.
    """
    from ragcun.evaluation.tasks import choose

    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # models come from the cache, too
    chosen = choose([name.strip() for name in datasets.split(",") if name.strip()], data_dir)
    score(scoring, chosen, split, data_dir, offline)
