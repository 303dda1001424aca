"""`ragcun report verdict` and `ragcun report checklist`."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options, output
from ragcun.cli.completion import complete, isotropy_measures

Folders = Annotated[
    list[Path], typer.Argument(help="Experiments, or folders with results of `ragcun eval`.", metavar="FOLDER...")
]
Ours = Annotated[
    str | None,
    typer.Option(help="Label of the model to judge.", show_default="the one that ragcun trained"),
]
Base = Annotated[
    str | None, typer.Option(help="Label of the base of this model.", show_default="the base in its manifest")
]


def verdict(
    folders: Folders,
    ours: Ours = None,
    base: Base = None,
    isotropy_measure: Annotated[
        str,
        typer.Option(
            help="Measure to use as the guide's isotropy score, for which the guide gives no definition.",
            autocompletion=complete(isotropy_measures),
        ),
    ] = "iso_score",
    form: output.Format = "terminal",
    json: options.Json = False,
) -> None:
    """Check results against the publication guide's criteria; the verdict on each is pass, fail or not measured.

    The guide has criteria for a minimum viable, a strong and a top-tier paper. A criterion is not measured if it needs
    an average over datasets without results, or if no file can show it.
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
    """Fill in the publication guide's checklists: before, during and after training, and before submission.

    An item is ticked if a file shows that it is done. An item that no file can show stays open.
    """
    from ragcun.report.checklist import checklist as items_of
    from ragcun.report.checklist import checklist_table
    from ragcun.report.evidence import collect

    items = items_of(collect(folders, ours, base))
    output.print_table(checklist_table(items), form)
    if json:
        options.print_json({"items": [one.to_json() for one in items]})
