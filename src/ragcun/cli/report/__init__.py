"""`ragcun report`: tables, a page and a paper made from results. One module for each kind of report."""

import typer

from ragcun.cli.command import Command
from ragcun.cli.report import page, paper, tables, verdict
from ragcun.report.forms import FORMS

app = typer.Typer(name="report", no_args_is_help=True)
for form in FORMS:
    app.command(form, cls=Command)(page.html if form == "html" else tables.command_of(form))
app.command("paper", cls=Command)(paper.paper)
app.command("verdict", cls=Command)(verdict.verdict)
app.command("checklist", cls=Command)(verdict.checklist)
