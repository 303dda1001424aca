"""`ragcun doctor`."""

import typer

from ragcun.cli import options

_SIGNS = {"good": "[green]good[/green]", "limited": "[yellow]limited[/yellow]", "bad": "[red]bad[/red]"}


def doctor(store: options.Store = None, json: options.Json = False) -> None:
    """Look at device, precision, memory, disk, token, hub and versions: what works here, what does not, what to do.

    Exit code 1 where something is bad, so that nothing would work.
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
