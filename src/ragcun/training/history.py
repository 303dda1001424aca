"""The history of a training: one JSON object a line, in the order of the steps."""

import json
from pathlib import Path
from typing import Any

from ragcun.files import write_text


class History:
    """`history.jsonl`. Each line has "step" and the values measured at this step.

    Args:
        path: the file.
        step: the step that is resumed from; later lines are dropped, since they will be written again.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        kept = [row for row in read_history(path) if row["step"] <= step] if step > 0 else []
        write_text(path, "".join(json.dumps(row) + "\n" for row in kept))

    def add(self, row: dict[str, Any]) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def read_history(path: Path) -> list[dict[str, Any]]:
    """The rows of a history; a last line that an interruption cut off is left out."""
    rows = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return rows
