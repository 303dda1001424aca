"""`ragcun eval verify`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragcun.cli import options
from ragcun.cli.completion import complete, published
from ragcun.cli.evaluate.scoring import RESULTS, Output
from ragcun.cli.output import Format, print_table

if TYPE_CHECKING:
    from ragcun.evaluation.verify import Verdict


def verify(
    models: Annotated[
        str,
        typer.Option(
            "--models",
            help="Retrievers with published scores, separated by commas, or all of them. NAME=MODEL evaluates "
            "another model, such as a folder with the same weights, under the published name.",
            autocompletion=complete(partial(published, "retriever")),
        ),
    ] = "all",
    datasets: Annotated[
        str,
        typer.Option(
            help="Datasets with published scores, separated by commas, or all of those in --data-dir.",
            autocompletion=complete(partial(published, "dataset")),
        ),
    ] = "all",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of BEIR's datasets.", file_okay=False, show_default="beir in the cache")
    ] = None,
    output: Output = RESULTS,
    device: options.Device = None,
    runtime: options.Runtime = "auto",
    store: options.Store = None,
    form: Format = "terminal",
    json: options.Json = False,
) -> None:
    """Reproduce published scores, and print the expected and obtained values and their difference.

    Each run is also scored by BEIR's own evaluator, which must give the same nDCG@10. The exit code is 1 if a score
    differs by more than its tolerance, if the evaluators disagree, or if nothing could be run.
    """
    from ragcun.console import say
    from ragcun.data.beir import beir_folder
    from ragcun.errors import RagcunError, UserError
    from ragcun.evaluation.tables import verification_table
    from ragcun.evaluation.verify import verify as run
    from ragcun.retrieval.retrievers import RetrieverOptions

    retrievers, names = _retrievers(models), _datasets(datasets)
    folder = data_dir or beir_folder()
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"--data-dir {data_dir}: no such folder")
    retriever_options = RetrieverOptions(options.store_folder(store), device=device, runtime=runtime)
    verdicts = list(run(retrievers, names, folder, output, retriever_options))
    if datasets == "all":
        here = {verdict.published.dataset for verdict in verdicts if (folder / verdict.published.dataset).is_dir()}
        absent = [name for name in names if name not in here]
        verdicts = [verdict for verdict in verdicts if verdict.published.dataset in here]
        if absent:
            say(f"left out, because they are not in {folder}: {', '.join(absent)}")
    if json:
        options.print_json({"verdicts": [_row(verdict) for verdict in verdicts]})
    else:
        print_table(verification_table(verdicts), form)
    if wrong := _complaints(verdicts):
        raise RagcunError("; ".join(wrong))


def _retrievers(given: str) -> dict[str, str]:
    """Map each published name that is asked for to the retriever to run."""
    from ragcun.embedding.resolve import parse_label
    from ragcun.errors import UserError, did_you_mean
    from ragcun.evaluation.verify import published

    known = list(dict.fromkeys(one.retriever for one in published()))
    retrievers: dict[str, str] = {}
    for one in _split(given):
        label, model = parse_label(one)
        name = label or model
        if name not in {"all", *known}:
            hint = did_you_mean(name, known)
            raise UserError(f"retriever {name!r}: has no published scores{hint}; choose from {', '.join(known)}")
        retrievers |= {other: other for other in known if other not in retrievers} if name == "all" else {name: one}
    return retrievers


def _datasets(given: str) -> list[str]:
    from ragcun.data.benchmark import select_datasets
    from ragcun.errors import UserError
    from ragcun.evaluation.verify import published

    known = list(dict.fromkeys(one.dataset for one in published()))
    if given == "all":
        return known
    names = [dataset.name for dataset in select_datasets(_split(given))]
    if not set(names) & set(known):
        raise UserError(f"datasets {given!r}: have no published scores; choose from {', '.join(known)}")
    return names


def _split(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


def _complaints(verdicts: "list[Verdict]") -> list[str]:
    run = [verdict for verdict in verdicts if verdict.obtained is not None]
    if not run:
        return ["no published score could be reproduced; the table states the reasons"]
    differ = sum(verdict.agrees is False for verdict in run)
    others = {
        f"{verdict.published.retriever} on {verdict.published.dataset} ({verdict.evaluator_difference:+.5f})"
        for verdict in run
        if verdict.evaluators_agree is False
    }
    complaints = (
        [f"{differ} of {len(run)} scores differ from the published ones by more than the tolerance"] if differ else []
    )
    if others:
        complaints.append(f"BEIR's own evaluator gives another nDCG@10 for {', '.join(sorted(others))}")
    return complaints


def _row(verdict: "Verdict") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(verdict.published) | {
        "obtained": verdict.obtained,
        "agrees": verdict.agrees,
        "evaluator_difference": verdict.evaluator_difference,
        "evaluators_agree": verdict.evaluators_agree,
        "reason": verdict.reason,
    }
