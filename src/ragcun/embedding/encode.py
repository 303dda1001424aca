"""Encoding of the texts that a store lacks: an engine computes batches, and the vectors are written in shards."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from ragcun.console import progress
from ragcun.data.texts import Texts
from ragcun.distributed.collectives import process_count, process_rank, wait_for_all
from ragcun.embedding.base import Role, prompt_of
from ragcun.embedding.padding import depends_on_padding
from ragcun.embedding.runtimes import Engine
from ragcun.embedding.store import Digests, EmbeddingStore, Floats, digest_texts
from ragcun.embedding.token_batches import TokenBatch, plan_batches
from ragcun.embedding.torch_runtime import TorchEngine
from ragcun.errors import RagcunError
from ragcun.slices import slices

_WINDOW = 65_536  # texts that are sorted by length together
_FLUSH_SECONDS = 20.0
_FLUSH_ROWS = 65_536
_SHOWN = 60  # characters of a text that a message shows


def encode_missing(
    base: SentenceTransformer,
    load: Callable[[], Engine],
    texts: Texts,
    store: EmbeddingStore,
    prompt: str,
    role: Role,
    description: str,
    padded: bool = True,
) -> Digests:
    """Encode the texts that `store` lacks, and return the digests of all, in order, (n, 2).

    `load` gives the engine that computes `base`; it is called where a text is missing. Batches of a base whose vectors
    depend on padding are not `padded`. If the encoding is interrupted,
    at most the last shard (20 seconds of work) is lost. Processes that train together divide the batches among them and
    wait for each other.
    """
    digests = digest_texts(texts)
    if process_count() > 1:
        _encode_missing(
            base,
            load,
            texts,
            digests,
            store,
            prompt,
            role,
            description,
            padded,
            rank=process_rank(),
            world=process_count(),
        )
        wait_for_all()
        store.refresh()
    _encode_missing(base, load, texts, digests, store, prompt, role, description, padded, rank=0, world=1)
    return digests


def _encode_missing(
    base: SentenceTransformer,
    load: Callable[[], Engine],
    texts: Texts,
    digests: Digests,
    store: EmbeddingStore,
    prompt: str,
    role: Role,
    description: str,
    padded: bool,
    rank: int,
    world: int,
) -> None:
    """Encode the batches that `store` lacks, every `world`-th one, beginning with batch `rank`."""
    absent = store.find(digests) < 0
    if not absent.any():
        return
    engine = load()
    with (
        progress(description, float(absent.sum() // world), "texts") as bar,
        _Workers(base, engine) as workers,
    ):
        for window in slices(len(digests), _WINDOW):
            if not absent[window].any():
                continue
            window_texts = [texts[row] for row in range(window.start, window.stop)]
            planned = plan_batches(base, window_texts, digests[window], prompt, role, engine.tokens, padded)
            lacking = [batch for batch in planned[rank::world] if _lacks(store, batch)]
            # The longest texts come first, so the bar moves by the cost of a batch. By the number of texts, the rate
            # would rise, and the time left would be wrong.
            texts_of_cost = absent[window].sum() / world / max(1.0, sum(batch.cost for batch in lacking))
            shard = _Shard(store)
            for batch, vectors in workers.run(batch for batch in lacking if _lacks(store, batch)):
                shard.add(batch.digests, vectors)
                bar.advance(batch.cost * texts_of_cost)
            shard.flush()
    store.compact()


def _lacks(store: EmbeddingStore, batch: TokenBatch) -> bool:
    return bool((store.find(batch.digests) < 0).any())


def encode_now(model: SentenceTransformer, texts: Texts, role: Role, engine: Engine | None = None) -> Floats:
    """Compute the vectors of texts, (n, dimension), in order, without storing them.

    Without an `engine`, torch computes them from the model in its current state, which may be in training.
    """
    prompt = prompt_of(model, role)
    digests = digest_texts(texts)
    distinct, first, inverse = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    engine = engine or TorchEngine(model)
    padded = not depends_on_padding(model)
    batches = plan_batches(model, [texts[int(row)] for row in first], distinct, prompt, role, engine.tokens, padded)
    row_of = {digest: row for row, digest in enumerate(map(bytes, distinct))}
    out = np.empty((len(distinct), int(model.get_embedding_dimension() or 0)), dtype=np.float32)
    with _Workers(model, engine) as workers:
        for batch, vectors in workers.run(iter(batches)):
            out[[row_of[digest] for digest in map(bytes, batch.digests)]] = vectors
    return out[inverse.reshape(-1)]


class _Workers:
    """Workers of an engine: this thread prepares the next batches while the engine's threads compute."""

    def __init__(self, base: SentenceTransformer, engine: Engine) -> None:
        self.base = base
        self.engine = engine
        self.pool = ThreadPoolExecutor(engine.threads, initializer=engine.start_thread)

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)
        self.engine.stop_threads()

    def run(self, batches: Iterator[TokenBatch]) -> Iterator[tuple[TokenBatch, Floats]]:
        """Yield the batches with their vectors as they are completed."""
        pending: dict[Future[Floats], TokenBatch] = {}
        while True:
            for batch in islice(batches, 2 * self.engine.threads - len(pending)):
                pending[self.pool.submit(self.engine.encode, batch.features())] = batch
            if not pending:
                return
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                batch, vectors = pending.pop(future), future.result()
                _refuse_infinite(batch, vectors, self.base.dtype)
                yield batch, vectors


def _refuse_infinite(batch: TokenBatch, vectors: Floats, precision: torch.dtype | None) -> None:
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if not len(wrong):
        return
    advice = "its weights may be damaged" if precision == torch.float32 else "try --precision fp32"
    text = " ".join(batch.text(int(wrong[0])).split())
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    raise RagcunError(f"the base returned NaN or infinity for {len(wrong)} texts, such as {shown!r}; {advice}")


class _Shard:
    """The vectors that were computed since the last flush."""

    def __init__(self, store: EmbeddingStore) -> None:
        self.store = store
        self.digests: list[Digests] = []
        self.vectors: list[Floats] = []
        self.since = time.monotonic()

    def add(self, digests: Digests, vectors: Floats) -> None:
        """Add the vectors of a batch that the store lacks."""
        new = self.store.find(digests) < 0
        self.digests.append(digests[new])
        self.vectors.append(vectors[new])
        rows = sum(len(part) for part in self.digests)
        if rows >= _FLUSH_ROWS or time.monotonic() - self.since > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if sum(len(part) for part in self.digests):
            self.store.append(np.concatenate(self.digests), np.concatenate(self.vectors))
        self.digests, self.vectors = [], []
        self.since = time.monotonic()
