"""`ragcun eval beir`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ragcun.cli import options
from ragcun.cli.evaluate import api_options
from ragcun.cli.evaluate.table import print_results


def beir(
    datasets: Annotated[str, typer.Option(help="Collections in DATA_DIR, separated by commas, or all.")],
    data_dir: Annotated[Path, typer.Option(help="Folder of collections in BEIR's layout.")],
    model: Annotated[
        list[str],
        typer.Option(
            "--model", help="bm25, minilm, contriever, a hub id, a folder, openai:MODEL, rrf:A+B; may be repeated."
        ),
    ],
    split: Annotated[str, typer.Option(help="Whose queries are asked.")] = "test",
    output: Annotated[Path, typer.Option(help="Folder for runs and scores.", file_okay=False)] = Path("results"),
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Tokens a text is cut to; the model's own limit by default.")
    ] = None,
    precision: Annotated[Literal["fp32", "bf16", "fp16"], typer.Option(help="Precision of the encoder.")] = "fp32",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps; the fastest by default.")] = None,
    on_error: Annotated[
        Literal["refuse", "skip"], typer.Option(help="Malformed rows of a collection: refuse, or skip and count.")
    ] = "refuse",
    openai_base_url: api_options.OpenAIBaseUrl = None,
    max_cost: api_options.MaxCost = None,
    yes: api_options.Yes = False,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Score retrievers on collections in BEIR's layout: nDCG@10, MRR@10, Recall@100, MAP@100.

    Runs (TREC format) and scores of each query are kept in OUTPUT. What is there and unchanged is not computed again.
    """
    from ragcun.console import say
    from ragcun.evaluation.beir import evaluate, find_datasets
    from ragcun.retrieval.retrievers import Encoding

    names = [name.strip() for name in datasets.split(",") if name.strip()]
    api = api_options.api(openai_base_url, max_cost, yes)
    encoding = Encoding(options.store_folder(store), precision, max_length, device, **api)
    results = evaluate(model, find_datasets(names, data_dir, split), output, encoding, split, on_error)
    print_results(results)
    say(f"runs and scores: {output / 'cells'}")
    if json:
        options.print_json(
            {
                "results": [
                    {
                        "model": result.model,
                        "dataset": result.dataset,
                        "split": result.split,
                        "metrics": result.metrics,
                        "settings": result.settings,
                        "queries": result.queries,
                        "documents": result.documents,
                        "seconds": result.seconds,
                        "run": str(output / result.run),
                        "scores": str(output / result.scores),
                    }
                    for result in results
                ]
            }
        )
