"""Search for the collection of a result, so that the page can show its texts."""

from collections.abc import Iterable
from pathlib import Path

from ragcun.console import say
from ragcun.data.collection import Collection, is_collection
from ragcun.errors import RagcunError
from ragcun.evaluation.results import Result, result_record


def find_collection(result: Result, data_dirs: Iterable[Path]) -> Collection | None:
    """Return the collection in `data_dirs` with the same bytes as the result's; None if there is none."""
    fingerprint = result_record(result.path).get("inputs", {}).get("data")
    for data_dir in data_dirs:
        for folder in (data_dir / result.dataset, data_dir):
            if folder.name != result.dataset or not is_collection(folder):
                continue
            try:
                found = Collection.open(folder, "skip")
                if found.fingerprint(result.split) == fingerprint:
                    return found
            except RagcunError as error:
                say(f"{error}; its texts are left out")
                continue
    return None
