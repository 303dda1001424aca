"""`ragcun eval compress`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragcun.cli import options, output
from ragcun.cli.completion import codes as names_of_codes
from ragcun.cli.completion import complete
from ragcun.cli.evaluate.scoring import Scoring, with_scoring
from ragcun.errors import Failure, UserError, exit_code
from ragcun.retrieval.codecs.registry import CODES as KNOWN

if TYPE_CHECKING:
    from ragcun.evaluation.compress import Compressed

_CODEC = "Codec"
CODES = "fp16,int8,4bit,2bit,1bit,trellis,binary,pq,rabitq"


@with_scoring
def compress(
    datasets: options.Datasets,
    scoring: Scoring,
    codes: Annotated[
        str,
        typer.Option(
            help=f"Codecs, separated by commas: {', '.join(KNOWN)}. A number after "
            f"{', '.join(name for name, entry in KNOWN.items() if entry.sized)} is its bytes per vector (pq48). "
            "2bit/192 codes 192 components with 2bit.",
            autocompletion=complete(names_of_codes),
            rich_help_panel=_CODEC,
        ),
    ] = CODES,
    dims: Annotated[
        str | None,
        typer.Option(
            help="Numbers of leading principal components to code, separated by commas; all codes the vectors without "
            "PCA.",
            rich_help_panel=_CODEC,
        ),
    ] = None,
    rotate: Annotated[
        bool | None,
        typer.Option(
            "--rotate/--no-rotate",
            help="Rotate vectors at random before they are coded.",
            show_default="as the codec has it",
            rich_help_panel=_CODEC,
        ),
    ] = None,
    whiten_power: Annotated[
        str,
        typer.Option(
            help="Divide components by their standard deviation to this power, from 0 to 1; auto is computed from the "
            "spectrum.",
            metavar="P",
            rich_help_panel=_CODEC,
        ),
    ] = "0",
    rescore: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Retrieve N documents per query by their codes, and rank these again by their exact vectors.",
            metavar="N",
            rich_help_panel=_CODEC,
        ),
    ] = None,
    data_dir: options.DataDir = None,
    split: options.Split = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Output folder for the figure of quality by size.", file_okay=False, writable=True),
    ] = None,
    form: output.Format = "terminal",
) -> None:
    """Score models whose document vectors are compressed, and compare them with full precision.

    The table shows nDCG@10 and the bytes per vector of each codec. A codec is fitted to the documents of each
    collection, without queries or labels. Queries keep full precision, except with binary. Results are saved in
    --output, as `ragcun eval collection` saves them for a model MODEL:codec=NAME. The figure shows the mean nDCG@10
    over the collections by bytes per vector, and marks the codecs on the Pareto front.
    """
    from ragcun.console import say
    from ragcun.evaluation.compress import codec_specs
    from ragcun.evaluation.compress import compress as run
    from ragcun.evaluation.tables import compression_table
    from ragcun.evaluation.tasks import choose, open_tasks
    from ragcun.retrieval.codecs.spec import whiten_power as power

    if scoring.index != "exact":
        raise UserError(f"--index {scoring.index}: compressed vectors are searched exactly; leave --index out")
    specs = codec_specs(
        [one for one in codes.split(",") if one.strip()], _dims(dims), rotate, power(whiten_power), rescore
    )
    if not specs:
        raise UserError(f"--codes {codes!r}: no codec was given; name at least one besides fp32")
    failures: list[Failure] = []
    retriever_options = scoring.retriever_options()
    tasks, not_opened = open_tasks(choose(datasets, data_dir), split, scoring.on_error, data_dir, scoring.offline)
    failures += not_opened
    rows = run(scoring.model, tasks, specs, scoring.output, retriever_options, failures)
    written = [] if figures is None or not rows else _draw(rows, figures)
    if scoring.json:
        shown = {"measure": "nDCG@10", "rows": [row.to_json() for row in rows]}
        failed = [failure.to_json() for failure in failures]
        options.print_json(shown | {"figures": [str(path) for path in written], "failures": failed})
    elif rows:
        output.print_table(compression_table(rows), form)
        say(f"runs and scores: {scoring.output / 'cells'}")
    for path in written:
        say(f"written: {path}")
    raise typer.Exit(exit_code(failures, done=bool(rows)))


def _dims(given: str | None) -> list[int | None]:
    if given is None:
        return [None]
    found: list[int | None] = []
    for one in given.split(","):
        name = one.strip()
        if name != "all" and not (name.isdecimal() and int(name) > 0):
            raise UserError(f"--dims {given!r}: must be numbers of dimensions separated by commas, or all")
        found.append(None if name == "all" else int(name))
    return found


def _draw(rows: "list[Compressed]", folder: Path) -> list[Path]:
    from ragcun.analysis.compression import Coded, compression_figure
    from ragcun.evaluation.compress import pareto

    panels = {}
    for model in dict.fromkeys(row.model for row in rows):
        mine = [row for row in rows if row.model == model]
        most = max(len(row.row.over) for row in mine)
        shown = [row for row in mine if len(row.row.over) == most]
        best = {str(row.codec) for row in pareto(shown)}
        panels[model] = [
            Coded(row.codec.code, str(row.codec), row.bytes, row.row.score, str(row.codec) in best) for row in shown
        ]
    return compression_figure(panels, "nDCG@10", folder / "compression")
