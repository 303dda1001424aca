"""Base embeddings on disk, keyed by what made them and by the text. No text is encoded twice.

    ROOT/KEY/key.json                 what determines the vectors
    ROOT/KEY/shards/DIGEST.safetensors    `digests` (n, 2) of the texts and `vectors` (n, dimension), whole or absent

A shard's name is the hash of the digests in it, so two processes that encode the same texts write the same file.
"""

import contextlib
import hashlib
import json
import mmap
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout
from safetensors.numpy import save_file

from ragcun.errors import RagcunError
from ragcun.files import atomic_path, read_json, write_json
from ragcun.slices import slices

Digests = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

RESIDENT = 8 * 2**20  # bytes of a shard that a thread keeps in memory while it reads, give or take its ends

_SMALL_SHARD = 32 * 2**20
_MANY_SHARDS = 64
_ROWS = 65_536  # of which a fingerprint is taken at a time
_LEFTOVER_SECONDS = 86_400  # by then, a shard that is still being written was left by a killed process


def digest_texts(texts: Iterable[str]) -> Digests:
    """128-bit BLAKE2 digests of texts, (n, 2)."""
    joined = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)


class EmbeddingStore:
    """The vectors that one base gives under one prompt. Safe for any number of processes at once.

    Args:
        root: the folder that holds all stores.
        key: what determines the vectors; JSON.
    """

    def __init__(self, root: Path, key: dict[str, Any]) -> None:
        identity = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.folder = root / identity[:24]
        self._shards: dict[str, _Shard] = {}
        self._first = np.empty(0, np.uint64)
        self._second = np.empty(0, np.uint64)
        self._rows = np.empty(0, np.int64)
        if not (self.folder / "key.json").is_file():
            write_json(self.folder / "key.json", key)
        (self.folder / "key.json").touch()
        self._remove_leftovers()
        self.refresh()

    def __len__(self) -> int:
        return len(self._first)

    def refresh(self) -> None:
        """Take in the shards that have been finished since the last look, by this process or another."""
        present = {path.name: path for path in _shard_files(self.folder)}
        new = []
        for name in sorted(present.keys() - self._shards.keys()):
            try:
                new.append((name, _Shard(present[name])))
            except FileNotFoundError:
                continue  # another process has merged it into a larger one
        if not new:
            return
        start = sum(len(shard.digests) for shard in self._shards.values())
        self._shards.update(new)
        digests = np.concatenate([shard.digests for _, shard in new])
        for _, shard in new:
            shard.release()
        first = np.concatenate([self._first, digests[:, 0]])
        second = np.concatenate([self._second, digests[:, 1]])
        rows = np.concatenate([self._rows, np.arange(start, start + len(digests))])
        order = np.argsort(first, kind="stable")
        self._first, self._second, self._rows = first[order], second[order], rows[order]

    def find(self, digests: Digests) -> Rows:
        """The row of each digest, -1 where the store does not have it. Rows hold until `compact`."""
        found = np.full(len(digests), -1, dtype=np.int64)
        if not len(self._first):
            return found
        position = np.searchsorted(self._first, digests[:, 0])
        pending = np.arange(len(digests))
        while len(pending):
            inside = position[pending] < len(self._first)
            pending = pending[inside]
            pending = pending[self._first[position[pending]] == digests[pending, 0]]
            same = self._second[position[pending]] == digests[pending, 1]
            found[pending[same]] = self._rows[position[pending[same]]]
            pending = pending[~same]
            position[pending] += 1
        return found

    def read(self, rows: Rows) -> Floats:
        """The vectors at `rows` (all of them >= 0), (n, dimension)."""
        dimension = next((shard.vectors.shape[1] for shard in self._shards.values()), 0)
        out = np.empty((len(rows), dimension), dtype=np.float32)
        for shard, mine, local in self._locate(rows):
            out[mine] = shard.read(local)
        return out

    def fingerprint(self, rows: Rows) -> str:
        """SHA-256 of what determines the vectors at `rows`: the store's key, and the texts' digests in that order."""
        fingerprint = hashlib.sha256(self.folder.name.encode())
        for part in slices(len(rows), _ROWS):
            some = rows[part]
            digests = np.empty((len(some), 2), dtype=np.uint64)
            for shard, mine, local in self._locate(some):
                digests[mine] = shard.digests[local]
                shard.release()
            fingerprint.update(digests.data)
        return fingerprint.hexdigest()

    def _locate(self, rows: Rows) -> Iterator[tuple["_Shard", npt.NDArray[np.bool_], Rows]]:
        """The shards that hold `rows`: each with which of `rows` it has, and where it has them."""
        shards = list(self._shards.values())
        starts = np.cumsum([0] + [len(shard.digests) for shard in shards])
        which = np.searchsorted(starts, rows, side="right") - 1
        for index in np.unique(which):
            mine = which == index
            yield shards[index], mine, rows[mine] - starts[index]

    def append(self, digests: Digests, vectors: Floats) -> None:
        """Write one shard, whole or not at all, and take it in."""
        self.write(digests, vectors)
        self.refresh()

    def write(self, digests: Digests, vectors: Floats) -> Path:
        """Write one shard, whole or not at all; `refresh` takes it in."""
        if not np.isfinite(vectors).all():
            raise RagcunError("the base gave NaN or infinite embeddings; nothing was stored (try --precision fp32)")
        name = hashlib.sha256(digests.tobytes()).hexdigest()[:32]
        path = self.folder / "shards" / f"{name}.safetensors"
        with atomic_path(path) as temporary:
            save_file(
                {"digests": np.ascontiguousarray(digests), "vectors": np.ascontiguousarray(vectors)},
                temporary,
                metadata={"sha256": _checksum(digests, vectors)},
            )
        return path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process is in such a block of this store, then take in what it has written."""
        with FileLock(self.folder / ".alone.lock"):
            self.refresh()
            yield

    def compact(self) -> None:
        """Merge small shards into one when there are many. Skipped where another process is at it."""
        small = {name: shard for name, shard in self._shards.items() if shard.bytes < _SMALL_SHARD}
        if len(small) < _MANY_SHARDS:
            return
        try:
            with FileLock(self.folder / ".compact.lock", blocking=False):
                merged = self.write(
                    np.concatenate([shard.digests for shard in small.values()]),
                    np.concatenate([shard.vectors for shard in small.values()]),
                )
                for name in small.keys() - {merged.name}:
                    (self.folder / "shards" / name).unlink(missing_ok=True)
        except Timeout:
            return
        self._shards.clear()
        self._first, self._second, self._rows = self._first[:0], self._second[:0], self._rows[:0]
        self.refresh()

    def _remove_leftovers(self) -> None:
        for path in (self.folder / "shards").glob(".*.safetensors"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                    path.unlink()


class _Shard:
    """One safetensors file, memory-mapped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as stream:
            self._mapped = mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        length = int.from_bytes(mapped[:8], "little")
        header = json.loads(mapped[8 : 8 + length])
        self.bytes = len(mapped)
        self.sha256: str = header["__metadata__"]["sha256"]
        self.digests: Digests = _tensor(mapped, header["digests"], 8 + length, np.dtype("<u8"))
        self.vectors: Floats = _tensor(mapped, header["vectors"], 8 + length, np.dtype("<f4"))

    def read(self, rows: Rows) -> Floats:
        """Copies of vectors."""
        out = np.empty((len(rows), self.vectors.shape[1]), np.float32)
        order = np.argsort(rows, kind="stable")
        segment = rows[order] // max(1, RESIDENT // max(1, self.vectors[:1].nbytes))
        for part in np.split(order, np.flatnonzero(np.diff(segment)) + 1):
            out[part] = self.vectors[rows[part]]
            self.release()
        return out

    def release(self) -> None:
        """Let go of the pages that have been read: they stay cached, but count no longer as this process' memory."""
        self._mapped.madvise(mmap.MADV_DONTNEED)

    def intact(self) -> bool:
        return _checksum(self.digests, self.vectors) == self.sha256


