"""`ragcun eval beir` and `ragcun eval collection`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.completion import complete
from ragcun.cli.completion import datasets as names_of_datasets
from ragcun.cli.evaluate.scoring import Scoring, score, tell, with_scoring
from ragcun.cli.output import Format


@with_scoring
def beir(
    datasets: Annotated[
        str,
        typer.Option(
            help=f"Datasets to evaluate on, separated by commas: {options.DATASETS}",
            autocompletion=complete(names_of_datasets),
        ),
    ],
    scoring: Scoring,
    data_dir: options.DataDir = None,
    split: options.Split = None,
    form: Format = "terminal",
) -> None:
    """Score retrievers on BEIR: nDCG, MRR, recall, MAP and precision.

    Datasets that are missing from --data-dir are downloaded; `ragcun data beir ls` lists them. The runs (in TREC's
    format) and the scores of each query are saved in --output and reused as long as model, data and settings are the
    same. If a dataset fails, the error is reported, the other datasets are still evaluated, and the exit code is 1.
    """
    from ragcun.evaluation.tasks import choose

    chosen = choose([name.strip() for name in datasets.split(",") if name.strip()], data_dir)
    score(scoring, chosen, split, data_dir, show=partial(tell, form=form))


@with_scoring
def collection(
    folders: Annotated[list[Path], typer.Argument(help="Collections in BEIR's layout.", metavar="FOLDER...")],
    scoring: Scoring,
    split: Annotated[str, typer.Option(help="Split of queries to evaluate on.")] = "test",
    form: Format = "terminal",
) -> None:
    """Score retrievers on your own collections, in the same way as `ragcun eval beir`.

    A folder is what it holds, whatever its name: its counts are not compared with those of a dataset of BEIR.
    """
    score(scoring, dict.fromkeys(folders), split, show=partial(tell, form=form))
