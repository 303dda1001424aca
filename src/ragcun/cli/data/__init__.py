"""`ragcun data`: collections and pairs to train and evaluate on. One module for each command."""

import typer

from ragcun.cli.command import Command
from ragcun.cli.data import audit, beir, msmarco, negatives, pairs, pydocs, wiki

app = typer.Typer(name="data", no_args_is_help=True)
app.command("beir", cls=Command)(beir.beir)
app.command("wiki", cls=Command)(wiki.wiki)
app.command("msmarco", cls=Command)(msmarco.msmarco)
app.command("pydocs", cls=Command)(pydocs.pydocs)
app.command("pairs", cls=Command)(pairs.pairs)
app.command("negatives", cls=Command)(negatives.negatives)
app.command("audit", cls=Command)(audit.audit)
