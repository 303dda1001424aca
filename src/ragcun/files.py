"""Atomic writes of files and folders, which are complete or absent, and fingerprints of files."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

from ragcun.errors import UserError, explained
from ragcun.printable import json_text

_TEMPORARY = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-(?P<began>\d+)-[0-9a-f]{8}(\.\w+)?")
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_CLOCK = 5  # seconds by which two readings of a process' start time may differ


def ragcun_cache() -> Path:
    """Return the folder for files that can be made again at any time: `RAGCUN_CACHE_DIR` or ~/.cache/ragcun."""
    return expanded(os.environ.get("RAGCUN_CACHE_DIR") or "~/.cache/ragcun")


def expanded(path: str) -> Path:
    """Return a path whose `~` or `~USER` is replaced by a home folder. Raises `UserError` if that is unknown."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"{path}: the home folder is unknown; give a path without ~") from None


def there_of(path: Path) -> Path:
    """Return the path if it exists, otherwise the nearest existing folder above it.

    Raises:
        UserError: the path leads through a file, or cannot be accessed.
    """
    try:
        there = next((one for one in (path, *path.parents) if os.path.lexists(one)), Path())
        through = there != path and not there.is_dir()
    except OSError as error:
        raise explained(error) from None
    if through:
        raise UserError(f"{path}: leads through {there}, which is a file; check the path")
    return there


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success, it is flushed to disk and renamed to `path`.

    On any error, the temporary file is removed, and an existing `path` stays as it was. Temporary files of killed
    processes in the folder are removed.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    sweep(final.parent)
    temporary = _beside(final, final.suffix)
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with _named(final, temporary):
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str], replace: bool = False) -> Iterator[Path]:
    """Yield a new folder next to `path`, which is renamed to `path` on success and removed on any error.

    Temporary folders of killed processes are removed. Raises `UserError` if `path` exists and is not an empty folder,
    unless it should `replace` this folder.
    """
    final = Path(path)
    if not replace and final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise UserError(f"{final}: already exists; remove it or choose another folder")
    final.parent.mkdir(parents=True, exist_ok=True)
    sweep(final.parent)
    folder = _beside(final)
    folder.mkdir()
    try:
        with _named(final, folder):
            yield folder
            if replace and final.exists():
                shutil.rmtree(final)
            folder.replace(final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _named(final: Path, temporary: Path) -> Iterator[None]:
    """Name the final path in an error of writing: some name the temporary path, and those of a full disk name none."""
    try:
        yield
    except OSError as error:
        named = error.filename
        if error.errno in _NO_ROOM and (named is None or str(named).startswith(str(temporary))):
            error.filename = str(final)
        raise


def sweep(folder: Path) -> None:
    """Remove the temporary files and folders that processes of this host left in `folder` when they were killed."""
    with os.scandir(folder) as entries:
        left = [entry for entry in entries if (found := _TEMPORARY.fullmatch(entry.name)) and _is_dead(found)]
    for entry in left:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with suppress(OSError):  # another process may be sweeping, too, or the file may be another user's
                Path(entry.path).unlink()


def _beside(final: Path, suffix: str = "") -> Path:
    """Return a hidden name next to `final` that contains the process that makes it."""
    pid = os.getpid()
    return final.parent / f".{final.name}.{_host()}-{pid}-{_began(pid)}-{secrets.token_hex(4)}{suffix}"


def _is_dead(temporary: re.Match[str]) -> bool:
    if temporary["host"] != _host():
        return False
    try:
        began = psutil.Process(int(temporary["pid"])).create_time()
    except psutil.NoSuchProcess:
        return True
    return abs(began - int(temporary["began"])) > _CLOCK  # the process id belongs to another process now


@lru_cache
def _host() -> str:
    return hashlib.blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()


@lru_cache(1)
def _began(pid: int) -> int:
    return int(psutil.Process(pid).create_time())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` atomically as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` atomically as indented JSON. NaN is refused, because it is not JSON."""
    write_text(path, json_text(value) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file. Raises `UserError` if the file is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from None


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_sha256(folder: str | os.PathLike[str], names: Iterable[str] | None = None) -> str:
    """Return the SHA-256 over the relative names and contents of all files in `folder`, or of those called `names`.

    Hidden files are left out.
    """
    digest = hashlib.sha256()
    root = Path(folder)
    for path in sorted(root.rglob("*") if names is None else (root / name for name in names)):
        relative = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            digest.update(f"{relative.as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()
