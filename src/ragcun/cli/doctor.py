"""`ragcun doctor`."""

import typer

from ragcun.cli import options

_SIGNS = {"good": "[green]good[/green]", "limited": "[yellow]limited[/yellow]", "bad": "[red]bad[/red]"}


def doctor(store: options.Store = None, json: options.Json = False) -> None:
    """Check device, precision, memory, disk, hub access, token and versions, and say how to fix what is wrong.

    The exit code is 1 if something prevents ragcun from working.
    """
    from dataclasses import asdict

    from rich.markup import escape
    from rich.table import Table

    from ragcun.console import console
    from ragcun.planning.doctor import examine

    findings = examine(options.store_folder(store))
    table = Table("", "", "found", "what to do", box=None, pad_edge=False)
    for finding in findings:
        table.add_row(finding.subject, _SIGNS[finding.verdict], escape(finding.found), escape(finding.advice))
    console.print(table)
    if json:
        options.print_json({"findings": [asdict(finding) for finding in findings]})
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)
