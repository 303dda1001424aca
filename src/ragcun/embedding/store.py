"""Base embeddings on disk, identified by model, settings and text. No text is encoded twice.

    ROOT/KEY/key.json                 what determines the vectors
    ROOT/KEY/name.json                the name of the base when it was first used, for lists
    ROOT/KEY/shards/DIGEST.safetensors    `digests` (n, 2) of the texts and `vectors` (n, dimension)

A shard is complete or absent. Its name is the hash of its digests, so that two processes that encode the same texts
write the same file. Its checksum is compared with its bytes before its vectors are used. A damaged shard is removed, so
that its texts are missing.
"""

import hashlib
import json
import mmap
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
from filelock import FileLock, Timeout
from safetensors.numpy import save_file

from ragcun.console import say
from ragcun.errors import RagcunError
from ragcun.files import sweep
from ragcun.intact import DamagedError, check_safetensors, read_record, write_record, write_safetensors
from ragcun.slices import slices

Digests = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

RESIDENT = 8 * 2**20  # bytes of a shard that a thread keeps in memory while it reads, approximately

_SMALL_SHARD = 32 * 2**20
_MANY_SHARDS = 64
_ROWS = 4_096  # rows per step of a fingerprint


def digest_texts(texts: Iterable[str]) -> Digests:
    """Return the 128-bit BLAKE2 digests of texts, (n, 2)."""
    joined = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)


