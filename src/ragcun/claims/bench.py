"""Data that claims are measured on: vectors of a base for several collections, and small heads trained on them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ragcun.claims.transforms import Axes, Pair
from ragcun.console import quietly, say
from ragcun.data.collection import Collection
from ragcun.data.texts import Selected
from ragcun.embedding.embedder import Embedder
from ragcun.errors import UserError
from ragcun.evaluation.compute import own_documents, run_parts
from ragcun.evaluation.metrics import score
from ragcun.evaluation.results import slug
from ragcun.evaluation.statistics import Doubles
from ragcun.evaluation.tasks import Task
from ragcun.retrieval.bm25 import BM25
from ragcun.retrieval.matrices import as_matrix
from ragcun.retrieval.registry import encoder
from ragcun.retrieval.rescore import rescored
from ragcun.retrieval.retrievers import RetrieverOptions
from ragcun.retrieval.search import search
from ragcun.retrieval.topk import Rows, TopK, best, rank_ids, to_rows

SEEDS = (0, 1)
# Settings that all heads share, and the settings of each head. They follow from how far treatments moved isotropy (see
# docs/claims.md), and were fixed before any verdict.
TRAINING: dict[str, Any] = {
    "rows": 12_000,
    "epochs": 10,
    "learning_rate": 2e-3,
    "eval_interval": 10_000,
    "checkpoint": "last",
    "interpolate": 1.0,
    "lambda_isotropy": 0.0,
    "lambda_reg": 0.0,
    "lambda_distill": 0.0,
    "lambda_general": 0.0,
}
HEADS: dict[str, dict[str, float]] = {
    "plain": {},
    "sigreg": {"lambda_axes": 300.0},
    "covariance": {"lambda_covariance": 10.0},
    "isotropic": {"lambda_axes": 300.0, "lambda_covariance": 10.0},
    "gor": {"lambda_gor": 300.0},
}
_RERANKED = 100


@dataclass(frozen=True)
class Place:
    """A collection with its vectors by a base.

    Attributes:
        name: the name of the collection.
        base: vectors of queries (Q, D) and of documents (N, D).
        similarity: the similarity of the base: cosine, dot or euclidean.
        id_ranks: the position of each document in the order of ids, (N,); it decides ties.
        own: for each query the row of the document with the same text, or -1, (Q,).
    """

    name: str
    base: Pair
    similarity: str
    task: Task
    id_ranks: Rows
    own: Rows

    @cached_property
    def axes(self) -> Axes:
        """Principal axes of the documents' vectors by the base."""
        return Axes.of(self.base[1])

    def ndcg(self, pair: Pair, similarity: str) -> Doubles:
        """Return nDCG@10 of each query by exact search, (Q,)."""
        with quietly():
            top = search(*pair, 10, similarity, id_ranks=self.id_ranks, exclude=self.own)
        return self._scored(top)

    def reranked(self, pair: Pair, similarity: str) -> Doubles:
        """Return nDCG@10 of each query after re-ranking the first 100 documents of BM25, (Q,)."""
        with ThreadPoolExecutor() as pool:
            keys = rescored(pair[0], as_matrix(pair[1]), self._by_words, similarity, self.id_ranks, 1_024, pool)
        return self._scored(to_rows(best(keys, 10), self.id_ranks))

    @cached_property
    def plain(self) -> Doubles:
        """nDCG@10 of each query by the base itself, (Q,)."""
        return self.ndcg(self.base, self.similarity)

    @cached_property
    def _by_words(self) -> Rows:
        collection = self.task.collection
        texts = Selected(collection.queries, collection.queries.rows(self._qrels))
        depth = min(_RERANKED, len(collection.corpus))
        with quietly():
            return BM25().rank(collection.corpus, texts, depth, self.id_ranks, self.own).rows

    @property
    def _qrels(self) -> dict[str, dict[str, int]]:
        return self.task.collection.qrels(self.task.split)

    def _scored(self, top: TopK) -> Doubles:
        qrels = self._qrels
        run = {
            query: found for part in run_parts(self.task.collection, list(qrels), top) for query, found in part.items()
        }
        return np.array(score(qrels, run, ["nDCG@10"]).values["nDCG@10"])


