"""Files of hub repositories at a revision: resumable downloads, checked by size and hash.

huggingface_hub does the downloads: it resumes them, waits for a busy hub, writes files completely or not at all, and
respects `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE`. This module adds a check of the free disk space, a comparison
of sizes and hashes, the use of cached files if the hub does not answer, and errors that say what to do.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

from ragcun.console import Bar, progress, say
from ragcun.errors import RagcunError, UserError
from ragcun.intact import read_kept, write_record

_BUSY = (408, 429, 500, 502, 503, 504)
_SECONDS = 60  # the timeout of a request

Result = TypeVar("Result")


@dataclass(frozen=True)
class HubFiles:
    """The files of a repository whose names match a pattern, at a commit, branch or tag (None: the main branch).

    If no name matches, the files that match `otherwise` are used.
    """

    repo: str
    patterns: tuple[str, ...]
    revision: str | None = None
    kind: Literal["dataset", "model"] = "dataset"
    ignored: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """The folder of the downloaded files, and their commit."""

    folder: Path
    commit: str
    names: list[str]


def fetch(files: HubFiles, offline: bool = False) -> Snapshot:
    """Download missing files; with `offline` (or `HF_HUB_OFFLINE`), use only the cache.

    Raises:
        UserError: there is no such repository or revision, it is gated, or no file matches.
        RagcunError: the hub does not answer, the disk has no space, a file differs from the hub's, or a file is not in
            the cache with `offline`.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(files.repo)
    except HFValidationError:
        raise UserError(f"{files.repo!r}: neither a folder nor a hub id") from None
    if offline or constants.is_offline_mode():
        return _there(files)
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    try:
        listed = _list(files)
    except _AwayError:
        found = _there(files)
        say(f"{files.repo}: {endpoint()} does not answer; using the local cache ({found.commit[:12]})")
        return found

    def cached(name: str) -> str | None:
        found = try_to_load_from_cache(files.repo, name, revision=listed.commit, repo_type=files.kind)
        return found if isinstance(found, str) else None

    write_record(_names_path(files, listed.commit), {"names": sorted(listed.entries)})
    missing = {name: entry for name, entry in listed.entries.items() if cached(name) is None}
    _look_at_disk(files.repo, sum(entry.size for entry in missing.values()))
    total = sum(entry.size for entry in missing.values()) / 2**20
    folder = None
    with progress(f"downloading {files.repo}", total, "MiB") as bar:
        for name, entry in listed.entries.items():
            path = cached(name)
            if path is None:
                path = _speaking(
                    files,
                    lambda name=name: hf_hub_download(  # type: ignore[misc]
                        files.repo, name, revision=files.revision, repo_type=files.kind, tqdm_class=reporting(bar)
                    ),
                )
                _check(Path(path), name, entry, files.repo)
            folder = Path(path).parents[len(Path(name).parts) - 1]
            if folder.name != listed.commit:
                raise RagcunError(f"{files.repo}: was changed during the download; run the same command again")
    if folder is None:
        raise UserError(f"{files.repo}: no file at {listed.commit} matches {', '.join(files.patterns)}")
    return Snapshot(folder, listed.commit, list(listed.entries))


@dataclass(frozen=True)
class _Entry:
    size: int
    sha256: str | None
    blob: str | None


@dataclass(frozen=True)
class _Listing:
    commit: str
    entries: dict[str, _Entry]


def _list(files: HubFiles) -> _Listing:
    info = _speaking(files, lambda: _ask(files))
    entries = {
        sibling.rfilename: _Entry(
            sibling.size or 0, None if sibling.lfs is None else sibling.lfs.sha256, sibling.blob_id
        )
        for sibling in info.siblings or []
    }
    return _Listing(info.sha, {name: entries[name] for name in _matching(files, entries)})


def _ask(files: HubFiles) -> Any:
    """Request the repository's information, again if the hub is busy, which HfApi.repo_info does not do."""
    from huggingface_hub import DatasetInfo, ModelInfo, hf_raise_for_status
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        http_backoff,
        validate_repo_id,
    )

    validate_repo_id(files.repo)
    address = f"{endpoint()}/api/{files.kind}s/{files.repo}"
    if files.revision is not None:
        address += f"/revision/{quote(files.revision, safe='')}"
    answer = http_backoff(
        "GET",
        address,
        params={"blobs": True},
        headers=build_hf_headers(),
        timeout=_SECONDS,
        retry_on_status_codes=_BUSY,
        retry_on_exceptions=(),  # no retries if the hub cannot be reached, as the cache may have the files
    )
    hf_raise_for_status(answer)
    return (DatasetInfo if files.kind == "dataset" else ModelInfo)(**answer.json())


