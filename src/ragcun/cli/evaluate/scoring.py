"""Shared parts of the commands that score retrievers: options, evaluation, and the output of results and failures."""

import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ragcun.cli import options
from ragcun.cli.completion import complete, models
from ragcun.cli.output import print_table
from ragcun.errors import Failure, UserError, exit_code

if TYPE_CHECKING:
    from ragcun.data.benchmark import Dataset
    from ragcun.evaluation.endpoint import Endpoint
    from ragcun.evaluation.results import Result
    from ragcun.evaluation.tasks import Task
    from ragcun.retrieval.retrievers import RetrieverOptions

_SEARCH = "Search"
_APIS = "Embeddings APIs"

Output = Annotated[Path, typer.Option(help="Output folder for runs and scores.", file_okay=False, writable=True)]
RESULTS = Path("results")


@dataclass(frozen=True)
class Scoring:
    """The options of every command that scores retrievers; `with_scoring` adds them to a command."""

    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            autocompletion=complete(models),
            help="Retriever: bm25, minilm, mpnet, contriever, a hub id, a folder, an experiment, openai:MODEL, "
            "rrf:A+B (reciprocal rank fusion), or run:FILE (a run of another system). NAME=MODEL gives it a name in "
            "tables. May be repeated.",
            metavar="[NAME=]MODEL",
        ),
    ]
    output: Output = RESULTS
    max_length: options.MaxLength = None
    precision: options.Precision = "fp32"
    device: options.Device = None
    runtime: options.Runtime = "auto"
    on_error: options.OnError = "refuse"
    offline: options.Offline = False
    store: options.Store = None
    json: options.Json = False
    memory: Annotated[
        str | None,
        typer.Option(
            help="Maximum memory of the process during search.",
            metavar="SIZE",
            show_default="4GiB more than before the search",
            rich_help_panel=_SEARCH,
        ),
    ] = None
    index: Annotated[
        Literal["exact", "hnsw", "ivfpq"],
        typer.Option(
            help="Search exactly, or with an approximate FAISS index, whose recall is then reported.",
            rich_help_panel=_SEARCH,
        ),
    ] = "exact"
    openai_base_url: Annotated[
        str | None,
        typer.Option(
            "--openai-base-url",
            help="Base URL of the OpenAI-compatible API, without /embeddings.",
            show_default="https://api.openai.com/v1",
            rich_help_panel=_APIS,
        ),
    ] = None
    max_cost: Annotated[
        float | None,
        typer.Option(min=0, help="Maximum cost of this command's API calls, in US dollars.", rich_help_panel=_APIS),
    ] = None
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Call a paid API without asking for confirmation.", rich_help_panel=_APIS),
    ] = False

    def retriever_options(self) -> "RetrieverOptions":
        """Make the options by which retrievers encode and search.

        Raises `UserError` if --memory is not a size, or if no model uses the given API.
        """
        from ragcun.embedding.budget import OPENAI, Budget
        from ragcun.retrieval.memory import parse_memory
        from ragcun.retrieval.retrievers import RetrieverOptions

        if self.openai_base_url is not None and not any("openai:" in model for model in self.model):
            raise UserError("--openai-base-url: needs a --model openai:MODEL, but none is given")
        return RetrieverOptions(
            options.store_folder(self.store),
            self.precision,
            self.max_length,
            self.device,
            self.runtime,
            memory=None if self.memory is None else parse_memory(self.memory),
            index=self.index,
            api_url=self.openai_base_url or OPENAI,
            budget=Budget(self.max_cost, self.yes),
        )


def with_scoring(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `scoring` of `command` by an option for each field of `Scoring`."""
    own = [one for name, one in signature(command).parameters.items() if name != "scoring"]
    shared = list(signature(Scoring).parameters.values())
    names = [one.name for one in shared]

    @wraps(command)
    def taking_options(**given: Any) -> None:
        command(scoring=Scoring(**{name: given.pop(name) for name in names}), **given)

    parameters = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in [*own, *shared]]
    taking_options.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    taking_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return taking_options


def score(
    scoring: Scoring,
    chosen: "Iterable[Dataset | Path]",
    split: str | None,
    data_dir: Path | None = None,
    endpoint: "Callable[[Sequence[Task]], Endpoint] | None" = None,
    show: "Callable[[Sequence[Result], Sequence[Failure], Path, bool], None] | None" = None,
) -> None:
    """Score the retrievers on the chosen datasets, print a table or JSON, and exit.

    By default the ranking is scored; `endpoint` scores another outcome, and `show` prints it.

    After a failure, a single process continues with the next model or dataset. Several processes under a launcher must
    do the same work in the same order, so a failure in one ends all of them.
    """
    from ragcun.distributed import first_process_first, launched_processes
    from ragcun.evaluation.beir import evaluate_tasks, identify_all
    from ragcun.evaluation.endpoint import RANKING
    from ragcun.evaluation.tasks import open_tasks

    retriever_options = scoring.retriever_options()
    failures: list[Failure] = []
    of_models = None if launched_processes() > 1 else failures
    with _joined(scoring.output) as output:
        with first_process_first():
            models = identify_all(scoring.model, retriever_options, of_models)
            tasks, not_opened = open_tasks(chosen if models else [], split, scoring.on_error, data_dir, scoring.offline)
            failures += not_opened
        scored = RANKING if endpoint is None else endpoint(tasks)
        results = evaluate_tasks(models, tasks, output, retriever_options, of_models, scored)
        (show or tell)(results, failures, output, scoring.json)
        raise typer.Exit(exit_code(failures, done=bool(results)))


@contextmanager
def _joined(output: Path) -> Iterator[Path]:
    """Join the other processes, if there are any, and yield the folder that this process writes to.

    The first process writes to `output`. Each other process writes to a temporary folder with links to the results in
    `output`, so that it finds the same work to do; its own results are removed, and it prints nothing.
    """
    from ragcun.console import console
    from ragcun.distributed import join_processes, launched_processes

    if launched_processes() == 1:
        yield output
        return
    processes = join_processes()
    if processes.is_main_process:
        processes.wait_for_everyone()
        yield output
        return
    with TemporaryDirectory() as own, redirect_stdout(io.StringIO()):
        if (output / "cells").is_dir():
            shutil.copytree(output.resolve() / "cells", Path(own) / "cells", copy_function=os.symlink)
        processes.wait_for_everyone()
        console.quiet = True
        try:
            yield Path(own)
        finally:
            console.quiet = False


def tell(
    results: "Sequence[Result]", failures: Sequence[Failure], output: Path, json: bool, form: str = "terminal"
) -> None:
    """Print the results as a table, or as JSON."""
    from ragcun.console import say
    from ragcun.evaluation.metrics import MAIN
    from ragcun.evaluation.results import average_parts
    from ragcun.evaluation.tables import scores_table

    rows = average_parts(results)
    if json:
        failed = [failure.to_json() for failure in failures]
        options.print_json({"results": [_row(row) for row in rows], "failures": failed})
    elif rows:
        print_table(scores_table(rows, MAIN), form)
        say(f"runs and scores: {output / 'cells'}")


def _row(result: "Result") -> dict[str, Any]:
    shown = result.to_json() | {"seconds": round(result.seconds, 3)}
    if result.parts:
        return shown | {"parts": [_row(part) for part in result.parts]}
    return shown | {"run": str(result.run), "scores": str(result.scores)}
