"""A lock, so that only one process at a time writes to a folder. It names its holder, and ends with the process."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ragcun.console import say
from ragcun.distributed import is_first
from ragcun.errors import UserError

NAME = ".ragcun.lock"


@contextmanager
def only_writer(folder: Path, what: str, part: str | None = None, wait: bool = False) -> Iterator[None]:
    """Lock the folder, or its `part` with this name, while the block runs.

    The kernel releases the lock when the process ends, however it ends, so a lock is never stale. The lock file of a
    killed process is taken over. At the end, the file is removed, and the folder, too, if it was made for the file and
    is empty. Of the processes of a launcher, the first locks the folder for all.

    Args:
        folder: the folder.
        what: the command that writes to it.
        part: a file or folder in the folder; other processes may lock other parts.
        wait: wait for another process, with a message, instead of raising an error.

    Raises:
        UserError: another process has locked the folder; the message names its command, process, host and time.
    """
    if not is_first():
        yield
        return
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    path = folder / (NAME if part is None else f".{part}{NAME}")
    with _held(path, folder if part is None else folder / part, wait) as stream:
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
            with suppress(OSError):  # the folder is not empty
                for empty in made:
                    empty.rmdir()


@contextmanager
def _held(path: Path, what: Path, wait: bool) -> Iterator[IO[str]]:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            opened = path.open("a+", encoding="utf-8")
        except FileNotFoundError:
            continue  # the last holder removed the folder after we made it
        with opened as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise UserError(
                        f"{what}: {_told(path)} is writing this folder; wait until it ends, or choose another folder"
                    ) from None
                say(f"{what}: waiting for {_told(path)}, which is writing it")
                fcntl.flock(stream, fcntl.LOCK_EX)
            if not _is(stream, path):
                continue  # the last holder removed the file after we opened it
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
