"""What a command has made in a folder, with source.json as its last file, is not made twice."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ragcun.console import say
from ragcun.errors import UserError
from ragcun.intact import DamagedError, check_files, or_else, read_record
from ragcun.lock import only_writer

SOURCE = "source.json"
_DEPTH = 3  # folders in which a file is looked for: qrels, the collection, the dataset that has it as a part


def made_once(
    folder: Path, settings: dict[str, Any], command: str, make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """What source.json holds of `folder`, made by `make` unless it is complete; no other process makes it meanwhile.

    `command` is what makes it, for messages. Raises as `finished` and `make` do.
    """
    with only_writer(folder, command):
        if (made := finished(folder, settings)) is None:
            return make()
        say(f"{folder}: already complete with these settings")
        return made


def finished(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """What source.json holds where `folder` is complete and intact; None where it is to be made.

    Where a file that source.json lists is damaged, this is reported, and every listed file is removed.

    Raises:
        UserError: it was made with other settings.
        RagcunError: source.json itself is damaged.
    """
    source = folder / SOURCE
    if not source.is_file():
        return None
    with or_else(f"delete {folder} and give the same command again"):
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
    """Raise a `RagcunError` where a source.json above `file` lists it, and it is not what was written.

    A source.json that is itself damaged is told: then nothing is known of the file.
    """
    for folder in file.parents[:_DEPTH]:
        source = folder / SOURCE
        if not source.is_file():
            continue
        try:
            listed = read_record(source, files=False).get("files")
        except DamagedError as error:
            say(f"{error}; {file} is read unchecked")
            continue
        name = file.relative_to(folder).as_posix()
        if isinstance(listed, dict) and name in listed:
            with or_else(
                f"delete {folder} and give the command that made it again; if you changed it yourself, delete {source}"
            ):
                check_files(source, {"files": {name: listed[name]}})


def _remove(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for place in {(folder / name).parent for name in names}:
        for parent in (place, *place.parents):
            if not parent.is_relative_to(folder):
                break
            with suppress(OSError):  # it is not empty
                parent.rmdir()