class EmbeddingStore:
    """The vectors of one base with one prompt. Several processes may use a store at the same time.

    Args:
        root: the folder of all stores.
        key: everything that determines the vectors, as JSON.
        name: the name of the base, for lists of stores.
    """

    def __init__(self, root: Path, key: dict[str, Any], name: str | None = None) -> None:
        identity = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.folder = root / identity[:24]
        self._forget()
        if _key(self.folder) is None:
            write_record(self.folder / "key.json", key)
        if name is not None and _name(self.folder) is None:
            write_record(self.folder / "name.json", {"name": name})
        (self.folder / "key.json").touch()
        if (self.folder / "shards").is_dir():
            sweep(self.folder / "shards")
        self.refresh()

    def _forget(self) -> None:
        self._shards: list[_Shard] = []
        self._unchecked: set[int] = set()  # indices of shards
        self._first = np.empty(0, np.uint64)
        self._second = np.empty(0, np.uint64)
        self._rows = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._first)

    def refresh(self) -> None:
        """Load the shards that this or another process has completed since the last refresh."""
        known = {shard.path for shard in self._shards if not shard.damaged}
        new = []
        for path in _shard_files(self.folder):
            if path in known:
                continue
            try:
                new.append(_Shard(path))
            except FileNotFoundError:
                continue  # another process has merged it into a larger one
            except DamagedError as error:
                _remove(path, error)
        if not new:
            return
        start = sum(len(shard.digests) for shard in self._shards)
        self._unchecked |= set(range(len(self._shards), len(self._shards) + len(new)))
        self._shards += new
        digests = np.concatenate([shard.digests for shard in new])
        for shard in new:
            shard.release()
        first = np.concatenate([self._first, digests[:, 0]])
        second = np.concatenate([self._second, digests[:, 1]])
        rows = np.concatenate([self._rows, np.arange(start, start + len(digests))])
        order = np.argsort(first, kind="stable")
        self._first, self._second, self._rows = first[order], second[order], rows[order]

    def find(self, digests: Digests) -> Rows:
        """Return the row of each digest, or -1 for a missing one. Rows are valid until `compact`.

        The shards of the rows were checked; vectors in a damaged shard count as missing.
        """
        found = self._find(digests)
        while self._unchecked and self._remove_damaged(found):
            found = self._find(digests)
        return found

    def _remove_damaged(self, rows: Rows) -> bool:
        """Check the unchecked shards that contain `rows`; return whether one was damaged and removed."""
        starts = np.cumsum([0] + [len(shard.digests) for shard in self._shards])
        held = set(np.unique(np.searchsorted(starts, rows[rows >= 0], side="right") - 1).tolist())
        damaged = [index for index in held & self._unchecked if not self._shards[index].intact()]
        self._unchecked -= held
        for index in damaged:
            kept = (self._rows < starts[index]) | (self._rows >= starts[index + 1])
            self._first, self._second, self._rows = self._first[kept], self._second[kept], self._rows[kept]
        return bool(damaged)

    def _find(self, digests: Digests) -> Rows:
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
        """Return the vectors at `rows` (all of them >= 0), (n, dimension)."""
        dimension = next((shard.vectors.shape[1] for shard in self._shards if not shard.damaged), 0)
        out = np.empty((len(rows), dimension), dtype=np.float32)
        for shard, mine, local in self._locate(rows):
            out[mine] = shard.read(local)
        return out

    def fingerprint(self, rows: Rows) -> str:
        """Return the XXH3 (128 bits) of the vectors at `rows`, in this order.

        A text that was stored with other texts was encoded in another batch, which may change the last bits of its
        vector. Only a checksum of the vectors shows this; the texts and the store's key do not.
        """
        fingerprint = xxhash.xxh3_128()
        for part in slices(len(rows), _ROWS):
            fingerprint.update(self.read(rows[part]).data)
        return fingerprint.hexdigest()

    def _locate(self, rows: Rows) -> Iterator[tuple["_Shard", npt.NDArray[np.bool_], Rows]]:
        """Yield the shards that contain `rows`, with a mask of these rows and their positions in the shard."""
        starts = np.cumsum([0] + [len(shard.digests) for shard in self._shards])
        which = np.searchsorted(starts, rows, side="right") - 1
        for index in np.unique(which):
            mine = which == index
            yield self._shards[index], mine, rows[mine] - starts[index]

    def append(self, digests: Digests, vectors: Floats) -> None:
        """Write one shard, completely or not at all, and load it."""
        self.write(digests, vectors)
        self.refresh()

    def write(self, digests: Digests, vectors: Floats) -> Path:
        """Write one shard, completely or not at all; `refresh` loads it."""
        if not np.isfinite(vectors).all():
            raise RagcunError("the base returned NaN or infinite embeddings; nothing was stored (try --precision fp32)")
        name = hashlib.sha256(digests.tobytes()).hexdigest()[:32]
        path = self.folder / "shards" / f"{name}.safetensors"
        tensors = {"digests": np.ascontiguousarray(digests), "vectors": np.ascontiguousarray(vectors)}
        write_safetensors(path, lambda temporary, metadata: save_file(tensors, temporary, metadata), {})
        return path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process is in such a block of this store, then load the shards that it has written."""
        with FileLock(self.folder / ".alone.lock"):
            self.refresh()
            yield

    def compact(self) -> None:
        """Merge small shards into one if there are many, unless another process is doing so."""
        small = [shard for shard in self._shards if shard.bytes < _SMALL_SHARD and not shard.damaged]
        if len(small) < _MANY_SHARDS:
            return
        try:
            with FileLock(self.folder / ".compact.lock", blocking=False):
                small = [shard for shard in small if shard.intact()]
                merged = self.write(
                    np.concatenate([shard.digests for shard in small]),
                    np.concatenate([shard.vectors for shard in small]),
                )
                for path in {shard.path for shard in small} - {merged}:
                    path.unlink(missing_ok=True)
        except Timeout:
            return
        self._forget()
        self.refresh()


class _Shard:
    """One memory-mapped safetensors file. Raises a `DamagedError` if the file is not one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = False
        try:
            with path.open("rb") as stream:
                self._mapped = mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            length = int.from_bytes(mapped[:8], "little")
            header = json.loads(mapped[8 : 8 + length])
            self.digests: Digests = _tensor(mapped, header["digests"], 8 + length, np.dtype("<u8"))
            self.vectors: Floats = _tensor(mapped, header["vectors"], 8 + length, np.dtype("<f4"))
        except (ValueError, LookupError, TypeError, OverflowError):
            raise DamagedError(f"{path}: damaged (its header is not what was written)") from None
        self.bytes = len(mapped)

    def read(self, rows: Rows) -> Floats:
        """Return copies of vectors."""
        out = np.empty((len(rows), self.vectors.shape[1]), np.float32)
        order = np.argsort(rows, kind="stable")
        segment = rows[order] // max(1, RESIDENT // max(1, self.vectors[:1].nbytes))
        for part in np.split(order, np.flatnonzero(np.diff(segment)) + 1):
            out[part] = self.vectors[rows[part]]
            self.release()
        return out

    def release(self) -> None:
        """Release the pages that were read, so that they no longer count as this process' memory."""
        self._mapped.madvise(mmap.MADV_DONTNEED)

    def intact(self) -> bool:
        """Return whether the shard is intact; a damaged one is removed."""
        try:
            check_safetensors(self.path)
        except FileNotFoundError:
            pass  # another process has merged it into a larger one, and checked it before
        except DamagedError as error:
            self.damaged = True
            _remove(self.path, error)
        return not self.damaged


