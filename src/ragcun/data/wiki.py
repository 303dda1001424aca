"""`ragcun data wiki`: the opening passages of Wikipedia's articles, as a corpus without queries."""

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import xxhash

from ragcun.console import progress, say
from ragcun.data.finished import SOURCE, made_once
from ragcun.data.hub import HubFiles, Snapshot, fetch
from ragcun.data.hub_rows import stream
from ragcun.errors import RagcunError
from ragcun.files import file_sha256
from ragcun.intact import read_kept, write_record

REPOSITORY = "wikimedia/wikipedia"
REVISION = "b04c8d1ceb2f5cd4588862100d08de323dccfbaa"
DUMP = "20231101.en"
SHARDS = 41
_LEAST_CHARS = 200  # a shorter article is a stub
_UNFINISHED = ".unfinished"
_BATCH = 250  # articles per read
_BATCHES = 40  # reads between two saves of the state
_NO_ARTICLE = re.compile(r"#redirect|.{0,200}\bmay (?:also )?refer to\b", re.IGNORECASE | re.DOTALL)


def prepare_wiki(output: Path, passages: int, chars: int = 500, offline: bool = False) -> dict[str, Any]:
    """Write `passages` passages to `output`/corpus.jsonl, and return the content of source.json.

    A passage is the first `chars` characters of an article, cut at the end of a word. Stubs, redirects, disambiguation
    pages and duplicates are left out. The articles are in the dump's order, so that a smaller corpus is the start of a
    larger one. Only the necessary shards are downloaded. After an interruption, at most 10,000 articles are read again.

    Raises:
        UserError: `output` was made with other settings.
        RagcunError: a download failed, or the dump has too few passages.
    """
    wanted = {"passages": passages, "chars": chars, "dump": DUMP, "revision": REVISION}
    return made_once(output, wanted, "ragcun data wiki", lambda: _make(output, wanted, passages, chars, offline))


def _make(output: Path, wanted: dict[str, Any], passages: int, chars: int, offline: bool) -> dict[str, Any]:
    with _Reading(output / _UNFINISHED / f"{passages}-{chars}", passages, chars) as reading:
        while reading.found < passages and reading.shard < SHARDS:
            name = f"{DUMP}/train-{reading.shard:05}-of-{SHARDS:05}.parquet"
            reading.read(fetch(HubFiles(REPOSITORY, (name,), REVISION), offline))
    if reading.found < passages:
        raise RagcunError(
            f"{DUMP}: has only {reading.found:,} passages of {chars} characters, not {passages:,}; lower --passages"
        )
    result = {
        "settings": wanted,
        "repository": REPOSITORY,
        "commit": reading.commit,
        "skipped": dict(reading.skipped),
        "sha256": file_sha256(reading.corpus),
    }
    reading.corpus.replace(output / "corpus.jsonl")
    record = write_record(output / SOURCE, result, [output / "corpus.jsonl"])
    shutil.rmtree(output / _UNFINISHED)
    return record


class _Reading:
    """The passages that were read, and the state of the stream over the dump, each in a file.

    Attributes:
        corpus: the file of the passages.
        shard: the number of the shard to read next, or to continue with.
        commit: the commit of the shards that were read.
        found: the number of passages.
        skipped: the number of articles without a passage, by reason.
    """

    def __init__(self, folder: Path, passages: int, chars: int) -> None:
        self.corpus = folder / "corpus.jsonl"
        self._state_file = folder / "state.json"
        self._passages = passages
        self._chars = chars
        self._take_up(read_kept(self._state_file) or {})

    def _take_up(self, state: dict[str, Any]) -> None:
        self.shard: int = state.get("shard", 0)
        self.commit: str = state.get("commit", REVISION)
        self.found: int = state.get("found", 0)
        self.skipped = Counter[str](state.get("skipped", {}))
        self._stream_state: dict[str, Any] | None = state.get("stream")
        self._bytes: int = state.get("bytes", 0)
        self._stated: str | None = state.get("corpus")
        self._written = xxhash.xxh3_128()
        self._seen: set[bytes] = set()

    def __enter__(self) -> "_Reading":
        """Open the corpus, and remove what was written after the last state; start again if it is damaged."""
        self.corpus.parent.mkdir(parents=True, exist_ok=True)
        self._output = self.corpus.open("a+b")
        self._output.truncate(self._bytes)
        self._output.seek(0)
        for line in self._output:
            self._written.update(line)
        if self._bytes and self._written.hexdigest() != self._stated:
            say(f"{self.corpus}: damaged (its content is not what was written); the articles are read again")
            self._take_up({})
            self._output.truncate(0)
        self._output.seek(0)
        self._seen.update(_digest(json.loads(line)["text"]) for line in self._output)
        return self

    def __exit__(self, *_: object) -> None:
        self._output.close()

    def read(self, snapshot: Snapshot) -> None:
        """Read a shard to its end, or until there are enough passages."""
        self.commit = snapshot.commit
        articles = stream("parquet", [snapshot.folder / snapshot.names[0]])
        if self._stream_state is not None:
            articles.load_state_dict(self._stream_state)
        left = self._passages - self.found
        with progress("reading articles", left, "passages") as bar, closing(articles.iter(_BATCH)) as batches:
            for number, batch in enumerate(batches, 1):
                before = self.found
                for row in batch.select(["id", "title", "text"]).to_pylist():
                    if self.found < self._passages:
                        self._take(row)
                bar.advance(self.found - before)
                if self.found == self._passages or number % _BATCHES == 0:
                    self._save(articles.state_dict())
                if self.found == self._passages:
                    return
        self.shard += 1
        self._save(None)

    def _take(self, row: dict[str, Any]) -> None:
        text = " ".join(row["text"].split())
        if _NO_ARTICLE.match(text) or row["title"].endswith("(disambiguation)"):
            self.skipped["no article"] += 1
            return
        passage = cut(text, self._chars)
        if len(passage) < min(_LEAST_CHARS, self._chars // 2):
            self.skipped["stub"] += 1
            return
        digest = _digest(passage)
        if digest in self._seen:
            self.skipped["repeats another"] += 1
            return
        self._seen.add(digest)
        self.found += 1
        line = {"_id": str(row["id"]), "title": row["title"], "text": passage}
        written = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        self._output.write(written)
        self._written.update(written)

    def _save(self, stream_state: dict[str, Any] | None) -> None:
        """Flush the passages, then write the state from which to resume."""
        self._stream_state = stream_state
        self._output.flush()
        os.fsync(self._output.fileno())
        state = {
            "shard": self.shard,
            "commit": self.commit,
            "found": self.found,
            "skipped": dict(self.skipped),
            "stream": stream_state,
            "bytes": self._output.tell(),
            "corpus": self._written.hexdigest(),
        }
        write_record(self._state_file, state)


def cut(text: str, chars: int) -> str:
    """Return the first `chars` characters of a text, without a word that would be cut."""
    if len(text) <= chars:
        return text
    start = text[:chars]
    return start if text[chars].isspace() else start.rpartition(" ")[0] or start


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.casefold().encode(), digest_size=8).digest()
