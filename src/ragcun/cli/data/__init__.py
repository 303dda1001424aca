"""`ragcun data`: collections and pairs to train and evaluate on. One module for each command."""

import typer

from ragcun.cli.data import beir, msmarco, negatives, pairs, pydocs, wiki

app = typer.Typer(help="Prepare data.", no_args_is_help=True)
app.command("beir")(beir.beir)
app.command("wiki")(wiki.wiki)
app.command("msmarco")(msmarco.msmarco)
app.command("pydocs")(pydocs.pydocs)
app.command("pairs")(pairs.pairs)
app.command("negatives")(negatives.negatives)