def _remove(path: Path, error: DamagedError) -> None:
    path.unlink(missing_ok=True)
    say(f"{error}; it is removed, and its texts are encoded again")


def _key(folder: Path) -> dict[str, Any] | None:
    """Return the key of the store in `folder`; None if it is missing or damaged, until the store is used again."""
    try:
        key = read_record(folder / "key.json")
    except DamagedError:
        return None
    return key


def _name(folder: Path) -> str | None:
    """Return the base's name of the store in `folder`; None if it is unknown, until the store is used again."""
    try:
        return str(read_record(folder / "name.json")["name"])
    except DamagedError:
        return None


def _shard_files(folder: Path) -> list[Path]:
    """List the complete shards; those that are being written have hidden names."""
    return sorted(path for path in (folder / "shards").glob("*.safetensors") if not path.name.startswith("."))


def _tensor(mapped: mmap.mmap, entry: dict[str, Any], start: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    rows, columns = entry["shape"]
    array = np.frombuffer(mapped, dtype=dtype, count=rows * columns, offset=start + entry["data_offsets"][0])
    return array.reshape(rows, columns)


def describe_stores(root: Path) -> list[dict[str, Any]]:
    """One row for each store below `root`: folder, name of the base, key, texts, bytes and time of its last use.

    The time is in seconds since 1970. A name that is unknown and a damaged key are None. Damaged shards are left out.
    """
    rows = []
    for key_file in sorted(root.glob("*/key.json")):
        shards = _readable(key_file.parent)
        rows.append(
            {
                "store": key_file.parent.name,
                "name": _name(key_file.parent),
                "key": _key(key_file.parent),
                "texts": sum(len(shard.digests) for shard in shards),
                "dimension": shards[0].vectors.shape[1] if shards else None,
                "shards": len(shards),
                "bytes": sum(shard.bytes for shard in shards),
                "last_used": key_file.stat().st_mtime,
            }
        )
    return rows


def _readable(folder: Path) -> list[_Shard]:
    shards = []
    for path in _shard_files(folder):
        with suppress(DamagedError):
            shards.append(_Shard(path))
    return shards


def verify_store(folder: Path) -> list[Path]:
    """The shards of the store at `folder` whose bytes are not those that were written."""
    damaged = []
    for path in _shard_files(folder):
        try:
            check_safetensors(path)
        except DamagedError:
            damaged.append(path)
    return damaged


def unused_since(row: dict[str, Any], days: float) -> bool:
    """Whether the store that `describe_stores` gave as `row` has not been used for `days` days."""
    return bool(time.time() - row["last_used"] > days * 86_400)
