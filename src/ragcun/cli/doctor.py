"""`ragcun doctor`."""

import typer

from ragcun.cli import options
from ragcun.cli.command import Command
from ragcun.cli.output import Format, print_table

app = typer.Typer()


@app.command(cls=Command)
def doctor(store: options.Store = None, form: Format = "terminal", json: options.Json = False) -> None:
    """Check the device, precision, memory, disk, hub access, token and package versions, and suggest fixes.

    The exit code is 1 if something prevents ragcun from working.
    """
    from dataclasses import asdict

    from ragcun.planning.doctor import examine
    from ragcun.planning.tables import findings_table

    findings = examine(options.store_folder(store))
    print_table(findings_table(findings), form)
    if json:
        options.print_json({"findings": [asdict(finding) for finding in findings]})
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)
