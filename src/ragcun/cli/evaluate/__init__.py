"""`ragcun eval`: how well retrievers rank. One module for each command."""

import typer

from ragcun.cli.evaluate import beir, collection, compare, show, verify

app = typer.Typer(help="Evaluate retrievers.", no_args_is_help=True)
app.command("beir")(beir.beir)
app.command("collection")(collection.collection)
app.command("compare")(compare.compare)
app.command("show")(show.show)
app.command("verify")(verify.verify)
