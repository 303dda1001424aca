"""Resolution of a retriever's name: BM25, an encoder, a model behind an API, a fusion of two, or a run.

bm25, bm25:k1=1.2,b=0.75                BM25, with default or other parameters
minilm, FOLDER, HUB-ID, HUB-ID@REVISION an encoder; to add a short name is to add an entry to `embedding.known.KNOWN`
HUB-ID:pooling=cls,query=query: ,...    an encoder with options that override its files
MODEL:codec=2bit/192                    an encoder whose document vectors are compressed (see `codecs.spec`)
openai:MODEL, openai:MODEL@512          a model behind an embeddings API, with 512 dimensions
rrf:A+B                                 the fusion of two of the above
run:FILE, run:FOLDER, run:{dataset}.trec runs of another system in TREC's format; see `run_files`
NAME=ANY                                any of the above, with a name for tables

Identifying a retriever does not load a model.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ragcun.data.provenance import Provenance
from ragcun.embedding.budget import OPENAI, PRICES
from ragcun.embedding.known import KNOWN, find_known
from ragcun.embedding.model_files import architecture, refuse_length
from ragcun.embedding.recipe import POOLINGS, Recipe
from ragcun.embedding.resolve import is_folder, parse_label, refuse_misspelt, resolve_model
from ragcun.embedding.runtimes import choose_runtime
from ragcun.embedding.width import width_of
from ragcun.errors import UserError
from ragcun.retrieval.bm25 import BM25, K1, B
from ragcun.retrieval.codecs.spec import VERSION, CodecSpec
from ragcun.retrieval.fusion import DEPTH, K, ReciprocalRank
from ragcun.retrieval.retrievers import Entry, Identity, Retriever, RetrieverOptions
from ragcun.retrieval.run_files import RunFiles
from ragcun.retrieval.search import SIMILARITIES
from ragcun.retrieval.words import ENGLISH

if TYPE_CHECKING:
    from ragcun.embedding.embedder import Embedder

_AS_IT_IS = Recipe()
_LEXICAL = "bm25"
_API = "openai:"
_FUSION = "rrf:"
_RUN = "run:"
_OPTIONS = re.compile(r"(?P<name>.+?):(?P<options>\w+=.*)", re.DOTALL)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


_TYPES: dict[str, Callable[[str], float]] = {"k1": float, "b": float, "max_length": _count, "truncate_dim": _count}


@dataclass(frozen=True)
class Lexical:
    """BM25 with its two parameters and its language; `label` is the user's name for it, if there is one."""

    k1: float = K1
    b: float = B
    language: str = ENGLISH
    label: str | None = None

    def identify(self, options: RetrieverOptions) -> Identity:
        retriever = self.load(options)
        return Identity(retriever.label, retriever.describe())

    def load(self, _: RetrieverOptions) -> Retriever:
        retriever = BM25(self.k1, self.b, self.language)
        retriever.label = self.label or retriever.label
        return retriever


@dataclass(frozen=True)
class Encoder:
    """A sentence-transformers or transformers model.

    Attributes:
        model: the model's name, as `resolve_model` accepts it.
        recipe: settings that override the model's files.
        note: a note after the name in tables.
        label: the user's name for the model, which replaces its name and the note.
        codec: the codec of the documents' vectors; None for full vectors.
    """

    model: str
    recipe: Recipe = _AS_IT_IS
    note: str = ""
    label: str | None = None
    codec: CodecSpec | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("pooling", self.recipe.pooling, POOLINGS),
            ("similarity", self.recipe.similarity, SIMILARITIES),
        ):
            if value is not None and value not in known:
                raise UserError(f"{self.model}: {name} {value!r} is unknown; choose one of {', '.join(known)}")

    def identify(self, options: RetrieverOptions) -> Identity:
        resolved = resolve_model(self.model)
        self._refuse_wider(width_of(resolved))
        refuse_length(resolved.path, resolved.source, options.max_length or self.recipe.max_length)
        inputs = {"files": resolved.fingerprint, "precision": options.precision, "recipe": asdict(self.recipe)}
        chosen = choose_runtime(options.runtime, architecture(resolved.path), options.precision, options.device)
        inputs |= chosen.runtime.determines() | _index(options, self.codec)
        label = self._called(resolved.label, options)
        return Identity(label, inputs | {"max_length": options.max_length}, resolved.provenance)

    def _refuse_wider(self, width: int | None) -> None:
        coded = None if self.codec is None else self.codec.dims
        for what, asked in (("truncate_dim", self.recipe.truncate_dim), ("codec", coded)):
            if width is not None and asked is not None and asked > width:
                raise UserError(
                    f"{self.model}: {what} asks for {asked} dimensions, which are more than the {width} of the model; "
                    f"give {width} or fewer"
                )
        if width is not None and self.codec is not None:
            self.codec.check(self.recipe.truncate_dim or width)

    def load(self, options: RetrieverOptions) -> Retriever:
        from ragcun.retrieval.dense import Dense

        embedder = self.embedder(options)
        return Dense(embedder, self._called(embedder.resolved.label, options), options, self.codec)

    def embedder(self, options: RetrieverOptions) -> "Embedder":
        """Return the model's embedder."""
        from ragcun.embedding.embedder import Embedder

        return Embedder(
            self.model,
            options.store,
            precision=options.precision,
            max_length=options.max_length,
            device=options.device,
            recipe=self.recipe,
            runtime=options.runtime,
            label=self.label,
        )

    def _called(self, name: str, options: RetrieverOptions) -> str:
        return (self.label or name + self.note) + options.note


