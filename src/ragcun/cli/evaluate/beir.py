"""`ragcun eval beir`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.evaluate import api_options, scoring, search_options, together


def beir(
    datasets: Annotated[
        str,
        typer.Option(help="BEIR's datasets or folders in DATA_DIR, separated by commas; all, public, small, nanobeir."),
    ],
    model: scoring.Model,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of collections in BEIR's layout. (default: beir in the cache)", file_okay=False),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Whose queries are asked.", show_default="the dataset's own; test")
    ] = None,
    output: scoring.Output = scoring.RESULTS,
    max_length: scoring.MaxLength = None,
    precision: scoring.Precision = "fp32",
    device: scoring.Device = None,
    on_error: scoring.OnError = "refuse",
    memory: search_options.Memory = None,
    index: search_options.Index = "exact",
    openai_base_url: api_options.OpenAIBaseUrl = None,
    max_cost: api_options.MaxCost = None,
    yes: api_options.Yes = False,
    store: options.Store = None,
    offline: options.Offline = False,
    json: options.Json = False,
) -> None:
    """Score retrievers on BEIR: nDCG, MRR, recall, MAP and precision.

    Datasets that are not in DATA_DIR are downloaded; ragcun data beir ls lists them. Runs (TREC format) and scores of
    each query are kept in OUTPUT. What is there and unchanged is not computed again. A dataset that fails is reported,
    the rest goes on, and the exit code is 1.
    """
    from ragcun.data.beir import beir_folder
    from ragcun.distributed import first_process_first
    from ragcun.errors import Failure
    from ragcun.evaluation.beir import evaluate_tasks, identify_all
    from ragcun.evaluation.tasks import choose, open_tasks
    from ragcun.retrieval.retrievers import RetrieverOptions

    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # models come from the cache, too
    folder = data_dir or beir_folder()
    api = api_options.api(openai_base_url, max_cost, yes)
    search = search_options.search(memory, index)
    encoding = RetrieverOptions(options.store_folder(store), precision, max_length, device, **search, **api)
    chosen = choose([name.strip() for name in datasets.split(",") if name.strip()], folder)
    failures: list[Failure] = []
    of_models = None if together.several() else failures
    with together.together(output) as own_output:
        with first_process_first():
            models = identify_all(model, encoding, of_models)
            tasks, not_opened = open_tasks(chosen if models else [], split, on_error, folder, offline)
            failures += not_opened
        results = evaluate_tasks(models, tasks, own_output, encoding, of_models)
        scoring.tell(results, failures, own_output, json)
