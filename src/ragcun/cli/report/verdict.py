"""`ragcun report verdict` and `ragcun report checklist`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options, output

Folders = Annotated[
    list[Path], typer.Argument(help="Experiments, or folders with results of `ragcun eval`.", metavar="FOLDER...")
]
Ours = Annotated[
    str | None,
    typer.Option(help="Label of the model that is judged.", show_default="the one that was trained here"),
]
Base = Annotated[
    str | None, typer.Option(help="Label of the model that it is built on.", show_default="what its manifest says")
]


def verdict(
    folders: Folders,
    ours: Ours = None,
    base: Base = None,
    isotropy_measure: Annotated[
        str, typer.Option(help="Measure that stands for the guide's isotropy score, which it does not define.")
    ] = "iso_score",
    form: output.Format = "terminal",
    json: options.Json = False,
) -> None:
    """Hold what was found against the publication guide's criteria: pass, fail, or not measured.

    A minimum viable, a strong and a top-tier paper are judged. An average over datasets that are not all there, and a
    claim that no file can show, is not measured.
    """
    from ragcun.report.evidence import collect
    from ragcun.report.verdict import judge, verdict_table

    evidence = collect(folders, ours, base)
    criteria = judge(evidence, isotropy_measure)
    output.print_table(verdict_table(criteria, evidence), form)
    if json:
        shown = [one.to_json() for one in criteria]
        options.print_json({"ours": evidence.ours, "base": evidence.base, "criteria": shown})


def checklist(
    folders: Folders,
    ours: Ours = None,
    base: Base = None,
    form: output.Format = "terminal",
    json: options.Json = False,
) -> None:
    """Tick the publication guide's lists: before, during and after training, and submission.

    Items are ticked from the files that are there; what no file shows stays open.
    """
    from ragcun.report.checklist import checklist as items_of
    from ragcun.report.checklist import checklist_table
    from ragcun.report.evidence import collect

    items = items_of(collect(folders, ours, base))
    output.print_table(checklist_table(items), form)
    if json:
        options.print_json({"items": [one.to_json() for one in items]})