@dataclass(frozen=True)
class ApiModel:
    """A model behind OpenAI's embeddings API, or behind a compatible endpoint (`RetrieverOptions.api_url`).

    Attributes:
        model: the model's name at the endpoint.
        dimensions: the requested number of dimensions; None is the model's own.
        recipe: the prompts and the similarity.
        note: a note after the name in tables.
        label: the user's name for the model, which replaces its name and the note.
        codec: the codec of the documents' vectors; None for full vectors.
    """

    model: str
    dimensions: int | None = None
    recipe: Recipe = _AS_IT_IS
    note: str = ""
    label: str | None = None
    codec: CodecSpec | None = None

    def identify(self, options: RetrieverOptions) -> Identity:
        from ragcun.embedding.openai import checked_url

        inputs = {
            "endpoint": checked_url(options.api_url),
            "model": self.model,
            "dimensions": self.dimensions,
            "recipe": asdict(self.recipe),
            "max_length": options.max_length,
        }
        return Identity(self._called(options), inputs | _index(options, self.codec))

    def load(self, options: RetrieverOptions) -> Retriever:
        from ragcun.embedding.api import ApiEmbedder
        from ragcun.embedding.openai import EmbeddingsEndpoint
        from ragcun.retrieval.dense import Priced

        endpoint = EmbeddingsEndpoint(options.api_url, self.model, self.dimensions)
        price = PRICES.get(self.model) if endpoint.url == OPENAI else None
        embedder = ApiEmbedder(
            endpoint,
            self.model,
            self.dimensions,
            options.store,
            options.budget,
            price,
            options.max_length or self.recipe.max_length,
            self.recipe,
        )
        return Priced(embedder, self._called(options), options, self.codec)

    def _called(self, options: RetrieverOptions) -> str:
        dimensions = "" if self.dimensions is None else f"@{self.dimensions}"
        return (self.label or self.model + dimensions + self.note) + options.note


@dataclass(frozen=True)
class Fusion:
    """The reciprocal rank fusion of two retrievers; `label` is the user's name for it, if there is one."""

    first: Entry
    second: Entry
    label: str | None = None

    def identify(self, options: RetrieverOptions) -> Identity:
        first, second = self.first.identify(options), self.second.identify(options)
        inputs = {"fusion": {"k": K, "depth": DEPTH}, "inputs": [first.inputs, second.inputs]}
        provenance = Provenance.of_all([first.provenance, second.provenance])
        return Identity(self._called(first.label, second.label, options), inputs, provenance)

    def load(self, options: RetrieverOptions) -> Retriever:
        first, second = self.first.load(options), self.second.load(options)
        return ReciprocalRank(first, second, self._called(first.label, second.label, options))

    def _called(self, first: str, second: str, options: RetrieverOptions) -> str:
        return f"RRF of {first} and {second}" if self.label is None else self.label + options.note


@dataclass(frozen=True)
class Foreign:
    """The runs of another system; `label` is the user's name for it, if there is one."""

    files: RunFiles
    label: str | None = None

    def identify(self, _: RetrieverOptions) -> Identity:
        return Identity(self.label or self.files.name, {}, runs=self.files)

    def load(self, _: RetrieverOptions) -> Retriever:
        raise UserError(f"{_RUN}{self.files.where}: is a ranking, which cannot rank other queries")


