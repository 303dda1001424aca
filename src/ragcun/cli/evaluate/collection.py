"""`ragcun eval collection`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.evaluate import api_options, scoring


def collection(
    folders: Annotated[list[Path], typer.Argument(help="Collections in BEIR's layout.")],
    model: scoring.Model,
    split: Annotated[str, typer.Option(help="Whose queries are asked.")] = "test",
    output: scoring.Output = scoring.RESULTS,
    max_length: scoring.MaxLength = None,
    precision: scoring.Precision = "fp32",
    device: scoring.Device = None,
    on_error: scoring.OnError = "refuse",
    openai_base_url: api_options.OpenAIBaseUrl = None,
    max_cost: api_options.MaxCost = None,
    yes: api_options.Yes = False,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Score retrievers on collections of one's own, as `eval beir` does on the benchmark's."""
    from ragcun.evaluation.beir import evaluate_tasks, identify_all
    from ragcun.evaluation.tasks import open_tasks
    from ragcun.retrieval.retrievers import Encoding

    api = api_options.api(openai_base_url, max_cost, yes)
    encoding = Encoding(options.store_folder(store), precision, max_length, device, **api)
    models = identify_all(model, encoding)
    tasks, failures = open_tasks(dict.fromkeys(folders), split, on_error)
    results = evaluate_tasks(models, tasks, output, encoding, failures)
    scoring.tell(results, failures, output, json)