def _checksum(digests: Digests, vectors: Floats) -> str:
    payload = hashlib.sha256(digests.tobytes())
    payload.update(np.ascontiguousarray(vectors).data)
    return payload.hexdigest()


def _shard_files(folder: Path) -> list[Path]:
    """The shards under their final names: those that are being written are hidden."""
    return sorted(path for path in (folder / "shards").glob("*.safetensors") if not path.name.startswith("."))


def _tensor(mapped: mmap.mmap, entry: dict[str, Any], start: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    rows, columns = entry["shape"]
    array = np.frombuffer(mapped, dtype=dtype, count=rows * columns, offset=start + entry["data_offsets"][0])
    return array.reshape(rows, columns)


def describe_stores(root: Path) -> list[dict[str, Any]]:
    """One row a store below `root`: name, key, texts, bytes and the time of its last use (seconds since 1970)."""
    rows = []
    for key_file in sorted(root.glob("*/key.json")):
        shards = [_Shard(path) for path in _shard_files(key_file.parent)]
        rows.append(
            {
                "store": key_file.parent.name,
                "key": read_json(key_file),
                "texts": sum(len(shard.digests) for shard in shards),
                "dimension": shards[0].vectors.shape[1] if shards else None,
                "shards": len(shards),
                "bytes": sum(shard.bytes for shard in shards),
                "last_used": key_file.stat().st_mtime,
            }
        )
    return rows


def verify_store(folder: Path) -> list[Path]:
    """The shards of the store at `folder` whose bytes are not those that were written."""
    damaged = []
    for path in _shard_files(folder):
        try:
            intact = _Shard(path).intact()
        except (ValueError, KeyError, TypeError):
            intact = False
        if not intact:
            damaged.append(path)
    return damaged


def unused_since(row: dict[str, Any], days: float) -> bool:
    """Whether the store that `describe_stores` gave as `row` has not been used for `days` days."""
    return bool(time.time() - row["last_used"] > days * 86_400)
