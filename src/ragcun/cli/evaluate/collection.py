"""`ragcun eval collection`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.evaluate import api_options, scoring, search_options, together


def collection(
    folders: Annotated[list[Path], typer.Argument(help="Collections in BEIR's layout.")],
    model: scoring.Model,
    split: Annotated[str, typer.Option(help="Whose queries are asked.")] = "test",
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
    json: options.Json = False,
) -> None:
    """Score retrievers on collections of one's own, as `eval beir` does on the benchmark's."""
    from ragcun.distributed import first_process_first
    from ragcun.errors import Failure
    from ragcun.evaluation.beir import evaluate_tasks, identify_all
    from ragcun.evaluation.tasks import open_tasks
    from ragcun.retrieval.retrievers import RetrieverOptions

    api = api_options.api(openai_base_url, max_cost, yes)
    search = search_options.search(memory, index)
    encoding = RetrieverOptions(options.store_folder(store), precision, max_length, device, **search, **api)
    failures: list[Failure] = []
    of_models = None if together.several() else failures
    with together.together(output) as own_output:
        with first_process_first():
            models = identify_all(model, encoding, of_models)
            tasks, not_opened = open_tasks(dict.fromkeys(folders) if models else [], split, on_error)
            failures += not_opened
        results = evaluate_tasks(models, tasks, own_output, encoding, of_models)
        scoring.tell(results, failures, own_output, json)
