"""The embeddings endpoint of OpenAI's API, `POST BASE/embeddings`, which many servers offer, by the official client."""

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from ragcun.embedding.store import Floats
from ragcun.errors import RagcunError, UserError

if TYPE_CHECKING:
    import openai

KEY = "OPENAI_API_KEY"
INPUTS = 2_048  # the maximum number of texts in a request
TOKENS = 300_000  # the maximum per request; a byte-level tokenizer makes at most one token per byte

_RETRIES = 7
_SHOWN = 300  # characters of a server's message that an error shows
_SECONDS = 120.0  # the timeout of a request
_TRANSIENT = {408, 409, 429}  # with those from 500 on, the statuses that the client retries
_NO_RETRY = "x-should-retry"  # the header by which a response tells the client whether to try again


@dataclass(frozen=True)
class Answer:
    """The embeddings of the texts of a request, (n, d), and the number of tokens that were paid for."""

    vectors: Floats
    tokens: int


class EmbeddingsEndpoint:
    """A model behind an endpoint.

    The key is read from OPENAI_API_KEY and is used only in the requests' header. It is removed from servers' messages,
    and exceptions of the client, which contain the request, do not leave this file.

    Args:
        url: the URL, without `/embeddings`.
        model: the model's name at the endpoint.
        dimensions: the number of dimensions of the embeddings; None is the model's own.

    Raises:
        UserError: the URL is invalid, or the key has characters that a header cannot contain.
    """

    def __init__(self, url: str, model: str, dimensions: int | None = None) -> None:
        self.url = checked_url(url)
        self.key = os.environ.get(KEY, "").strip()
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key:
            raise UserError(f"{KEY}: contains characters that are not allowed in a key")
        self.model = model
        self.dimensions = dimensions

    def require_client(self) -> None:
        """Raise a `UserError` if the official client is not installed."""
        if importlib.util.find_spec("openai") is None:
            raise UserError(f"{self.model}: needs OpenAI's client; run pip install 'ragcun[openai]'")

    @contextmanager
    def connect(self, failed: Callable[[str], bool]) -> Iterator["Connection"]:
        """Open a connection, which is closed at the end of the block.

        The client retries transient errors (408, 409, 429, 5xx, no answer) up to seven times, after the pause that the
        server requests or after growing pauses. `failed` is called with the reason of each error, and returns whether
        to retry. An exhausted quota is not transient.
        """
        self.require_client()
        import openai

        def look(response: Any) -> None:
            if _transient(response.status_code):
                response.read()
                said, code = self.said(response)
                if code == "insufficient_quota" or not failed(said):
                    response.headers[_NO_RETRY] = "false"

        http = openai.DefaultHttpxClient(event_hooks={"response": [look]}, follow_redirects=False)
        with openai.OpenAI(
            api_key=self.key or "none",  # which `embed` then omits
            base_url=self.url,
            max_retries=_RETRIES,
            timeout=openai.Timeout(_SECONDS, connect=10.0),
            http_client=http,
        ) as client:
            yield Connection(self, client)

    def said(self, response: Any) -> tuple[str, str | None]:
        """Return the status and message of an HTTP error in one line without the key, and the error's code, if any."""
        try:
            error = response.json()["error"]
            message, code = str(error["message"]), error.get("code")
        except (ValueError, KeyError, TypeError, AttributeError):
            message, code = response.text, None
        if self.key:
            message = message.replace(self.key, f"({KEY})")
        message = " ".join(message[:_SHOWN].split())  # after the key was removed, since a part of it would not be found
        return f"{response.status_code} {message}".strip(), code


class Connection:
    """A connection that embeds texts with a model of an endpoint. It is thread-safe."""

    def __init__(self, endpoint: EmbeddingsEndpoint, client: "openai.OpenAI") -> None:
        self._endpoint = endpoint
        self._client = client

    def embed(self, texts: Sequence[str]) -> Answer:
        """Embed texts, none of which is empty.

        Raises:
            UserError: the endpoint refuses the key, the model or the texts.
            RagcunError: the endpoint does not answer, keeps failing, or returns something other than embeddings.
        """
        import openai

        endpoint = self._endpoint
        try:
            response = self._client.embeddings.with_raw_response.create(
                input=list(texts),
                model=endpoint.model,
                encoding_format="float",
                dimensions=openai.omit if endpoint.dimensions is None else endpoint.dimensions,
                extra_headers={} if endpoint.key else {"Authorization": openai.omit},
            )
        except openai.APIStatusError as error:
            failure = self._refusal(error)
        except openai.APIConnectionError as error:
            failure = self._gave_up(f"no answer ({type(error.__cause__).__name__})", error)
        else:
            return self._answer(response.http_response, len(texts))
        raise failure  # outside the handler, so that the client's exception is not its context

    def _refusal(self, error: "openai.APIStatusError") -> RagcunError:
        url, status = self._endpoint.url, error.status_code
        said, code = self._endpoint.said(error.response)
        if _transient(status) and code != "insufficient_quota":
            return self._gave_up(said, error)
        if status in {401, 403}:
            return UserError(f"{url}: {said} ({KEY} is {'refused' if self._endpoint.key else 'not set'})")
        if status == 404:
            return UserError(f"{url}: {said}; check the name of the model and --openai-base-url")
        if status in {400, 413, 422}:
            return UserError(f"{url}: {said}; use --max-length to cut long texts")
        return RagcunError(f"{url}: {said}")

    def _gave_up(self, reason: str, error: "openai.APIError") -> RagcunError:
        tries = int(error.request.headers.get("x-stainless-retry-count", 0)) + 1
        times = "once" if tries == 1 else f"{tries} times"
        return RagcunError(
            f"{self._endpoint.url}: {reason}, {times}; finished embeddings are kept; run the same command again "
            "to resume"
        )

    def _answer(self, response: Any, texts: int) -> Answer:
        url, asked = self._endpoint.url, self._endpoint.dimensions
        try:
            content = response.json()
            rows = sorted(content["data"], key=lambda row: row["index"])
            vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
            tokens = int((content.get("usage") or {}).get("prompt_tokens") or 0)
            in_order = [row["index"] for row in rows] == list(range(texts))
        except (KeyError, TypeError, ValueError, AttributeError):
            in_order = False
        if not in_order or vectors.ndim != 2:
            raise RagcunError(
                f"{url}: the response does not contain {texts} embeddings; check that this is an embeddings model"
            )
        if asked is not None and asked != vectors.shape[1]:
            raise RagcunError(f"{url}: returned {vectors.shape[1]} dimensions instead of {asked}")
        return Answer(vectors, tokens)


def _transient(status: int) -> bool:
    return status in _TRANSIENT or status >= 500


def checked_url(url: str) -> str:
    """Return the URL without a slash at its end.

    Raises:
        UserError: the URL is not http(s)://HOST/PATH, or has a user, a query or a fragment, where a key could be.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UserError("--openai-base-url: must be a URL like https://HOST/v1")
    if parts.username is not None or parts.query or parts.fragment:
        raise UserError(f"--openai-base-url: must have only scheme, host and path; put the key into {KEY}")
    return url.rstrip("/")
