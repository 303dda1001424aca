"""`ragcun export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragcun.cli import options
from ragcun.cli.command import Command
from ragcun.cli.completion import complete
from ragcun.errors import UserError

if TYPE_CHECKING:
    from ragcun.evaluation.results import Result
    from ragcun.retrieval.registry import Encoder
    from ragcun.retrieval.retrievers import RetrieverOptions

app = typer.Typer()

_NEEDS = {
    "hub": ("repo",),
    "onnx": ("output",),
    "faiss": ("output", "data"),
    "codes": ("output", "data"),
    "mteb": ("output", "repo"),
    "ir_metadata": ("output",),
}


_CARD = ("results", "licence", "citation")
_TAKES = {
    "hub": ("repo", "private", *_CARD),
    "onnx": ("output",),
    "faiss": ("output", "data", "store"),
    "codes": ("output", "data", "store"),
    "mteb": ("output", "repo", "results"),
    "ir_metadata": ("output", "results"),
}


@app.command(cls=Command)
def export(
    model: Annotated[
        str,
        typer.Argument(
            help="Experiment or model to export; for mteb and ir_metadata, the name of a model in the results."
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            help="Target of the export: a folder for the model, or hub, onnx, faiss, codes, mteb or ir_metadata.",
            metavar="DIR|hub|onnx|faiss|codes|mteb|ir_metadata",
            autocompletion=complete(_NEEDS),
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Output folder for all targets except DIR and hub.", file_okay=False, writable=True),
    ] = None,
    repo: Annotated[
        str | None, typer.Option(help="Name of the model on the hub, as ORG/NAME.", metavar="ORG/NAME")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Create the repository on the hub as private.")] = False,
    results: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder of results for the card, mteb or ir_metadata; may be repeated, once for each seed.",
            metavar="[NAME=]FOLDER",
            show_default="the experiment",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Collection whose documents faiss and codes encode.", file_okay=False, exists=True),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights, as the card states it.")] = None,
    citation: Annotated[
        Path | None, typer.Option(help="File with the BibTeX entry for the card.", exists=True, dir_okay=False)
    ] = None,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Export a trained model, an index of its embeddings, or its results.

    DIR and hub write the model with a model card, which states the base, the training data with their licences, scores
    with intervals, limitations, a citation and example code. onnx writes the model as one ONNX graph. faiss writes a
    FAISS index of a collection's documents. codes writes the documents' compressed vectors with their codec, which is
    chosen as MODEL:codec=NAME (see `ragcun eval compress`). mteb writes result files for MTEB's ResultCache and
    leaderboard, and ir_metadata writes runs with their metadata.
    """
    from ragcun.console import say

    given: dict[str, Any] = {"output": output, "repo": repo, "data": data}
    for name in _NEEDS.get(to, ()):
        if given[name] is None:
            raise UserError(f"--to {to}: needs --{name}")
    given |= {"private": private or None, "results": results, "licence": licence, "citation": citation, "store": store}
    for name, value in given.items():
        if value is not None and name not in _TAKES.get(to, _CARD):
            raise UserError(f"--{name}: plays no part in --to {to}; omit it")
    made: dict[str, Any]
    if to in {"mteb", "ir_metadata"}:
        made = _results(model, to, Path(str(output)), repo, results or [model])
    elif to == "onnx":
        made = _onnx(model, Path(str(output)))
    elif to == "faiss":
        made = _faiss(model, Path(str(output)), Path(str(data)), store)
    elif to == "codes":
        made = _codes(model, Path(str(output)), Path(str(data)), store)
    else:
        made = _model(model, to, repo, private, results or [], licence, citation)
    for path in made.get("files", ()):
        say(f"written: {path}")
    if json:
        options.print_json(made)


def _model(
    model: str, to: str, repo: str | None, private: bool, results: list[str], licence: str | None, citation: Path | None
) -> dict[str, Any]:
    from tempfile import TemporaryDirectory

    from ragcun.intact import write_record
    from ragcun.release.hub import RELEASE, check_repository, upload
    from ragcun.release.model import Release

    if to != "hub":
        return {"files": [str(Release.of(model, results, licence, citation).write(Path(to)))]}
    name = check_repository(repo)
    with TemporaryDirectory() as scratch:
        release = Release.of(model, results, licence, citation)
        folder = release.write(Path(scratch) / "model", name.rpartition("/")[2], name)
        made = upload(folder, name, private)
    write_record(release.model.path.parent / RELEASE, made)
    return made


def _onnx(model: str, output: Path) -> dict[str, Any]:
    from ragcun.embedding.resolve import resolve_model

    resolved = resolve_model(model)

    from ragcun.release.onnx import write_onnx

    return {"files": [str(write_onnx(resolved, output, resolved.label, output.resolve().name))]}


def _faiss(model: str, output: Path, data: Path, store: Path | None) -> dict[str, Any]:
    from ragcun.data.collection import Collection
    from ragcun.embedding.recipe import Recipe

    found, encoding = _encoder(model, store)
    if found.codec is not None:
        raise UserError(f"{model}: an index has whole vectors; leave codec out, or use --to codes")
    if found.recipe != Recipe():
        raise UserError(f"{model}: an index is searched with {found.model} as its files are; leave its options out")
    collection = Collection.open(data)

    from ragcun.release.index import write_index

    return {"files": [str(write_index(found.embedder(encoding), collection, output))]}


def _codes(model: str, output: Path, data: Path, store: Path | None) -> dict[str, Any]:
    from ragcun.data.collection import Collection

    found, encoding = _encoder(model, store)
    if found.codec is None:
        raise UserError(f"{model}: names no codec; give an encoder with one, as in minilm:codec=trellis48")
    if found.codec.rescore is not None:
        raise UserError(f"{model}: rescoring is a matter of the search; leave rescore out")
    collection = Collection.open(data)

    from ragcun.release.codes import write_coded

    return {"files": [str(write_coded(found, found.codec, encoding, collection, output))]}


def _encoder(model: str, store: Path | None) -> "tuple[Encoder, RetrieverOptions]":
    from ragcun.retrieval.registry import encoder
    from ragcun.retrieval.retrievers import RetrieverOptions

    encoding = RetrieverOptions(options.store_folder(store))
    found = encoder(model)
    if found is None:
        raise UserError(f"{model}: is not an encoder, and only vectors of encoders can be exported")
    found.identify(encoding)
    return found, encoding


def _results(model: str, to: str, output: Path, repo: str | None, sources: list[str]) -> dict[str, Any]:
    from ragcun.evaluation.mteb import write_mteb
    from ragcun.release.ir_metadata import write_runs
    from ragcun.release.mteb import model_meta

    found = _found(model, sources)
    if to == "ir_metadata":
        return {"files": [str(path) for path in write_runs(found, output)]}
    return {"files": [str(path) for path in write_mteb(found, output, model_meta(str(repo), found))]}


def _found(model: str, sources: list[str]) -> "list[Result]":
    from ragcun.evaluation.results import read_results

    for source in sources:
        if not Path(source).is_dir():
            raise UserError(f"{source}: no such folder; give the folder of the results with --results")
    every = [result for source in sources for result in read_results(Path(source))]
    found = [result for result in every if model in {result.label, result.model}]
    if not found and len({result.label for result in every}) == 1:
        found = every
    if not found:
        labels = ", ".join(dict.fromkeys(result.label for result in every)) or "none"
        raise UserError(f"{', '.join(sources)}: has no results of {model!r}; its models are {labels}")
    return found