def _there(files: HubFiles) -> Snapshot:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    revision = f" at {files.revision}" if files.revision else ""
    what = "no such folder here, and" if files.kind == "model" else ", ".join(files.patterns)
    absent = RagcunError(
        f"{files.repo}{revision}: {what} not in the local cache, and the hub cannot be reached (or --offline or "
        "HF_HUB_OFFLINE is set)"
    )
    try:
        cached = snapshot_download(
            files.repo, repo_type=files.kind, revision=files.revision, local_files_only=True, allow_patterns=[]
        )
    except LocalEntryNotFoundError:
        raise absent from None
    folder = Path(cached)
    names = _matching(files, (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()))
    if not names:
        raise absent
    listed = read_kept(_names_path(files, folder.name)) or {}
    if lacking := sorted(set(listed.get("names", ())) - set(names)):
        raise RagcunError(
            f"{files.repo}{revision}: the download is incomplete ({len(lacking)} files are missing, such as "
            f"{lacking[0]}), and the hub cannot be reached (or --offline or HF_HUB_OFFLINE is set)"
        )
    return Snapshot(folder, folder.name, names)


def _names_path(files: HubFiles, commit: str) -> Path:
    """Return the file with the names of a commit's files, by which an offline cache is known to be complete."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    repository = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=files.repo, repo_type=files.kind)
    wanted = hashlib.sha256(repr((files.patterns, files.otherwise, files.ignored)).encode()).hexdigest()
    return repository / "ragcun" / f"{commit}-{wanted[:16]}.names.json"


def _matching(files: HubFiles, names: Iterable[str]) -> list[str]:
    from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

    there, ignored = list(names), list(files.ignored)
    for patterns in (files.patterns, files.otherwise):
        found = filter_repo_objects(there, allow_patterns=list(patterns), ignore_patterns=ignored)
        if matching := sorted(found):
            return matching
    return []


class _AwayError(RagcunError):
    """The hub does not answer."""


def _speaking(files: HubFiles, work: Callable[[], Result]) -> Result:
    """Do `work`, and turn its errors into messages that say what to do."""
    from huggingface_hub import errors

    try:
        return work()
    except errors.GatedRepoError:
        raise UserError(
            f"{files.repo}: is gated; accept its licence on the hub, then set HF_TOKEN to a token with access"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{files.repo}: the hub has no revision {files.revision!r}") from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"{files.repo}: no such folder here and no such {files.kind} on {endpoint()} (private? set HF_TOKEN)"
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        raise RagcunError(f"{files.repo}: {endpoint()} answered {status}; try again later") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EFBIG, errno.EDQUOT}:
            raise RagcunError(f"{files.repo}: cannot be written ({error.strerror})") from error
        raise _away(files) from error
    except errors.HTTPError as error:  # type: ignore[attr-defined]
        raise _away(files) from error


def _away(files: HubFiles) -> _AwayError:
    return _AwayError(
        f"{files.repo}: {endpoint()} cannot be reached, or the connection broke; run the same command again to resume"
    )


def reporting(bar: Bar) -> type[Any]:
    """Make a class that shows huggingface_hub's progress on `bar`."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Reporting(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **{**named, "disable": True})

        def update(self, n: float | None = 1) -> None:
            bar.advance((n or 0) / 2**20)

    return Reporting


def _look_at_disk(repo: str, wanted: int) -> None:
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    there = next(path for path in (cache, *cache.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if wanted > free:
        raise RagcunError(
            f"{repo}: {wanted / 2**30:.1f} GiB to download, {free / 2**30:.1f} GiB are free in {cache}; free "
            "some space, "
            "or set HF_HOME to a larger disk"
        )


def _check(path: Path, name: str, entry: _Entry, repo: str) -> None:
    size = path.stat().st_size
    with path.open("rb") as stream:
        if entry.sha256 is not None:
            right = hashlib.file_digest(stream, "sha256").hexdigest() == entry.sha256
        else:
            digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
            digest.update(stream.read())
            right = entry.blob is None or digest.hexdigest() == entry.blob
    if size != entry.size or not right:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise RagcunError(f"{repo}: {name} differs from the hub's file (size or hash); it was removed, try again")


def endpoint() -> str:
    """Return the URL of the hub. Raises as `address`."""
    return address("HF_ENDPOINT", "https://huggingface.co", "HF_TOKEN")


def address(variable: str, default: str, secret: str | None = None) -> str:
    """Return the address of a server from an environment variable, or the default.

    Raises `UserError` where it is none, or holds a user or password, which would be printed; those go into `secret`.
    """
    found = os.environ.get(variable) or default
    try:
        parts = urlsplit(found)
        named = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
    except ValueError:  # a port that is no number, half of an IPv6 address
        named = False
    if not named:
        raise UserError(f"{variable}: must begin with http:// or https://, and name a server")
    if "@" in parts.netloc:
        raise UserError(
            f"{variable}: must have no user or password{'' if secret is None else f'; put a token into {secret}'}"
        )
    return found
