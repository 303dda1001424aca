"""`ragcun eval verify`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragcun.cli import options
from ragcun.cli.output import print_table

if TYPE_CHECKING:
    from ragcun.evaluation.verify import Verdict


def verify(
    models: Annotated[str, typer.Option("--models", help="Retrievers, separated by commas, or all.")] = "all",
    datasets: Annotated[str, typer.Option(help="Datasets, separated by commas, or all that are there.")] = "all",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of BEIR's datasets. (default: beir in the cache)", file_okay=False)
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for runs and scores.", file_okay=False)] = Path("results"),
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps; the fastest by default.")] = None,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Run what has published scores and is here, and print expected, obtained, difference and verdict.

    Exit code 1 where a score differs by more than its tolerance, or nothing could be run.
    """
    from ragcun.console import say
    from ragcun.data.beir import beir_folder
    from ragcun.errors import RagcunError, UserError
    from ragcun.evaluation.tables import verification_table
    from ragcun.evaluation.verify import published
    from ragcun.evaluation.verify import verify as run
    from ragcun.retrieval.retrievers import RetrieverOptions

    retrievers = _chosen(models, "retriever", [one.retriever for one in published()])
    names = _chosen(datasets, "dataset", [one.dataset for one in published()])
    folder = data_dir or beir_folder()
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"--data-dir {data_dir}: no such folder")
    encoding = RetrieverOptions(options.store_folder(store), device=device)
    verdicts = list(run(retrievers, names, folder, output, encoding))
    if datasets == "all":
        here = {verdict.published.dataset for verdict in verdicts if (folder / verdict.published.dataset).is_dir()}
        absent = [name for name in names if name not in here]
        verdicts = [verdict for verdict in verdicts if verdict.published.dataset in here]
        if absent:
            say(f"not in {folder}, left out: {', '.join(absent)}")
    print_table(verification_table(verdicts))
    differ = [verdict for verdict in verdicts if verdict.agrees is False]
    run_count = sum(verdict.agrees is not None for verdict in verdicts)
    if json:
        options.print_json({"verdicts": [_row(verdict) for verdict in verdicts]})
    if differ:
        raise RagcunError(f"{len(differ)} of {run_count} scores differ from the published ones")
    if not run_count:
        raise RagcunError("no published score could be run; the table says why")


def _chosen(given: str, what: str, known: list[str]) -> list[str]:
    from ragcun.errors import UserError

    known = list(dict.fromkeys(known))
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in {"all", *known}:
            raise UserError(f"{what} {name!r}: no published scores; there are those of {', '.join(known)}")
    return known if "all" in names else names


def _row(verdict: "Verdict") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(verdict.published) | {
        "obtained": verdict.obtained,
        "agrees": verdict.agrees,
        "reason": verdict.reason,
    }
