"""The collection behind a result, so that the page can show texts."""

from collections.abc import Iterable
from pathlib import Path

from ragcun.console import say
from ragcun.data.collection import Collection, is_collection
from ragcun.errors import RagcunError
from ragcun.evaluation.results import Result, result_record


def find_collection(result: Result, data_dirs: Iterable[Path]) -> Collection | None:
    """Return the collection in one of `data_dirs` that the result is of, byte by byte; None where there is none."""
    wanted = result_record(result.path).get("inputs", {}).get("data")
    for home in data_dirs:
        for folder in (home / result.dataset, home):
            if folder.name != result.dataset or not is_collection(folder):
                continue
            try:
                found = Collection.open(folder, "skip")
                if found.fingerprint(result.split) == wanted:
                    return found
            except RagcunError as error:
                say(f"{error}; its texts are left out")
                continue
    return None
