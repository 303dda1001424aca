"""A client of OpenAI's embeddings endpoint, `POST BASE/embeddings`, which many servers speak."""

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2
import numpy as np

from ragcun.embedding.store import Floats
from ragcun.errors import RagcunError, UserError

KEY = "OPENAI_API_KEY"
INPUTS = 2_048  # of a request, at most
TOKENS = 300_000  # of a request, at most; no byte-level tokenizer makes more tokens of a text than it has bytes

_ATTEMPTS = 8
_LONGEST_PAUSE = 60.0
_TRANSIENT = {408, 409, 429, 500, 502, 503, 504, 529}
_SHOWN = 300  # characters of what a server says in an error
_TIMEOUT = httpx2.Timeout(120.0, connect=10.0)


@dataclass(frozen=True)
class Answer:
    """Embeddings of the texts of a request, (n, d), and how many tokens were paid for."""

    vectors: Floats
    tokens: int


class EmbeddingsEndpoint:
    """Embeds texts by one model of one endpoint, within a `with` block. Safe for several threads.

    The key is taken from OPENAI_API_KEY and goes nowhere but into the requests' header: whatever a server says in an
    error is shown without it. What is transient (429, 408, 409, 5xx, no answer) is tried again, after the pause that
    the server asks for or after 1, 2, 4, ... 60 seconds less up to half by chance, eight times in all.

    Args:
        url: up to and without `/embeddings`.
        model: the model's name there.
        dimensions: of the embeddings; None: the model's own.

    Raises:
        UserError: the URL is none, or the key is none that a header can carry.
    """

    def __init__(self, url: str, model: str, dimensions: int | None = None) -> None:
        self.url = checked_url(url)
        self._key = os.environ.get(KEY, "").strip()
        if not (self._key.isascii() and self._key.isprintable()) or " " in self._key:
            raise UserError(f"{KEY}: holds characters that no key has")
        self._request = {"model": model, "encoding_format": "float"}
        self._dimensions = {} if dimensions is None else {"dimensions": dimensions}

    def __enter__(self) -> "EmbeddingsEndpoint":
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._client = httpx2.Client(headers=headers, timeout=_TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def has_key(self) -> bool:
        """Whether OPENAI_API_KEY is set."""
        return bool(self._key)

    def embed(self, texts: Sequence[str], wait: Callable[[str, float], None]) -> Answer:
        """Embed texts, none of them empty. `wait` is called with the reason and the seconds of each pause.

        Raises:
            UserError: the endpoint refuses the key, the model or the texts.
            RagcunError: it does not answer, keeps failing, or answers what embeddings are not.
        """
        body = {**self._request, **self._dimensions, "input": list(texts)}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                response = self._client.post(f"{self.url}/embeddings", json=body)
            except httpx2.TransportError as error:
                reason, pause = f"no answer ({type(error).__name__})", None
            else:
                if response.is_success:
                    return self._answer(response, len(texts))
                reason, pause = self._refused(response), _asked_pause(response)
            if attempt < _ATTEMPTS:
                wait(reason, _pause(attempt) if pause is None else pause)
        raise RagcunError(
            f"{self.url}: {reason}, {_ATTEMPTS} times; what was embedded is kept, the same command goes on"
        )

    def _refused(self, response: httpx2.Response) -> str:
        """Why, where trying again may help; else the error is raised."""
        try:
            error = response.json()["error"]
            message, code = str(error["message"]), error.get("code")
        except (ValueError, KeyError, TypeError, AttributeError):
            message, code = response.text, None
        message = " ".join(self._without_key(message)[:_SHOWN].split())  # cut last: half a key would not be found
        said = f"{response.status_code} {message}".strip()
        if response.status_code in _TRANSIENT and code != "insufficient_quota":
            return said
        if response.status_code in {401, 403}:
            raise UserError(f"{self.url}: {said} ({KEY} is {'refused' if self._key else 'not set'})")
        if response.status_code == 404:
            raise UserError(f"{self.url}: {said}; is there such a model, and is --openai-base-url right?")
        if response.status_code in {400, 413, 422}:
            raise UserError(f"{self.url}: {said}; texts that are too long are cut by --max-length")
        raise RagcunError(f"{self.url}: {said}")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, f"({KEY})") if self._key else text

    def _answer(self, response: httpx2.Response, texts: int) -> Answer:
        try:
            content = response.json()
            rows = sorted(content["data"], key=lambda row: row["index"])
            vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
            tokens = int((content.get("usage") or {}).get("prompt_tokens") or 0)
            in_order = [row["index"] for row in rows] == list(range(texts))
        except (KeyError, TypeError, ValueError, AttributeError):
            in_order = False
        if not in_order or vectors.ndim != 2:
            raise RagcunError(f"{self.url}: the answer does not hold {texts} embeddings; is this an embeddings model?")
        if (asked := self._dimensions.get("dimensions", vectors.shape[1])) != vectors.shape[1]:
            raise RagcunError(f"{self.url}: asked for {asked} dimensions, answered {vectors.shape[1]}")
        return Answer(vectors, tokens)


def checked_url(url: str) -> str:
    """The URL without a slash at its end.

    Raises:
        UserError: it is not http(s)://HOST/PATH, or holds a user, a query or a fragment: keys do not belong there.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UserError("--openai-base-url: not a URL like https://HOST/v1")
    if parts.username is not None or parts.query or parts.fragment:
        raise UserError(f"--openai-base-url: only scheme, host and path; a key goes into {KEY}")
    return url.rstrip("/")


def _pause(attempt: int) -> float:
    longest = min(2.0 ** (attempt - 1), _LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311


def _asked_pause(response: httpx2.Response) -> float | None:
    """The seconds that the server asks to wait, by `retry-after-ms` or Retry-After (seconds or a date)."""
    milliseconds, after = response.headers.get("retry-after-ms"), response.headers.get("retry-after")
    try:
        if milliseconds is not None:
            seconds = float(milliseconds) / 1_000
        elif after is None:
            return None
        elif after.strip().isdigit():
            seconds = float(after)
        else:
            seconds = parsedate_to_datetime(after).timestamp() - time.time()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), _LONGEST_PAUSE)
