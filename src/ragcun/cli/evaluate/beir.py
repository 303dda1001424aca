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
            help="Datasets to evaluate on, separated by commas: BEIR's names, CQADupStack's forums, folders in "
            "--data-dir, irds:ID of ir_datasets, or a group: all, public, small or nanobeir.",
            autocompletion=complete(names_of_datasets),
        ),
    ],
    scoring: Scoring,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of collections in BEIR's layout.", file_okay=False, show_default="beir in the cache"),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split of queries to evaluate on.", show_default="the dataset's own; test for other collections"
        ),
    ] = None,
    offline: options.Offline = False,
) -> None:
    """Score retrievers on BEIR: nDCG, MRR, recall, MAP and precision.

    Datasets that are missing from --data-dir are downloaded; `ragcun data beir ls` lists them. The runs (in TREC's
    format) and the scores of each query are saved in --output and reused as long as model, data and settings are the
    same. If a dataset fails, the error is reported, the other datasets are still evaluated, and the exit code is 1.
    """
    from ragcun.evaluation.tasks import choose

    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # models are read from the cache, too
    chosen = choose([name.strip() for name in datasets.split(",") if name.strip()], data_dir)
    score(scoring, chosen, split, data_dir, offline)
