"""BEIR's zip archives: downloaded piece by piece, compared with their MD5, unpacked without trust."""

import hashlib
import os
import shutil
import stat
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from ragcun.console import progress, say
from ragcun.errors import RagcunError

ARCHIVES = "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets"
_CHUNK = 2**20
_TIMEOUT = 60  # seconds without a byte
_WAITS = (1.0, 4.0, 16.0)  # seconds, after connections in a row that bring nothing
_BUSY = {408, 429, 500, 502, 503, 504}
_LARGEST_RATIO = 100  # text is packed to a third or a fifth of its size


def archive_url(name: str) -> str:
    """Where the archive of the dataset `name` is: below `RAGCUN_BEIR_URL`, or else at BEIR's own place."""
    return f"{os.environ.get('RAGCUN_BEIR_URL', ARCHIVES).rstrip('/')}/{name}.zip"


def download(url: str, path: Path, md5: str) -> None:
    """Download `url` to `path`. What a broken connection has brought stays in `path`.part, and is gone on from.

    Raises:
        RagcunError: the server refuses or brings nothing, the disk has no room, or the MD5 is another.
    """
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    fruitless = 0
    with progress(f"downloading {path.name}", None, "MiB") as bar:
        while True:
            start = part.stat().st_size if part.exists() else 0
            try:
                whole = _continue(url, part, start, lambda brought: bar.advance(brought / 2**20))
            except urllib.error.HTTPError as error:
                whole, broke = False, f"{url}: the server answered {error.code}"
                if error.code not in _BUSY:
                    raise RagcunError(broke) from error
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                reason = getattr(error, "reason", error)
                whole, broke = False, f"{url}: {reason}"
            else:
                broke = f"{url}: the connection broke off"
            if whole:
                break
            fruitless = 0 if part.exists() and part.stat().st_size > start else fruitless + 1
            if fruitless > len(_WAITS):
                raise RagcunError(f"{broke}; what is here stays, the same command goes on")
            say(f"{broke}; going on")
            time.sleep(_WAITS[fruitless - 1] if fruitless else 0)
    with part.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        part.unlink()
        raise RagcunError(f"{url}: MD5 {found} in place of {md5}; it was removed, try again")
    part.replace(path)


def _continue(url: str, part: Path, start: int, brought: Callable[[int], None]) -> bool:
    """Append what is missing to `part`; whether it is whole now."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})  # noqa: S310
    if request.type not in {"http", "https"}:
        raise RagcunError(f"{url}: not an http address")
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{start}":
            return True
        if error.code == 416:
            part.unlink()
            return False
        raise
    with answer, part.open("ab" if answer.status == 206 else "wb") as stream:
        left = int(answer.headers.get("Content-Length") or 0)
        free = shutil.disk_usage(part.parent).free
        if left > free:
            raise RagcunError(
                f"{url}: {left / 2**30:.1f} GiB to download, {free / 2**30:.1f} GiB free in {part.parent}"
            )
        while block := answer.read(_CHUNK):
            stream.write(block)
            brought(len(block))
            left -= len(block)
    return left <= 0


def unpack(archive: Path, folders: Mapping[str, Path]) -> None:
    """Unpack the collections of an archive: the members of each folder in it, into a folder that need not exist.

    Only what makes a collection is taken: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.

    Raises:
        RagcunError: not a zip archive or a damaged one; a member that leaves its folder or is a link; more declared
            bytes than text can have or the disk has room for; a collection that is not there.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _trusted(opened, archive)
            for inside, folder in folders.items():
                taken = {
                    name.relative_to(inside): member
                    for name, member in members.items()
                    if name.is_relative_to(inside) and _wanted(name.relative_to(inside))
                }
                if PurePosixPath("corpus.jsonl") not in taken:
                    raise RagcunError(f"{archive}: has no {inside}/corpus.jsonl")
                for name, member in taken.items():
                    target = folder / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with opened.open(member) as source, target.open("wb") as stream:
                        shutil.copyfileobj(source, stream, _CHUNK)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        if isinstance(error, RagcunError):
            raise
        raise RagcunError(f"{archive}: not a zip archive, or a damaged one ({error})") from error


def _trusted(opened: zipfile.ZipFile, archive: Path) -> dict[PurePosixPath, zipfile.ZipInfo]:
    members = {}
    for member in opened.infolist():
        name = PurePosixPath(member.filename)
        unsafe = name.is_absolute() or ".." in name.parts or "\\" in member.filename or ":" in member.filename
        if unsafe or stat.S_ISLNK(member.external_attr >> 16):
            raise RagcunError(f"{archive}: refused, {member.filename!r} leads out of its folder")
        if not member.is_dir():
            members[name] = member
    declared, packed = sum(member.file_size for member in members.values()), archive.stat().st_size
    free = shutil.disk_usage(archive.parent).free
    if declared > _LARGEST_RATIO * packed:
        raise RagcunError(f"{archive}: refused, its {packed:,} bytes declare {declared:,}, which no text does")
    if declared > free:
        raise RagcunError(f"{archive}: {declared / 2**30:.1f} GiB to unpack, {free / 2**30:.1f} GiB free")
    return members


def _wanted(name: PurePosixPath) -> bool:
    judgements = len(name.parts) == 2 and name.parts[0] == "qrels" and name.suffix == ".tsv"
    return judgements or str(name) in {"corpus.jsonl", "queries.jsonl"}
