"""`ragcun analyze`: the geometry of embeddings."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.completion import bases, complete
from ragcun.cli.output import print_table

app = typer.Typer(help="Analyse the geometry of embeddings.", no_args_is_help=True)


@app.command()
def isotropy(
    model: Annotated[
        list[str],
        typer.Option(
            "--model", help="Hub id, model folder or experiment; may be repeated.", autocompletion=complete(bases)
        ),
    ],
    data: Annotated[Path, typer.Option("--data", help="Collection in BEIR's layout whose documents are embedded.")],
    sample: Annotated[int, typer.Option(min=2, help="Maximum number of documents to measure.")] = 10_000,
    max_length: options.MaxLength = None,
    precision: options.Precision = "fp32",
    device: options.Device = None,
    runtime: options.Runtime = "auto",
    seed: Annotated[
        int,
        typer.Option(
            min=0, help="Random seed of the sample of documents, of SIGReg's slices and of the N(0, I) sample."
        ),
    ] = 0,
    output: Annotated[Path, typer.Option(help="Output folder for isotropy.json and figures/.")] = Path("isotropy"),
    on_error: options.OnError = "refuse",
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Measure how isotropic embeddings are, compare them with a sample of N(0, I), and draw figures."""
    from ragcun.analysis.reports import isotropy_table
    from ragcun.analysis.run import analyze_models
    from ragcun.console import say, warn
    from ragcun.data.collection import Collection
    from ragcun.embedding.embedder import Embedder
    from ragcun.files import read_json

    collection = Collection.open(data, on_error)
    for line in collection.problems.lines():
        warn(line)
    folder = options.store_folder(store)
    embedders = [Embedder(name, folder, precision, max_length, device, runtime=runtime) for name in model]
    reports = analyze_models(embedders, collection, output, seed, sample)
    print_table(isotropy_table(reports))
    say(f"report: {output / 'isotropy.json'}, figures: {output / 'figures'}")
    if json:
        written = read_json(output / "isotropy.json")
        options.print_json({**written, "figures": [str(output / figure) for figure in written["figures"]]})
