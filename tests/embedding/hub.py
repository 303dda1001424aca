"""A small server that speaks the hub's protocol, as far as downloading a model needs it."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Models by id, each a folder; `gated` ids answer 403. It notes the `requests` and the `tokens` that came along."""

    def __init__(self, models: dict[str, Path], gated: frozenset[str] = frozenset()) -> None:
        self.models = models
        self.gated = gated
        self.requests: list[str] = []
        self.tokens: set[str] = set()
        self.url = ""

    @contextmanager
    def serve(self) -> Iterator["Hub"]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def do_GET(self) -> None:
                self.answer(body=True)

            def log_message(self, *_: object) -> None: ...

            def answer(self, body: bool) -> None:
                hub.requests.append(f"{self.command} {self.path}")
                hub.tokens.add(self.headers.get("authorization", ""))
                status, headers, content = hub.response(unquote(urlsplit(self.path).path))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if body:
                    self.wfile.write(content)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def response(self, path: str) -> tuple[int, dict[str, str], bytes]:
        for name, folder in self.models.items():
            if name in path and name in self.gated:
                return 403, {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to {name} is restricted."}, b""
            if path.startswith(f"/api/models/{name}"):
                return 200, {"Content-Type": "application/json"}, self.listing(name, folder, "/tree/" in path)
            if path.startswith(f"/{name}/resolve/"):
                file = folder / path.split("/", 5)[5]
                if not file.is_file():
                    return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b""
                content = file.read_bytes()
                etag = f'"{hashlib.sha256(content).hexdigest()}"'
                return 200, {"ETag": etag, "X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(content))}, content
        return 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b""

    @staticmethod
    def listing(name: str, folder: Path, tree: bool) -> bytes:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        names = [path.relative_to(folder).as_posix() for path in files]
        if tree:
            entries = [
                {"type": "file", "path": n, "size": p.stat().st_size, "oid": hashlib.sha1(p.read_bytes()).hexdigest()}  # noqa: S324
                for n, p in zip(names, files, strict=True)
            ]
            return json.dumps(entries).encode()
        siblings = [{"rfilename": n} for n in names]
        return json.dumps({"id": name, "sha": COMMIT, "siblings": siblings, "private": False}).encode()
