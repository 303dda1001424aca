"""The history of a training: one JSON object with its checksum per line, in the order of steps."""

from pathlib import Path
from typing import Any

from ragcun.console import warn
from ragcun.files import write_text
from ragcun.intact import row_line, row_of_line


class History:
    """`history.jsonl`. Each line has "step" and the values measured at this step.

    Args:
        path: the file.
        step: the step from which the training resumes; later lines are removed, because they will be written again.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        kept = [row for row in read_history(path) if row["step"] <= step] if step > 0 else []
        write_text(path, "".join(row_line(row) for row in kept))

    def add(self, row: dict[str, Any]) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(row_line(row))


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read a history; an incomplete last line is left out, and damaged lines are left out and reported."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    rows = [row_of_line(line) for line in lines]
    damaged = [number for number, row in enumerate(rows, 1) if row is None]
    if damaged and (len(damaged) > 1 or damaged[0] < len(lines) or lines[-1].endswith("\n")):
        warn(f"{path}:{damaged[0]}: damaged; {len(damaged)} of {len(lines)} lines of the history are left out")
    return [row for row in rows if row is not None]
