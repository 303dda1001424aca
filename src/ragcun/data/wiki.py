"""`ragcun data wiki`: the first passages of Wikipedia's articles, as a corpus without queries."""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ragcun.console import progress, say
from ragcun.data.hub import HubFiles, Snapshot, fetch
from ragcun.errors import RagcunError, UserError
from ragcun.files import atomic_path, file_sha256, read_json, write_json

REPOSITORY = "wikimedia/wikipedia"
REVISION = "b04c8d1ceb2f5cd4588862100d08de323dccfbaa"
DUMP = "20231101.en"
SHARDS = 41
_LEAST_CHARS = 200  # less is a stub
_PARTS = ".parts"
_NO_ARTICLE = re.compile(r"#redirect|.{0,200}\bmay (?:also )?refer to\b", re.IGNORECASE | re.DOTALL)


def prepare_wiki(output: Path, passages: int, chars: int = 500, offline: bool = False) -> dict[str, Any]:
    """Write `passages` passages to `output`/corpus.jsonl; returns what source.json holds.

    A passage is the first `chars` characters of an article, cut at a word's end. Stubs, redirects, lists of meanings
    and repetitions are left out. The articles come in the dump's order, a shard at a time, so a smaller corpus is the
    start of a larger one; only the shards that are needed are downloaded. An interruption costs one shard's reading.

    Raises:
        UserError: `output` was made with other settings.
        RagcunError: a download failed, or the dump has too few passages.
    """
    wanted = {"passages": passages, "chars": chars, "dump": DUMP, "revision": REVISION}
    done = output / "source.json"
    if done.is_file():
        if read_json(done)["settings"] == wanted:
            say(f"{output}: already made with these settings")
            return dict(read_json(done))
        raise UserError(f"{output}: made with other settings; choose another --output")
    parts = output / _PARTS / f"{chars}"
    seen: set[bytes] = set()
    skipped: Counter[str] = Counter()
    files: list[Path] = []
    found, commit = 0, REVISION
    for shard in range(SHARDS):
        if found >= passages:
            break
        part, told = parts / f"{shard:05}.jsonl", parts / f"{shard:05}.json"
        if not told.is_file():
            name = f"{DUMP}/train-{shard:05}-of-{SHARDS:05}.parquet"
            snapshot = fetch(HubFiles(REPOSITORY, (name,), REVISION), offline)
            _read_shard(snapshot, part, told, chars, seen)
        told_of = read_json(told)
        commit = told_of["commit"]
        skipped.update(told_of["skipped"])
        seen.update(bytes.fromhex(digest) for digest in _digests(part))
        found += told_of["passages"]
        files.append(part)
    if found < passages:
        raise RagcunError(f"{DUMP}: has {found:,} passages of {chars} characters, not {passages:,}")
    with atomic_path(output / "corpus.jsonl") as temporary, temporary.open("w", encoding="utf-8") as stream:
        left = passages
        for part in files:
            for line in part.open(encoding="utf-8"):
                if left:
                    stream.write(line)
                    left -= 1
    result = {
        "settings": wanted,
        "repository": REPOSITORY,
        "commit": commit,
        "shards": len(files),
        "skipped": dict(skipped),
        "sha256": file_sha256(output / "corpus.jsonl"),
    }
    write_json(done, result)
    shutil.rmtree(output / _PARTS)
    return result


def _read_shard(snapshot: Snapshot, part: Path, told: Path, chars: int, seen: set[bytes]) -> None:
    """Write a shard's passages to `part`, then what there was to `told`, which marks it as whole."""
    skipped: Counter[str] = Counter()
    path = snapshot.folder / snapshot.names[0]
    here: set[bytes] = set()
    count = 0
    with atomic_path(part) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for row in _articles(path):
            text = " ".join(row["text"].split())
            if _NO_ARTICLE.match(text) or row["title"].endswith("(disambiguation)"):
                skipped["no article"] += 1
                continue
            passage = cut(text, chars)
            if len(passage) < min(_LEAST_CHARS, chars // 2):
                skipped["stub"] += 1
                continue
            digest = _digest(passage)
            if digest in seen or digest in here:
                skipped["repeats another"] += 1
                continue
            here.add(digest)
            count += 1
            line = {"_id": str(row["id"]), "title": row["title"], "text": passage}
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    write_json(told, {"commit": snapshot.commit, "passages": count, "skipped": dict(skipped)})


def _articles(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as file, progress("reading articles", file.metadata.num_rows, "articles") as bar:
        for batch in file.iter_batches(batch_size=256, columns=["id", "title", "text"]):
            yield from batch.to_pylist()
            bar.advance(batch.num_rows)


def cut(text: str, chars: int) -> str:
    """The first `chars` characters of a text, less the word that would be cut."""
    if len(text) <= chars:
        return text
    start = text[:chars]
    return start if text[chars].isspace() else start.rpartition(" ")[0] or start


def _digests(part: Path) -> Iterator[str]:
    with part.open(encoding="utf-8") as stream:
        for line in stream:
            yield _digest(json.loads(line)["text"]).hex()


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.casefold().encode(), digest_size=8).digest()
