"""`ragcun data audit`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options, output
from ragcun.cli.completion import bases, complete, datasets, measures


def audit(
    training: Annotated[
        list[Path], typer.Argument(help="Training data: files of pairs, or collections.", metavar="TRAINING...")
    ],
    test: Annotated[
        list[str],
        typer.Option(
            "--test",
            help=f"Dataset whose queries are looked for; may be repeated: {options.DATASETS}",
            metavar="DATASET",
            autocompletion=complete(datasets),
        ),
    ],
    train_split: Annotated[
        str | None,
        typer.Option(help="Split to read from collections that are given as training data.", show_default="train"),
    ] = None,
    split: options.Split = None,
    data_dir: options.DataDir = None,
    near: Annotated[
        float,
        typer.Option(min=0.2, max=1, help="Minimum Jaccard similarity of word 3-grams of a near duplicate."),
    ] = 0.8,
    model: Annotated[
        str | None,
        typer.Option(
            help="Encoder with which queries are also compared by cosine similarity.",
            metavar="MODEL",
            autocompletion=complete(bases),
        ),
    ] = None,
    close: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum cosine similarity of a close query, with --model.")
    ] = 0.95,
    results: Annotated[
        Path | None,
        typer.Option(
            help="Folder of results to score again without the queries that were found. audit.json is written there, "
            "and becomes a footnote of the tables.",
            exists=True,
            file_okay=False,
            writable=True,
        ),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="Metric to score the results with.", autocompletion=complete(measures))
    ] = "nDCG@10",
    examples: Annotated[int, typer.Option(min=0, help="Number of matches to print for each collection.")] = 0,
    on_error: options.OnError = "refuse",
    offline: options.Offline = False,
    device: options.Device = None,
    store: options.Store = None,
    form: output.Format = "terminal",
    json: options.Json = False,
) -> None:
    """Look for a collection's test queries and relevant documents in training data.

    A match has the same text, nearly the same text (MinHash over word 3-grams) or, with --model, a close embedding.
    With --results, scores are computed again without the queries that were found.
    """
    from ragcun.console import say
    from ragcun.data.pairs import load_pairs
    from ragcun.errors import UserError
    from ragcun.evaluation.audit import AUDIT, audit_table, without_seen, without_table, write_audit
    from ragcun.evaluation.audit import audit as run
    from ragcun.evaluation.results import read_results
    from ragcun.evaluation.tasks import choose, open_all
    from ragcun.retrieval.registry import encoder
    from ragcun.retrieval.retrievers import RetrieverOptions

    found = [] if results is None else read_results(results)
    for one in found:
        if metric not in one.metrics:
            raise UserError(f"--metric {metric!r}: {one.path} has only {', '.join(one.metrics)}")
    encoding = RetrieverOptions(options.store_folder(store), device=device)
    comparing = None if model is None else encoder(model)
    if comparing is not None:
        comparing.identify(encoding)
    elif model is not None:
        raise UserError(f"--model {model}: not an encoder, so that there are no embeddings to compare")
    if train_split is not None and not any(path.is_dir() for path in training):
        raise UserError(f"--train-split {train_split}: plays no part, as no training data is a collection; omit it")
    tasks = open_all(choose(test, data_dir), split, on_error, data_dir, offline)
    pairs = [load_pairs(path, train_split or "train", on_error) for path in training]
    embedder = None if comparing is None else comparing.embedder(encoding)
    audits = [run(pairs, task.collection, task.split, near, embedder, close) for task in tasks]
    output.print_table(audit_table(audits), form)
    for of in audits:
        for match in of.queries[:examples]:
            say(f"{of.dataset} {match.id} ({match.grade}, {match.similarity:.2f}): {match.text!r} / {match.training!r}")
    scores = {}
    if results is not None:
        scores = {of.dataset: without_seen(found, of, metric) for of in audits}
        if any(scores.values()):
            output.print_table(without_table(scores, metric), form)
        write_audit(results / AUDIT, audits, scores, metric)
        say(f"written: {results / AUDIT}")
    if json:
        rows = {dataset: [vars(row) for row in of] for dataset, of in scores.items()}
        options.print_json({"audits": [one.to_json() for one in audits], "metric": metric, "scores": rows})
