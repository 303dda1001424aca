"""A small server that speaks the hub's protocol, as far as transfers need it, and breaks where it is told to."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from ragcun.data.benchmark import Dataset

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Answer = tuple[int, dict[str, str], bytes]


class Hub:
    """Repositories by id, each a folder. It notes the `requests` and the `tokens` that came along.

    Attributes:
        gated: ids that answer 403.
        busy: answers (status, headers) that are given first, one a request for a file or listing.
        cut: how many times a file's body breaks off in its middle.
        wrong: names of files whose listed hash is not theirs.
        archives: files beside the hub's, by the path that they are served at.
        uploads: the folder of repositories that clients make; None refuses them.
        blobs: what was uploaded before a commit names it, by SHA-256.
    """

    def __init__(
        self,
        models: dict[str, Path] | None = None,
        gated: frozenset[str] = frozenset(),
        datasets: dict[str, Path] | None = None,
    ) -> None:
        self.models = models or {}
        self.datasets = datasets or {}
        self.gated = gated
        self.busy: list[tuple[int, dict[str, str]]] = []
        self.cut = 0
        self.wrong: frozenset[str] = frozenset()
        self.archives: dict[str, bytes] = {}
        self.uploads: Path | None = None
        self.blobs: dict[str, bytes] = {}
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

            def do_POST(self) -> None:
                self.take()

            def do_PUT(self) -> None:
                self.take()

            def take(self) -> None:
                hub.requests.append(f"{self.command} {self.path}")
                hub.tokens.add(self.headers.get("authorization", ""))
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, content = hub.taken(unquote(urlsplit(self.path).path), sent)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

            def answer(self, body: bool) -> None:
                hub.requests.append(f"{self.command} {self.path}")
                hub.tokens.add(self.headers.get("authorization", ""))
                if hub.busy and self.path != "/api/agent-harnesses":  # which huggingface_hub may ask for at its start
                    status, headers = hub.busy.pop(0)
                    content = b""
                elif self.path in hub.archives:
                    status, headers, content = 200, {}, hub.archives[self.path]
                else:
                    status, headers, content = hub.response(unquote(urlsplit(self.path).path))
                wanted = self.headers.get("Range", "")
                if body and status == 200 and wanted.startswith("bytes=") and wanted.endswith("-"):
                    start, whole = int(wanted[6:-1]), len(content)
                    content = content[start:]
                    status, headers = 206, {**headers, "Content-Range": f"bytes {start}-{whole - 1}/{whole}"}
                    if not content:
                        status, headers = 416, {"Content-Range": f"bytes */{whole}"}
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if body and hub.cut and len(content) > 1 and not self.path.startswith("/api/"):
                    hub.cut -= 1
                    self.wfile.write(content[: len(content) // 2])
                    self.close_connection = True
                elif body:
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

    def response(self, path: str) -> Answer:
        repositories = [("models", "", name, folder) for name, folder in self.models.items()]
        repositories += [("datasets", "/datasets", name, folder) for name, folder in self.datasets.items()]
        for kind, prefix, name, folder in repositories:
            listing, files = f"/api/{kind}/{name}", f"{prefix}/{name}/resolve/"
            if not path.startswith((f"{listing}/", files)) and path != listing:
                continue
            if name in self.gated:
                return 403, {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to {name} is restricted."}, b""
            if path.startswith(f"{listing}/revision/no-such"):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b""
            pinned = re.search(r"/(?:revision|resolve)/([0-9a-f]{40})(?:/|$)", path)
            commit = pinned[1] if pinned else COMMIT
            if not path.startswith(files):
                return 200, {"Content-Type": "application/json"}, self.listing(name, commit, folder, "/tree/" in path)
            file = folder / path.removeprefix(files).partition("/")[2]
            if not file.is_file():
                return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
            content = file.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            return 200, {"ETag": etag, "X-Repo-Commit": commit, "X-Linked-Size": str(len(content))}, content
        return 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b""

    def taken(self, path: str, sent: bytes) -> Answer:
        """Take what a client creates, announces, sends and commits; a repository's folder is below `uploads`."""
        if self.uploads is None and not path.endswith("/validate-yaml"):
            return 403, {"X-Error-Message": "You don't have the rights to write"}, b""
        if path.startswith("/lfs/"):
            self.blobs[path.removeprefix("/lfs/")] = sent
            return 200, {}, b""
        if found := re.fullmatch(r"/api/models/(.+)/commit/main", path):
            return self._commit(found[1], [json.loads(line) for line in sent.splitlines()])
        if path == "/api/repos/create":
            return self._create(json.loads(sent))
        if path.endswith(("/preupload/main", "/objects/batch", "/validate-yaml")):
            return _json(self._announced(path, json.loads(sent)))
        return 404, {}, b""

    def _create(self, asked: dict[str, str]) -> Answer:
        assert self.uploads is not None
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
        (self.uploads / name).mkdir(parents=True, exist_ok=True)
        self.models[name] = self.uploads / name
        return _json({"url": f"{self.url}/{name}"})

    def _announced(self, path: str, asked: dict[str, Any]) -> object:
        if path.endswith("/validate-yaml"):
            return {"errors": [], "warnings": []}
        if path.endswith("/objects/batch"):
            places = {one["oid"]: {"href": f"{self.url}/lfs/{one['oid']}", "header": {}} for one in asked["objects"]}
            objects = [{**one, "actions": {"upload": places[one["oid"]]}} for one in asked["objects"]]
            return {"transfer": "basic", "objects": objects}
        names = [file["path"] for file in asked["files"]]
        modes = {name: "lfs" if name.endswith(".safetensors") else "regular" for name in names}
        return {"files": [{"path": name, "uploadMode": mode, "shouldIgnore": False} for name, mode in modes.items()]}

    def _commit(self, repo: str, lines: list[dict[str, Any]]) -> Answer:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self._write(repo, value["path"], base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                self._write(repo, value["path"], self.blobs[value["oid"]])
        return _json({"commitUrl": f"{self.url}/{repo}/commit/{COMMIT}", "commitOid": COMMIT, "success": True})

    def _write(self, repo: str, name: str, content: bytes) -> None:
        path = self.models[repo] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def listing(self, name: str, commit: str, folder: Path, tree: bool) -> bytes:
        entries = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()  # noqa: S324
            file: dict[str, object] = {"size": len(content), "oid" if tree else "blobId": blob}
            if path.suffix in {".parquet", ".safetensors", ".gz"}:
                wrong = path.name in self.wrong
                sha256 = "0" * 64 if wrong else hashlib.sha256(content).hexdigest()
                file["lfs"] = {"size": len(content), "sha256": sha256, "oid": sha256, "pointerSize": 128}
            entries.append(
                {"type": "file", "path" if tree else "rfilename": path.relative_to(folder).as_posix(), **file}
            )
        if tree:
            return json.dumps(entries).encode()
        return json.dumps({"id": name, "sha": commit, "siblings": entries, "private": False}).encode()


def _json(value: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


def beir_repositories(folder: Path, dataset: Dataset) -> dict[str, Path]:
    """Repositories with as many documents, queries and judgements as the table says `dataset` has."""
    assert dataset.hub is not None
    assert dataset.judgements is not None
    corpus = [{"_id": f"d{i}", "title": f"Title {i}", "text": f"text {i}"} for i in range(dataset.documents)]
    queries = [{"_id": f"q{i}", "text": f"query {i}"} for i in range(dataset.queries)]
    judged = [(f"q{i % dataset.queries}", f"d{i // dataset.queries}") for i in range(dataset.judgements)]
    tables: dict[str, list[dict[str, str]]] = {"corpus": corpus, "queries": queries}
    main, qrels = folder / dataset.name, folder / f"{dataset.name}-qrels"
    if dataset.nano:
        tables["qrels"] = [{"query-id": query, "corpus-id": document} for query, document in judged]
    else:
        qrels.mkdir(parents=True)
        lines = [f"{query}\t{document}\t1" for query, document in judged]
        for split, rows in (("test", lines), ("validation", lines[:3])):
            (qrels / f"{split}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n", "utf-8")
    for name, content in tables.items():
        (main / name).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(content), main / name / f"{name}-00000-of-00001.parquet")
    return {dataset.hub: main} if dataset.nano else {dataset.hub: main, f"{dataset.hub}-qrels": qrels}
