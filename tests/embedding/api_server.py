"""A small server that speaks OpenAI's embeddings protocol and answers with the embeddings of a real model."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Failure = tuple[int, dict[str, str], dict[str, Any]]


class EmbeddingsServer:
    """Answers POST /v1/embeddings by `embed`, after `seconds`; the first requests get `failures`, one each.

    Attributes:
        asked: how often each text was embedded.
        requests: the bodies that came.
        keys: the Authorization headers that came.
    """

    def __init__(
        self,
        embed: Callable[[list[str]], Sequence[Sequence[float]]],
        failures: Sequence[Failure] = (),
        seconds: float = 0.0,
    ) -> None:
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self._embed = embed
        self._failures = list(failures)
        self._seconds = seconds
        self._lock = threading.Lock()

    @contextmanager
    def serve(self) -> Iterator["EmbeddingsServer"]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, headers, answer = api.respond(body, self.headers.get("Authorization", ""))
                content = json.dumps(answer).encode()
                self.send_response(status if self.path == "/v1/embeddings" else 404)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients are killed
        self.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def respond(self, body: dict[str, Any], key: str) -> Failure:
        time.sleep(self._seconds)
        with self._lock:
            self.requests.append(body)
            self.keys.add(key)
            if self._failures:
                return self._failures.pop(0)
            texts = body["input"]
            if not texts or "" in texts:
                return 400, {}, {"error": {"message": "input cannot be an empty string"}}
            self.asked.update(texts)
            rows = [
                {"object": "embedding", "index": index, "embedding": [float(value) for value in vector]}
                for index, vector in enumerate(self._embed(texts))
            ]
            tokens = sum(len(text.split()) for text in texts)
            return 200, {}, {"object": "list", "data": rows[::-1], "usage": {"prompt_tokens": tokens}}
