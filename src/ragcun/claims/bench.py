"""What claims are measured on: a base's vectors of several collections, and small heads trained on them."""

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
# The training of all heads, and what each has besides. They follow from how far treatments moved isotropy (see
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
    """A collection as a base sees it.

    Attributes:
        name: the collection's.
        base: vectors of queries and documents.
        similarity: the base's own.
    """

    name: str
    base: Pair
    similarity: str
    task: Task
    id_ranks: Rows
    own: Rows

    @cached_property
    def axes(self) -> Axes:
        """Of the base's documents."""
        return Axes.of(self.base[1])

    def ndcg(self, pair: Pair, similarity: str) -> Doubles:
        """Each query's nDCG@10 by exact search, (Q,)."""
        with quietly():
            top = search(*pair, 10, similarity, id_ranks=self.id_ranks, exclude=self.own)
        return self._scored(top)

    def reranked(self, pair: Pair, similarity: str) -> Doubles:
        """The same, of the documents that BM25 finds first."""
        with ThreadPoolExecutor() as pool:
            keys = rescored(pair[0], as_matrix(pair[1]), self._by_words, similarity, self.id_ranks, 1_024, pool)
        return self._scored(to_rows(best(keys, 10), self.id_ranks))

    @cached_property
    def plain(self) -> Doubles:
        """nDCG@10 of the base itself."""
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
    """Places, and heads that are trained when the first claim asks for one.

    Args:
        model: a base, as `--model` names it.
        tasks: the collections.
        train: a collection with a train and a dev split, that heads are trained on.
        output: has a folder for the base, where trained heads stay.
        options: how the base encodes.

    Raises:
        UserError: the model is no encoder.
    """

    def __init__(
        self, model: str, tasks: Sequence[Task], train: Path | None, output: Path, options: RetrieverOptions
    ) -> None:
        found = encoder(model)
        if found is None:
            raise UserError(f"{model}: is no encoder, whose vectors claims are tested on")
        self._embedder = found.embedder(options)
        self._model = self._embedder.resolved.path
        self._train = train
        self.folder = output / slug(self._embedder.label)
        self._options = options
        self._heads: dict[tuple[str, int], list[Pair]] = {}
        self.places = [_place(self._embedder, task) for task in tasks]

    @property
    def label(self) -> str:
        """The base's name."""
        return self._embedder.label

    @property
    def fingerprint(self) -> str:
        """The properties that identify the base."""
        return self._embedder.fingerprint

    @property
    def trains(self) -> bool:
        """Whether there is a collection that heads can be trained on."""
        return self._train is not None

    @cached_property
    def training(self) -> dict[str, Any]:
        """What determines the heads besides the base; JSON."""
        data = None if self._train is None else Collection.open(self._train).fingerprint("train")
        return {"training": TRAINING, "heads": HEADS, "seeds": list(SEEDS), "train": data}

    def head(self, name: str, seed: int) -> list[Pair]:
        """The vectors of each place by a head that is trained with the settings `HEADS[name]`."""
        if (name, seed) not in self._heads:
            folder = self._trained(name, seed)
            embedder = Embedder(
                str(folder), self._options.store, self._options.precision, runtime=self._options.runtime, label=name
            )
            self._heads[name, seed] = [_vectors(embedder, place.task) for place in self.places]
        return self._heads[name, seed]

    def over_seeds(self, name: str, measure: Callable[[Place, Pair], Any]) -> list[Any]:
        """The mean over seeds of what `measure` finds of each place, by the vectors of the head called `name`."""
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