def entry(name: str) -> Entry:
    """Parse a retriever's name without searching for a model. Raises `UserError` for an invalid name."""
    label, model = parse_label(name)
    if model.startswith(_RUN):
        return Foreign(RunFiles.parse(model.removeprefix(_RUN)), label)
    if model.startswith(_FUSION):
        return replace(_fusion(model), label=label)
    options = ""
    if not is_folder(model) and (found := _OPTIONS.fullmatch(model)):
        model, options = found["name"], found["options"]
    plain = _plain(model)
    if isinstance(plain, Lexical):
        return replace(plain, label=label, **_values(model, options, ["k1", "b", "language"]))
    not_there = {"pooling", "truncate_dim"} if isinstance(plain, ApiModel) else set()
    names = [field.name for field in fields(Recipe) if field.name not in not_there]
    values = _values(model, options, [*names, "codec"])
    note = f" ({', '.join(f'{key} = {value}' for key, value in values.items())})" if values else ""
    codec = CodecSpec.parse(values.pop("codec")) if "codec" in values else None
    return replace(plain, recipe=replace(plain.recipe, **values), note=note, label=label, codec=codec)


def identify(name: str, options: RetrieverOptions) -> Identity:
    """Identify the retriever called `name`.

    Raises:
        UserError: there is no such retriever, or one of its options is unknown.
        RagcunError: a hub did not answer.
    """
    return entry(name).identify(options)


def load_retriever(name: str, options: RetrieverOptions) -> Retriever:
    """Load the retriever called `name`, ready to rank. Raises as `identify` does."""
    return entry(name).load(options)


def encoder(name: str) -> Encoder | None:
    """Return the encoder called `name`; None if it is another kind of retriever. Raises as `identify` does."""
    found = entry(name)
    return found if isinstance(found, Encoder) else None


def _fusion(name: str) -> Fusion:
    inputs = name.removeprefix(_FUSION).split("+")
    if len(inputs) != 2 or not all(inputs):
        raise UserError(f"{name}: must name two retrievers, as in {_FUSION}bm25+minilm")
    if any(one.startswith(_RUN) for one in inputs):
        raise UserError(f"{name}: {_RUN}... is a ranking, which cannot be fused")
    return Fusion(entry(inputs[0]), entry(inputs[1]))


def _plain(name: str) -> Lexical | Encoder | ApiModel:
    if name.lower() == _LEXICAL:
        return Lexical()
    if name.startswith(_API):
        model, _, dimensions = name.removeprefix(_API).partition("@")
        if not model:
            raise UserError(f"{name}: must be {_API}MODEL or {_API}MODEL@DIMENSIONS")
        try:
            return ApiModel(model, _count(dimensions) if dimensions else None)
        except ValueError:
            raise UserError(f"{name}: must be {_API}MODEL or {_API}MODEL@DIMENSIONS") from None
    if (known := find_known(name)) is not None:
        return Encoder(name, known.recipe)
    if not is_folder(name):
        refuse_misspelt(name, [_LEXICAL, *KNOWN])
    return Encoder(name)


def _values(name: str, options: str, known: list[str]) -> dict[str, Any]:
    """Parse the options. A comma ends one only before the name of the next, because prompts may contain commas."""
    if not options:
        return {}
    values: dict[str, Any] = {}
    for option in re.split(rf",(?=(?:{'|'.join(known)})=)", options):
        key, _, value = option.partition("=")
        if key not in known:
            raise UserError(f"{name}: has no option {key!r}; its options are {', '.join(known)}")
        try:
            values[key] = _TYPES[key](value) if key in _TYPES else value
        except ValueError:
            kind = "a number above 0" if _TYPES[key] is _count else "a number"
            raise UserError(f"{name}: {key}={value} is not {kind}") from None
    return values


def _index(options: RetrieverOptions, codec: CodecSpec | None) -> dict[str, Any]:
    found: dict[str, Any] = {} if options.index == "exact" else {"index": options.index}
    if codec is not None:
        if found:
            raise UserError(f"--index {options.index}: a model with codec={codec} is searched exactly, by its codes")
        found["codec"] = codec.to_json() | {"version": VERSION}
    return found
