"""Download, MD5 check and safe unpacking of BEIR's zip archives."""

import hashlib
import shutil
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ragcun.console import progress
from ragcun.data.hub import address, reporting
from ragcun.errors import RagcunError

ARCHIVES = "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets"
_CHUNK = 2**20
_TIMEOUT = 60  # seconds without an answer
_AS_IT_IS = {"Accept-Encoding": "identity"}  # with compression, the length would not be that of the file
_LARGEST_RATIO = 100  # text is compressed to a third or a fifth of its size


def archive_url(name: str) -> str:
    """Return the URL of the archive of the dataset `name`, at `RAGCUN_BEIR_URL` or at BEIR's server.

    Raises as `address`.
    """
    return f"{address('RAGCUN_BEIR_URL', ARCHIVES).rstrip('/')}/{name}.zip"


def download(url: str, path: Path, md5: str) -> None:
    """Download `url` to `path` with huggingface_hub, which waits for a busy server and resumes a broken connection.

    After a failure, the partial download stays in `path`.part, from which the next call resumes.

    Raises:
        RagcunError: the server refuses or does not answer, the disk has no space, or the MD5 differs.
    """
    from huggingface_hub import errors
    from huggingface_hub.file_download import http_get

    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        size = _size(url)
        with part.open("ab") as stream:
            start = stream.tell()
            if size is None or start > size:
                start = stream.truncate(0)
            elif size - start > (free := shutil.disk_usage(part.parent).free):
                needed = f"{(size - start) / 2**30:.1f} GiB to download"
                raise RagcunError(f"{url}: {needed}, but only {free / 2**30:.1f} GiB are free in {part.parent}")
            with progress(f"downloading {path.name}", size and (size - start) / 2**20, "MiB") as bar:
                http_get(
                    url,
                    stream,
                    resume_size=start,
                    expected_size=size,
                    headers=_AS_IT_IS,
                    tqdm_class=reporting(bar),
                )
    except errors.HfHubHTTPError as error:
        raise RagcunError(f"{url}: the server answered {error.response.status_code}") from error
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
        raise RagcunError(f"{url}: {error}; run the same command again to resume the download") from error
    with part.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        part.unlink()
        raise RagcunError(f"{url}: its MD5 is {found} instead of {md5}; the file was removed, try again")
    part.replace(path)


def _size(url: str) -> int | None:
    """Return the size of `url` in bytes; None if the server does not state it. A busy server is asked again."""
    from huggingface_hub import hf_raise_for_status
    from huggingface_hub.utils import http_backoff  # type: ignore[attr-defined]

    answer = http_backoff("HEAD", url, headers=_AS_IT_IS, timeout=_TIMEOUT)
    hf_raise_for_status(answer)
    length = answer.headers.get("Content-Length")
    return None if length is None else int(length)


def unpack(archive: Path, folders: Mapping[str, Path]) -> None:
    """Unpack collections from an archive: the members of each folder in the archive, into a folder on disk.

    Only the files of a collection are unpacked: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.

    Raises:
        RagcunError: the file is not a zip archive or is damaged; a member leaves its folder or is a link; the declared
            size is more than text can have or than the disk has space for; a collection is missing.
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
                    raise RagcunError(f"{archive}: does not contain {inside}/corpus.jsonl")
                for name, member in taken.items():
                    target = folder / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with opened.open(member) as source, target.open("wb") as stream:
                        shutil.copyfileobj(source, stream, _CHUNK)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        if isinstance(error, RagcunError):
            raise
        raise RagcunError(f"{archive}: not a zip archive, or damaged ({error})") from error


def _trusted(opened: zipfile.ZipFile, archive: Path) -> dict[PurePosixPath, zipfile.ZipInfo]:
    members = {}
    for member in opened.infolist():
        name = PurePosixPath(member.filename)
        unsafe = name.is_absolute() or ".." in name.parts or "\\" in member.filename or ":" in member.filename
        if unsafe or stat.S_ISLNK(member.external_attr >> 16):
            raise RagcunError(f"{archive}: refused, because {member.filename!r} leads out of its folder")
        if not member.is_dir():
            members[name] = member
    declared, packed = sum(member.file_size for member in members.values()), archive.stat().st_size
    free = shutil.disk_usage(archive.parent).free
    if declared > _LARGEST_RATIO * packed:
        raise RagcunError(f"{archive}: refused, because its {packed:,} bytes claim to unpack to {declared:,}")
    if declared > free:
        raise RagcunError(f"{archive}: {declared / 2**30:.1f} GiB to unpack, but only {free / 2**30:.1f} GiB are free")
    return members


def _wanted(name: PurePosixPath) -> bool:
    judgements = len(name.parts) == 2 and name.parts[0] == "qrels" and name.suffix == ".tsv"
    return judgements or str(name) in {"corpus.jsonl", "queries.jsonl"}
