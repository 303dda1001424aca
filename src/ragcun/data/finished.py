"""Folders that a command makes only once; source.json is written last and marks them as complete."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ragcun.console import say
from ragcun.errors import UserError
from ragcun.intact import DamagedError, check_files, or_else, read_record
from ragcun.lock import only_writer

SOURCE = "source.json"
_DEPTH = 3  # levels of folders above a file: qrels, the collection, the dataset of which it is a part


def made_once(
    folder: Path, settings: dict[str, Any], command: str, make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Make `folder` with `make` unless it is complete, and return the content of source.json.

    The folder is locked meanwhile. `command` is the command's name, for messages. Raises as `finished` and `make` do.
    """
    with only_writer(folder, command):
        if (made := finished(folder, settings)) is None:
            return make()
        say(f"{folder}: already complete with these settings")
        return made


def finished(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return the content of source.json if `folder` is complete and intact; None if it must be made.

    If a file that source.json lists is damaged, this is reported, and all listed files are removed.

    Raises:
        UserError: the folder was made with other settings.
        RagcunError: source.json itself is damaged.
    """
    source = folder / SOURCE
    if not source.is_file():
        return None
    with or_else(f"delete {folder} and run the same command again"):
        record = read_record(source, files=False)
    if record.get("settings") != settings:
        raise UserError(f"{folder}: made with other settings ({record.get('settings')}); choose another folder")
    try:
        check_files(source, record)
    except DamagedError as error:
        say(f"{error}; {folder} is made again")
        _remove(folder, [*record["files"], SOURCE])
        return None
    return record


def refuse_damage(file: Path) -> None:
    """Raise a `RagcunError` if a source.json in a folder above lists `file`, and the file is damaged.

    A damaged source.json is reported; the file is then not checked.
    """
    for source, listed in _lists(file):
        with or_else(
            f"delete {source.parent} and run the command that made it again; if you changed it yourself, delete "
            f"{source}"
        ):
            check_files(source, {"files": listed})


def refuse_made(file: Path) -> None:
    """Raise a `UserError` if a source.json in a folder above lists `file`, which would look damaged when replaced."""
    for source, _ in _lists(file):
        raise UserError(f"{file}: is one of the files that {source} lists; choose another --output")


def _lists(file: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """The source.json in each folder above that lists `file`, and what it lists of it: its name and checksum."""
    for folder in file.parents[:_DEPTH]:
        source = folder / SOURCE
        if not source.is_file():
            continue
        try:
            listed = read_record(source, files=False).get("files")
        except DamagedError as error:
            say(f"{error}; {file} is not checked")
            continue
        name = file.relative_to(folder).as_posix()
        if isinstance(listed, dict) and name in listed:
            yield source, {name: listed[name]}


def _remove(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for place in {(folder / name).parent for name in names}:
        for parent in (place, *place.parents):
            if not parent.is_relative_to(folder):
                break
            with suppress(OSError):  # it is not empty
                parent.rmdir()