class Bench:
    """Collections with vectors by a base, and heads, each trained when the first claim needs it.

    Args:
        model: a base, as `--model` names it.
        tasks: the collections.
        train: a collection with a train and a dev split, on which heads are trained.
        output: the folder for results; trained heads are kept in its folder for the base.
        options: how the base encodes.

    Raises:
        UserError: the model is not an encoder.
    """

    def __init__(
        self, model: str, tasks: Sequence[Task], train: Path | None, output: Path, options: RetrieverOptions
    ) -> None:
        found = encoder(model)
        if found is None:
            raise UserError(f"{model}: is not an encoder; claims are tested on vectors, so choose an encoder")
        self._embedder = found.embedder(options)
        self._model = self._embedder.resolved.path
        self._train = train
        self.folder = output / slug(self._embedder.label)
        self._options = options
        self._heads: dict[tuple[str, int], list[Pair]] = {}
        self.places = [_place(self._embedder, task) for task in tasks]

    @property
    def label(self) -> str:
        """Name of the base."""
        return self._embedder.label

    @property
    def fingerprint(self) -> str:
        """Fingerprint that identifies the base."""
        return self._embedder.fingerprint

    @property
    def trains(self) -> bool:
        """Whether there is a collection to train heads on."""
        return self._train is not None

    @cached_property
    def training(self) -> dict[str, Any]:
        """Everything that determines the heads besides the base, as JSON values."""
        data = None if self._train is None else Collection.open(self._train).fingerprint("train")
        return {"training": TRAINING, "heads": HEADS, "seeds": list(SEEDS), "train": data}

    def head(self, name: str, seed: int) -> list[Pair]:
        """Return the vectors of each collection by a head that is trained with the settings `HEADS[name]`."""
        if (name, seed) not in self._heads:
            folder = self._trained(name, seed)
            embedder = Embedder(
                str(folder), self._options.store, self._options.precision, runtime=self._options.runtime, label=name
            )
            self._heads[name, seed] = [_vectors(embedder, place.task) for place in self.places]
        return self._heads[name, seed]

    def over_seeds(self, name: str, measure: Callable[[Place, Pair], Any]) -> list[Any]:
        """Return `measure` for each collection by the head called `name`, as a mean over seeds."""
        heads = [self.head(name, seed) for seed in SEEDS]
        return [
            np.mean([measure(place, head[number]) for head in heads], axis=0)
            for number, place in enumerate(self.places)
        ]

    def _trained(self, name: str, seed: int) -> Path:
        from ragcun.settings.load import load_settings
        from ragcun.training.run import train

        flags: dict[str, Any] = {
            "seed": seed,
            "data.train": str(self._train),
            "data.dev_rows": 200,
            "model.base": str(self._model),
            "model.precision": self._options.precision,
            "model.runtime": self._options.runtime,
            **{f"training.{key}": value for key, value in (TRAINING | HEADS[name]).items()},
        }
        decides = [flags, self.training["train"], self.fingerprint]
        digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]
        folder = self.folder / "heads" / f"{name}-{seed}-{digest}"
        say(f"head {name}, seed {seed}")
        train(load_settings(flags=flags), folder, self._options.store)
        return folder


def _place(embedder: Embedder, task: Task) -> Place:
    collection = task.collection
    own = own_documents(collection, collection.qrels(task.split))
    ids = rank_ids(collection.corpus.ids())
    return Place(collection.name, _vectors(embedder, task), embedder.similarity, task, ids, own)


def _vectors(embedder: Embedder, task: Task) -> Pair:
    collection = task.collection
    texts = Selected(collection.queries, collection.queries.rows(collection.qrels(task.split)))
    with quietly():
        asked, documents = embedder.queries(texts), embedder.documents(collection.corpus)
    return asked.block(0, len(asked)), documents.block(0, len(documents))
