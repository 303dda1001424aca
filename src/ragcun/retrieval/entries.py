"""What a name can stand for: BM25, an encoder, a model behind an API, the fusion of two. Nothing is loaded here."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ragcun.embedding.budget import OPENAI, PRICES
from ragcun.embedding.recipe import POOLINGS, Recipe
from ragcun.embedding.resolve import resolve_model
from ragcun.errors import UserError
from ragcun.retrieval.bm25 import BM25, K1, B
from ragcun.retrieval.fusion import DEPTH, K, ReciprocalRank
from ragcun.retrieval.retrievers import Entry, Identity, Retriever, RetrieverOptions
from ragcun.retrieval.search import SIMILARITIES

if TYPE_CHECKING:
    from ragcun.embedding.embedder import Embedder

_AS_IT_IS = Recipe()


@dataclass(frozen=True)
class Lexical:
    """BM25 with its two parameters."""

    k1: float = K1
    b: float = B

    def identify(self, _: RetrieverOptions) -> Identity:
        retriever = BM25(self.k1, self.b)
        return Identity(retriever.label, retriever.describe())

    def load(self, _: RetrieverOptions) -> Retriever:
        return BM25(self.k1, self.b)


@dataclass(frozen=True)
class Encoder:
    """A sentence-transformers or transformers model: a hub id, a folder or an experiment.

    Attributes:
        model: its name, as `resolve_model` takes it.
        revision: of a hub id.
        recipe: what is laid down about its use.
        note: what stands behind its name in tables.
    """

    model: str
    revision: str | None = None
    recipe: Recipe = _AS_IT_IS
    note: str = ""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("pooling", self.recipe.pooling, POOLINGS),
            ("similarity", self.recipe.similarity, SIMILARITIES),
        ):
            if value is not None and value not in known:
                raise UserError(f"{self.model}: {name} {value!r} is unknown; one of {', '.join(known)}")

    def identify(self, encoding: RetrieverOptions) -> Identity:
        resolved = resolve_model(self.model, self.revision)
        inputs = {"files": resolved.fingerprint, "precision": encoding.precision, "recipe": asdict(self.recipe)}
        inputs |= _index(encoding)
        return Identity(resolved.label + self.note + encoding.note, inputs | {"max_length": encoding.max_length})

    def load(self, encoding: RetrieverOptions) -> Retriever:
        from ragcun.retrieval.dense import Dense

        embedder = self.embedder(encoding)
        return Dense(embedder, embedder.label + self.note + encoding.note, encoding)

    def embedder(self, encoding: RetrieverOptions) -> "Embedder":
        """The model itself."""
        from ragcun.embedding.embedder import Embedder

        return Embedder(
            self.model,
            encoding.store,
            encoding.precision,
            encoding.max_length,
            encoding.device,
            self.revision,
            self.recipe,
            encoding.runtime,
        )


@dataclass(frozen=True)
class ApiModel:
    """A model behind OpenAI's embeddings API, or behind another endpoint that speaks it (`RetrieverOptions.api_url`).

    Attributes:
        model: its name there.
        dimensions: asked for; None: the model's own.
        recipe: its prompts and similarity.
        note: what stands behind its name in tables.
    """

    model: str
    dimensions: int | None = None
    recipe: Recipe = _AS_IT_IS
    note: str = ""

    def identify(self, encoding: RetrieverOptions) -> Identity:
        from ragcun.embedding.openai import checked_url

        inputs = {
            "endpoint": checked_url(encoding.api_url),
            "model": self.model,
            "dimensions": self.dimensions,
            "recipe": asdict(self.recipe),
            "max_length": encoding.max_length,
        }
        return Identity(self._label + encoding.note, inputs | _index(encoding))

    def load(self, encoding: RetrieverOptions) -> Retriever:
        from ragcun.embedding.api import ApiEmbedder
        from ragcun.embedding.openai import EmbeddingsEndpoint
        from ragcun.retrieval.dense import Priced

        endpoint = EmbeddingsEndpoint(encoding.api_url, self.model, self.dimensions)
        price = PRICES.get(self.model) if endpoint.url == OPENAI else None
        embedder = ApiEmbedder(
            endpoint,
            self.model,
            self.dimensions,
            encoding.store,
            encoding.budget,
            price,
            encoding.max_length or self.recipe.max_length,
            self.recipe,
        )
        return Priced(embedder, self._label + encoding.note, encoding)

    @property
    def _label(self) -> str:
        return self.model + ("" if self.dimensions is None else f"@{self.dimensions}") + self.note


@dataclass(frozen=True)
class Fusion:
    """The reciprocal-rank fusion of two others."""

    first: Entry
    second: Entry

    def identify(self, encoding: RetrieverOptions) -> Identity:
        identities = [one.identify(encoding) for one in (self.first, self.second)]
        inputs = {"fusion": {"k": K, "depth": DEPTH}, "inputs": [identity.inputs for identity in identities]}
        return Identity(_fused(*(identity.label for identity in identities)), inputs)

    def load(self, encoding: RetrieverOptions) -> Retriever:
        first, second = self.first.load(encoding), self.second.load(encoding)
        return ReciprocalRank(first, second, _fused(first.label, second.label))


def _index(encoding: RetrieverOptions) -> dict[str, str]:
    return {} if encoding.index == "exact" else {"index": encoding.index}


def _fused(first: str, second: str) -> str:
    return f"RRF of {first} and {second}"
