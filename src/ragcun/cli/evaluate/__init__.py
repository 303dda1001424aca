"""`ragcun eval`: how well retrievers rank. One module for each command."""

import typer

from ragcun.cli.command import Command
from ragcun.cli.evaluate import abstain, compare, compress, diff, neighbours, ranking, show, verify

app = typer.Typer(name="eval", no_args_is_help=True)
app.command("abstain", cls=Command)(abstain.abstain)
app.command("beir", cls=Command)(ranking.beir)
app.command("collection", cls=Command)(ranking.collection)
app.command("compare", cls=Command)(compare.compare)
app.command("compress", cls=Command)(compress.compress)
app.command("diff", cls=Command)(diff.diff)
app.command("neighbours", cls=Command)(neighbours.neighbours)
app.command("show", cls=Command)(show.show)
app.command("verify", cls=Command)(verify.verify)
