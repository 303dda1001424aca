"""`ragcun claims`: tests of what the literature claims."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options, output
from ragcun.cli.command import Command
from ragcun.cli.completion import bases, complete
from ragcun.cli.completion import claims as names_of_claims

app = typer.Typer(name="claims", no_args_is_help=True)


@app.command("ls", cls=Command)
def ls(form: output.Format = "terminal", json: options.Json = False) -> None:
    """List the claims with their sources and their tests."""
    from ragcun.claims.registry import CLAIMS
    from ragcun.claims.tables import registry_table

    if json:
        options.print_json({"claims": [claim.to_json() for claim in CLAIMS]})
    else:
        output.print_table(registry_table(CLAIMS), form)


@app.command("run", cls=Command)
def run(
    datasets: options.Datasets,
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            autocompletion=complete(bases),
            help="Base model to test the claims on, or NAME=MODEL; may be repeated.",
            metavar="[NAME=]MODEL",
        ),
    ],
    train: Annotated[
        Path | None,
        typer.Option(
            "--train-data",
            help="Collection to train heads on.",
            show_default="the first FOLDER with a train and a dev split",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option(
            help="Claim to test; may be repeated.",
            show_default="all",
            metavar="CLAIM",
            autocompletion=complete(names_of_claims),
        ),
    ] = None,
    data_dir: options.DataDir = None,
    split: options.Split = None,
    results: Annotated[
        Path, typer.Option("--output", help="Output folder for the measurements.", file_okay=False, writable=True)
    ] = Path("results-claims"),
    precision: options.Precision = "fp32",
    device: options.Device = None,
    runtime: options.Runtime = "auto",
    offline: options.Offline = False,
    store: options.Store = None,
    form: output.Format = "terminal",
    json: options.Json = False,
) -> None:
    """Test claims on your models and collections; the verdict on each is supported, refuted or undecided.

    The tests and their thresholds are declared in advance (`ragcun claims ls`). Claims about training are tested with
    small heads, which are trained on stored base embeddings with seeds 0 and 1. Run the same command again to resume an
    interrupted test; finished measurements in --output are kept.
    """
    from ragcun.claims.registry import choose_claims
    from ragcun.claims.tables import verdicts_table
    from ragcun.console import say
    from ragcun.data.collection import Collection
    from ragcun.errors import UserError, exit_code
    from ragcun.evaluation.beir import identify_all
    from ragcun.evaluation.tasks import choose, open_tasks
    from ragcun.retrieval.registry import encoder
    from ragcun.retrieval.retrievers import RetrieverOptions

    chosen = choose_claims(claim or [])
    if other := next((name for name in model if encoder(name) is None), None):
        raise UserError(f"--model {other}: is not an encoder; claims are tested on vectors, so choose an encoder")
    retriever_options = RetrieverOptions(options.store_folder(store), precision, device=device, runtime=runtime)
    identify_all(model, retriever_options)
    tasks, failures = open_tasks(choose(datasets, data_dir), split, "refuse", data_dir, offline)
    if train is not None:
        Collection.open(train)
    else:
        train = next((one.collection.path for one in tasks if {"train", "dev"} <= set(one.collection.splits())), None)
    settled = []
    if tasks:
        say(f"testing {len(chosen)} claims on {', '.join(one.collection.name for one in tasks)}")

        from ragcun.claims.run import run_claims

        for name in model:
            settled += run_claims(name, tasks, train, results, retriever_options, chosen)
    if json:
        failed = [failure.to_json() for failure in failures]
        options.print_json({"results": [one.to_json() for one in settled], "failures": failed})
    elif settled:
        output.print_table(verdicts_table(settled), form)
        say(f"measurements: {results}")
    raise typer.Exit(exit_code(failures, done=bool(settled)))
