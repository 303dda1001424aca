"""Embeddings from a paid API, where each text is paid for only once.

Every response is stored before it is used, so a killed process loses only the requests in progress.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ragcun.console import Bar, progress, warn
from ragcun.data.texts import Texts
from ragcun.embedding.budget import SAMPLE, Budget, estimate_tokens
from ragcun.embedding.openai import INPUTS, KEY, TOKENS, Answer, EmbeddingsEndpoint
from ragcun.embedding.recipe import Recipe
from ragcun.embedding.store import Digests, EmbeddingStore, Floats, Rows, digest_texts
from ragcun.errors import UserError

CHARACTERS = 24_000  # the default limit of a text: about 6,000 tokens of English; OpenAI's models accept 8,191
CHARACTERS_A_TOKEN = 4

_REQUESTS = 4  # the number of concurrent requests
_REFRESH = 64  # the number of answers after which the store is refreshed and its shards are merged


@dataclass(frozen=True)
class _Batch:
    texts: list[str]
    digests: Digests


class BoughtVectors:
    """Embeddings of n texts, (n, d) float32, which are read from the store block by block.

    Attributes:
        shape: (n, d).
    """

    def __init__(self, store: EmbeddingStore, rows: Rows) -> None:
        self._store = store
        self._rows = rows
        self.shape = (len(rows), store.read(rows[:1]).shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """Return a fingerprint that identifies the vectors."""
        return self._store.fingerprint(self._rows)

    def block(self, start: int, stop: int, /) -> Floats:
        """Return rows start .. stop-1."""
        return self._store.read(self._rows[start:stop])

    def rows(self, index: Rows, /) -> Floats:
        """Return the rows at `index`, in this order."""
        return self._store.read(self._rows[index])


class ApiEmbedder:
    """A model behind an API with OpenAI's protocol. The similarity is cosine, unless the recipe has another.

    A text is sent with its prompt and cut to 24,000 characters, or to 4 for each token of `max_length`. An empty text,
    which the API would refuse, is sent as a space.

    Args:
        endpoint: the endpoint that serves the model.
        model: the model's name at the endpoint.
        dimensions: the requested number of dimensions; None is the model's own.
        store: the folder of all stores.
        budget: the limit of the costs.
        price: the price in US dollars per million tokens; None if it is unknown.
        max_length: the maximum number of tokens, as above.
        recipe: the prompts and the similarity.
    """

    def __init__(
        self,
        endpoint: EmbeddingsEndpoint,
        model: str,
        dimensions: int | None,
        store: Path,
        budget: Budget,
        price: float | None,
        max_length: int | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        recipe = recipe or Recipe()
        self.similarity = recipe.similarity or "cosine"
        self._endpoint = endpoint
        self._model = model
        self._dimensions = dimensions
        self._prompts = {"query": recipe.query or "", "document": recipe.document or ""}
        self._characters = CHARACTERS_A_TOKEN * max_length if max_length else CHARACTERS
        self._budget = budget
        self._price = price
        self._root = store
        self._key = {"api": endpoint.url, "model": model, "dimensions": dimensions}

    def agree(self, queries: Texts, documents: Texts) -> None:
        """Print the estimated cost of embedding these texts, and return when it is confirmed.

        Raises:
            UserError: the cost is not confirmed, or there is no key. Nothing has been spent.
        """
        store = EmbeddingStore(self._root, self._key)
        characters, missing, sample = 0, 0, list[str]()
        for texts in (self._sent(queries, "query"), self._sent(documents, "document")):
            for row in _missing(store, digest_texts(texts)):
                text = texts[row]
                characters += len(text)
                missing += 1
                if len(sample) < SAMPLE:
                    sample.append(text)
        if missing:
            self._endpoint.require_client()
            if self._price is not None and not self._endpoint.key:
                raise UserError(f"{self._model}: {KEY} is not set")
            self._budget.agree(self._model, estimate_tokens(characters, missing, sample), self._price)

    def queries(self, texts: Texts) -> BoughtVectors:
        """Embed queries with their prompt."""
        return self._embed(self._sent(texts, "query"), "embedding queries")

    def documents(self, texts: Texts) -> BoughtVectors:
        """Embed documents with their prompt."""
        return self._embed(self._sent(texts, "document"), "embedding documents")

    def describe(self) -> dict[str, Any]:
        """Return everything that determines the ranking, as JSON."""
        return {
            "model": self._model,
            "endpoint": self._endpoint.url,
            "dimensions": self._dimensions,
            "max_characters": self._characters,
            "prompts": self._prompts,
            "similarity": self.similarity,
            "title": "joined with the text",
        }

    def _sent(self, texts: Texts, role: str) -> "_Sent":
        return _Sent(texts, self._prompts[role], self._characters)

    def _embed(self, texts: "_Sent", description: str) -> BoughtVectors:
        store = EmbeddingStore(self._root, self._key)  # a separate object, because merging shards moves rows
        digests = digest_texts(texts)
        if _missing(store, digests):
            with store.alone():
                missing = _missing(store, digests)
                with progress(description, len(missing), "texts") as bar:
                    self._pay_for(store, _batches(texts, digests, missing), bar)
        return BoughtVectors(store, store.find(digests))

    def _pay_for(self, store: EmbeddingStore, batches: Iterator[_Batch], bar: Bar) -> None:
        pending: dict[Future[Answer], _Batch] = {}
        stop = threading.Event()
        told: set[str] = set()

        def try_again(reason: str) -> bool:
            if reason not in told:
                told.add(reason)
                warn(f"{self._model}: {reason}; retrying")
            bar.note(reason)
            return not stop.is_set()

        def keep(future: Future[Answer]) -> None:
            answer, batch = future.result(), pending.pop(future)
            self._budget.pay(answer.tokens, self._price)
            store.write(batch.digests, answer.vectors)
            bar.advance(len(batch.texts))

        kept = 0
        with self._endpoint.connect(try_again) as connection, ThreadPoolExecutor(_REQUESTS) as pool:
            try:
                while True:
                    for batch in islice(batches, _REQUESTS - len(pending)):
                        self._budget.check()
                        pending[pool.submit(connection.embed, batch.texts)] = batch
                    if not pending:
                        break
                    for future in wait(pending, return_when=FIRST_COMPLETED).done:
                        keep(future)
                        kept += 1
                        if kept % _REFRESH == 0:
                            _take_in(store)
            finally:
                stop.set()
                for future in [future for future in pending if future.exception() is None]:
                    keep(future)  # it was in progress when another request failed, and is paid for
                _take_in(store)


def _missing(store: EmbeddingStore, digests: Digests) -> list[int]:
    """Return the rows of the texts that the store lacks, each text once, in order."""
    missing = np.flatnonzero(store.find(digests) < 0)
    _, first = np.unique(digests[missing], axis=0, return_index=True)
    rows: list[int] = missing[np.sort(first)].tolist()
    return rows


def _take_in(store: EmbeddingStore) -> None:
    store.refresh()
    store.compact()


class _Sent:
    """The texts in the form in which they are sent."""

    def __init__(self, texts: Texts, prompt: str, characters: int) -> None:
        self._texts = texts
        self._prompt = prompt
        self._characters = characters

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, row: int, /) -> str:
        return self._prompt + (self._texts[row][: self._characters] or " ")

    def __iter__(self) -> Iterator[str]:
        return (self._prompt + (text[: self._characters] or " ") for text in self._texts)


def _batches(texts: _Sent, digests: Digests, rows: list[int]) -> Iterator[_Batch]:
    """Group the rows into requests within the API's limits, in the order of `rows`."""
    batch: list[int] = []
    sent: list[str] = []
    size = 0
    for row in rows:
        text = texts[row]
        length = len(text.encode())
        if batch and (len(batch) == INPUTS or size + length > TOKENS):
            yield _Batch(sent, digests[batch])
            batch, sent, size = [], [], 0
        batch.append(row)
        sent.append(text)
        size += length
    if batch:
        yield _Batch(sent, digests[batch])
