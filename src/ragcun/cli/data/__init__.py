"""`ragcun data`: collections and pairs to train and evaluate on. One module for each command."""

import typer

from ragcun.cli.data import pairs, pydocs

app = typer.Typer(help="Prepare data.", no_args_is_help=True)
app.command("pydocs")(pydocs.pydocs)
app.command("pairs")(pairs.pairs)
