"""`ragcun analyze`: the geometry of embeddings."""

from pathlib import Path
from typing import Annotated

import typer

from ragcun.cli import options
from ragcun.cli.command import Command
from ragcun.cli.completion import bases, complete, datasets, measures
from ragcun.cli.output import Format, print_table

app = typer.Typer(name="analyze", no_args_is_help=True)


@app.command(cls=Command)
def isotropy(
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            help="Encoder, as a hub id, a short name or a folder. NAME=MODEL gives it a name in tables. May be "
            "repeated.",
            autocompletion=complete(bases),
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="Collection whose documents and queries are embedded: a folder in BEIR's layout, or a dataset's name "
            "as in `ragcun eval beir`.",
            metavar="DATASET",
            autocompletion=complete(datasets),
        ),
    ],
    data_dir: options.DataDir = None,
    split: Annotated[
        str | None, typer.Option(help="Split whose queries are measured.", show_default="all queries")
    ] = None,
    sample: Annotated[
        int, typer.Option(min=2, help="Maximum number of documents, and of queries, to measure.")
    ] = 10_000,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="Add a 95 percent interval to each measure, by resampling the texts.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Print all measures, not only the main ones.")] = False,
    max_length: options.MaxLength = None,
    precision: options.Precision = "fp32",
    device: options.Device = None,
    runtime: options.Runtime = "auto",
    seed: Annotated[
        int,
        typer.Option(min=0, help="Random seed of the sample of texts, of SIGReg's slices and of the N(0, I) sample."),
    ] = 0,
    output: Annotated[
        Path, typer.Option(help="Output folder for isotropy.json and figures/.", file_okay=False, writable=True)
    ] = Path("isotropy"),
    on_error: options.OnError = "refuse",
    offline: options.Offline = False,
    store: options.Store = None,
    form: Format = "terminal",
    json: options.Json = False,
) -> None:
    """Measure how isotropic embeddings are, compare them with samples of N(0, I), and draw figures."""
    from ragcun.console import say, warn
    from ragcun.errors import UserError
    from ragcun.evaluation.beir import identify_all
    from ragcun.evaluation.tasks import open_collection
    from ragcun.files import read_json
    from ragcun.retrieval.registry import encoder
    from ragcun.retrieval.retrievers import RetrieverOptions

    encoding = RetrieverOptions(options.store_folder(store), precision, max_length, device, runtime)
    encoders = {name: encoder(name) for name in model}
    if other := next((name for name, found in encoders.items() if found is None), None):
        raise UserError(f"--model {other}: not an encoder, so that there are no embeddings to measure")
    identify_all(model, encoding)
    collection = open_collection(data, split, on_error, data_dir, offline)
    if split is not None:
        collection.qrels(split)
    for line in collection.problems.lines():
        warn(line)
    say(f"measuring the isotropy of {', '.join(model)} on {collection.name}")

    from ragcun.analysis.measures import MEASURES
    from ragcun.analysis.reports import isotropy_table
    from ragcun.analysis.run import analyze_models

    embedders = [found.embedder(encoding) for found in encoders.values() if found is not None]
    reports = analyze_models(embedders, collection, output, seed, sample, split, intervals)
    print_table(isotropy_table(reports, [measure for measure in MEASURES if every or measure.headline]), form)
    say(f"report: {output / 'isotropy.json'}, figures: {output / 'figures'}")
    if json:
        written = read_json(output / "isotropy.json")
        options.print_json({**written, "figures": [str(output / figure) for figure in written["figures"]]})


@app.command(cls=Command)
def tradeoff(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="Output folders of `ragcun ablate` with the same grid, one for each collection that was trained on.",
            metavar="FOLDER...",
            exists=True,
            file_okay=False,
        ),
    ],
    metric: Annotated[
        str, typer.Option(help="Metric of retrieval quality.", autocompletion=complete(measures))
    ] = "nDCG@10",
    margin: Annotated[
        float,
        typer.Option(help="Largest difference, in points, at which two heads count as equivalent.", metavar="POINTS"),
    ] = 0.5,
    output: Annotated[
        Path, typer.Option(help="Output folder for tradeoff.json and figures/.", file_okay=False, writable=True)
    ] = Path("tradeoff"),
    form: Format = "terminal",
    json: options.Json = False,
) -> None:
    """Measure what isotropy costs in retrieval: in-domain and out-of-domain scores of heads by their isotropy.

    Heads are grouped by their dimension and by how they were made isotropic. For each dimension, the best isotropic
    head is compared with the best other head; both are chosen on dev, and a test of difference and a test of
    equivalence account for the variation over queries and seeds. In `ragcun ablate`, `--grid head=whiten` whitens
    embeddings after training, `--grid init=whiten:0.5` initialises heads as a whitened projection, and
    `--grid lambda_covariance=0,10` trains heads with a regulariser.
    """
    from ragcun.analysis.trade import price_curve
    from ragcun.analysis.tradeoff import read_heads, tradeoff_json, tradeoff_table
    from ragcun.console import say
    from ragcun.errors import UserError
    from ragcun.intact import write_record

    if not 0 < margin <= 100:
        raise UserError(f"--margin {margin:g}: must be a number of points above 0 and at most 100")
    found = tradeoff_json(read_heads(folders), margin / 100, metric)
    write_record(output / "tradeoff.json", found)
    figures = price_curve(found, output / "figures" / "tradeoff")
    print_table(tradeoff_table(found), form)
    say(f"written: {', '.join(map(str, [output / 'tradeoff.json', *figures]))}")
    if json:
        options.print_json({**found, "figures": [str(path) for path in figures]})
