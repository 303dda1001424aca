"""The records behind the numbers of the page; parts that records share are stored once."""

import json
from typing import Any

from ragcun.data.collection import Collection
from ragcun.evaluation.repeat import command
from ragcun.evaluation.results import Result, result_record

_SHARED = ("settings", "environment", "inputs")


class Records:
    """Contents of result.json files, and the commands that repeat them."""

    def __init__(self) -> None:
        self._records: list[dict[str, Any]] = []
        self._shared: dict[str, int] = {}

    def add(self, result: Result, collection: Collection | None) -> int:
        """Add the record of a result and return its number."""
        content = dict(result_record(result.path))
        content["command"] = command(content, None if collection is None else collection.path)
        content["file"] = result.path.as_posix()
        for name in _SHARED:
            if name in content:
                text = json.dumps(_without_time(content, name), sort_keys=True, ensure_ascii=False)
                content[name] = self._shared.setdefault(text, len(self._shared))
        self._records.append(content)
        return len(self._records) - 1

    def to_json(self) -> dict[str, Any]:
        """Return the records and their shared parts, which records refer to by position."""
        return {"records": self._records, "shared": [json.loads(text) for text in self._shared]}


def _without_time(content: dict[str, Any], name: str) -> Any:
    """Return a part that several records can share, and move its time to the record itself."""
    value = content[name]
    if name == "environment" and "time" in value:
        content["time"] = value["time"]
        return {key: one for key, one in value.items() if key != "time"}
    return value
