"""The command that reproduces a result."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def command(record: Mapping[str, Any], collection: Path | None) -> str:
    """Return the shell command that reproduces the cell of `record`, the content of a result.json.

    `collection` is the folder of the data; with None, the dataset's name is used.
    """
    found: dict[str, str] = {}
    for asked in _retrievers(record.get("inputs", {}).get("retriever", {})):
        for key, option in _OPTIONS.items():
            if asked.get(key) is not None:
                found.setdefault(option, str(asked[key]))
    if record.get("problems", {}).get("counts"):
        found["--on-error"] = "skip"
    words = ["ragcun", "eval", "collection", str(collection or record["dataset"])]
    words += ["--split", record["split"], "--model", record["model"]]
    return shlex.join([*words, *(word for option in found.items() for word in option), "--output", "again"])


_OPTIONS = {
    "precision": "--precision",
    "max_length": "--max-length",
    "runtime": "--runtime",
    "index": "--index",
    "endpoint": "--openai-base-url",
}


def _retrievers(inputs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the inputs of the retriever, or of both retrievers of a fusion."""
    return [inputs, *(one for part in inputs.get("inputs", ()) for one in _retrievers(part))]
