"""Encoding: texts are sorted by token length, batched by a token budget, one store shard at a time.

The batches follow from the texts alone, not from what the store already holds, so an interrupted encoding that is taken
up again gives the same vectors, to the bit, as one that was not interrupted.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer

from ragcun.console import progress
from ragcun.data.texts import Texts
from ragcun.distributed.collectives import process_count, process_rank, wait_for_all
from ragcun.embedding.store import Digests, EmbeddingStore, Floats, digest_texts

_WINDOW = 65_536  # texts that are sorted together
_FLUSH_SECONDS = 20.0
_FLUSH_ROWS = 65_536
_TOKEN_BUDGET = {"cpu": 512, "accelerator": 32_768}  # on a CPU a batch that stays in cache is the fastest


@dataclass(frozen=True)
class _Batch:
    texts: list[str]
    digests: Digests
    tokens: int


def encode_missing(
    model: SentenceTransformer, texts: Texts, store: EmbeddingStore, prompt: str, description: str
) -> Digests:
    """Encode the texts that `store` lacks, and return the digests of all, in order, (n, 2).

    Interrupted, at most the last shard (20 seconds of work) is lost. Processes that train together share the work, and
    wait for each other.
    """
    digests = digest_texts(texts)
    if process_count() > 1:
        _encode_missing(model, texts, digests, store, prompt, description, share=(process_rank(), process_count()))
        wait_for_all()
        store.refresh()
    _encode_missing(model, texts, digests, store, prompt, description, share=(0, 1))
    return digests


def _encode_missing(
    model: SentenceTransformer,
    texts: Texts,
    digests: Digests,
    store: EmbeddingStore,
    prompt: str,
    description: str,
    share: tuple[int, int],
) -> None:
    """Encode every `share[1]`-th batch, from `share[0]` on, of those that `store` lacks."""
    absent = store.find(digests) < 0
    if not absent.any():
        return
    with progress(description, float(absent.sum() // share[1]), "texts") as bar, _Workers(model, prompt) as workers:
        for start in range(0, len(digests), _WINDOW):
            window = slice(start, start + _WINDOW)
            if not absent[window].any():
                continue
            window_texts = [texts[row] for row in range(start, min(start + _WINDOW, len(digests)))]
            batches = islice(_plan(model, window_texts, digests[window], prompt), share[0], None, share[1])
            shard = _Shard(store)
            for batch, vectors in workers.run(batch for batch in batches if (store.find(batch.digests) < 0).any()):
                bar.advance(float((store.find(batch.digests) < 0).sum()))
                shard.add(batch.digests, vectors)
            shard.flush()
    store.compact()


def _plan(model: SentenceTransformer, texts: list[str], digests: Digests, prompt: str) -> list[_Batch]:
    _, unique = np.unique(digests, axis=0, return_index=True)
    lengths = token_lengths(model, [prompt + texts[row] for row in unique])
    order = sorted(range(len(unique)), key=lambda i: (-lengths[i], *digests[unique[i]].tolist()))
    budget = _TOKEN_BUDGET["cpu" if model.device.type == "cpu" else "accelerator"]
    batches: list[_Batch] = []
    rows: list[int] = []
    longest = 0
    for i in order:
        if rows and (len(rows) + 1) * longest > budget:
            batches.append(_Batch([texts[r] for r in rows], digests[rows], longest))
            rows = []
        if not rows:
            longest = max(1, int(lengths[i]))
        rows.append(int(unique[i]))
    batches.append(_Batch([texts[r] for r in rows], digests[rows], longest))
    return batches


def token_lengths(model: SentenceTransformer, texts: list[str]) -> npt.NDArray[np.int64]:
    """How many tokens the base sees of each text, (n,)."""
    limit = model.max_seq_length or 10**9
    encoded = model.tokenizer(texts, truncation=True, max_length=limit, add_special_tokens=True, verbose=False)
    return np.fromiter((len(ids) for ids in encoded["input_ids"]), dtype=np.int64, count=len(texts))


def encode_now(model: SentenceTransformer, texts: Texts, prompt: str) -> Floats:
    """The vectors of texts under a model that is being trained, (n, dimension), in order; nothing is stored."""
    digests = digest_texts(texts)
    distinct, first, inverse = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    batches = _plan(model, [texts[int(row)] for row in first], distinct, prompt)
    place = {digest: row for row, digest in enumerate(map(bytes, distinct))}
    out = np.empty((len(distinct), int(model.get_embedding_dimension() or 0)), dtype=np.float32)
    with _Workers(model, prompt) as workers:
        for batch, vectors in workers.run(iter(batches)):
            out[[place[digest] for digest in map(bytes, batch.digests)]] = vectors
    return out[inverse.reshape(-1)]


class _Shard:
    """What has been encoded since the last flush."""

    def __init__(self, store: EmbeddingStore) -> None:
        self.store = store
        self.digests: list[Digests] = []
        self.vectors: list[Floats] = []
        self.since = time.monotonic()

    def add(self, digests: Digests, vectors: Floats) -> None:
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


class _Workers:
    """Runs batches through the model: on a CPU one thread a core, each with its own batch; elsewhere one thread.

    One core a batch keeps each batch in that core's cache and makes the result independent of the number of cores.
    """

    def __init__(self, model: SentenceTransformer, prompt: str) -> None:
        self.model = model
        self.prompt = prompt or None
        self.tokenising = threading.Lock()  # a fast tokenizer's padding state is shared
        self.threads = torch.get_num_threads()
        cpu = model.device.type == "cpu"
        self.workers = self.threads if cpu else 1
        self.pool = ThreadPoolExecutor(self.workers, initializer=lambda: torch.set_num_threads(1) if cpu else None)

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(self.threads)

    def run(self, batches: Iterator[_Batch]) -> Iterator[tuple[_Batch, Floats]]:
        pending: set[Future[tuple[_Batch, Floats]]] = set()
        while True:
            pending |= {self.pool.submit(self._encode, b) for b in islice(batches, 2 * self.workers - len(pending))}
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()

    @torch.no_grad()
    def _encode(self, batch: _Batch) -> tuple[_Batch, Floats]:
        with self.tokenising:
            features: dict[str, Any] = self.model.preprocess(batch.texts, prompt=self.prompt)
        moved = {name: v.to(self.model.device) if torch.is_tensor(v) else v for name, v in features.items()}
        return batch, self.model(moved)["sentence_embedding"].float().cpu().numpy()
