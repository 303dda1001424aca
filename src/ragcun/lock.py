"""One process at a time writes a folder: a lock that says who holds it, and that ends with its holder."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ragcun.errors import UserError

NAME = ".ragcun.lock"


@contextmanager
def only_writer(folder: Path, what: str) -> Iterator[None]:
    """Hold the folder for as long as the block runs; `what` names the command that does.

    The kernel gives the lock back when its holder ends, however it ends, so a lock is never stale: a file that a killed
    process left behind is taken over. It is removed at the end.

    Raises:
        UserError: another process holds the folder; names its command, process, host and time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    with _held(path) as stream:
        holder = {
            "command": what,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        stream.truncate(0)
        stream.write(json.dumps(holder))
        stream.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _held(path: Path) -> Iterator[IO[str]]:
    while True:
        with path.open("a+", encoding="utf-8") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"{path.parent}: {_told(path)} is writing it; wait for it, or choose another folder"
                ) from None
            if not _is(stream, path):
                continue  # its last holder removed the file between our opening and our locking it
            yield stream
            return


def _is(stream: IO[str], path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    return False


def _told(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"`{holder['command']}` (process {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
