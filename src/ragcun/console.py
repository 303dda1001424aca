"""The one console: everything that is not a command's result goes to standard error."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

console = Console(stderr=True, highlight=False)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("", style="progress.data.speed")
        unit = task.fields.get("unit", "it")
        return Text(f"{speed:,.0f} {unit}/s" if speed >= 10 else f"{speed:.2g} {unit}/s", style="cyan")


@dataclass
class Bar:
    """One line of progress. `advance` moves it, `note` shows a few words at its end."""

    _progress: Progress
    _task: TaskID

    def advance(self, steps: float = 1) -> None:
        """Move the bar by `steps` units."""
        self._progress.advance(self._task, steps)

    def note(self, text: str) -> None:
        """Show `text` behind the bar."""
        self._progress.update(self._task, note=text)


@contextmanager
def progress(description: str, total: float | None, unit: str = "it") -> Iterator[Bar]:
    """Show a bar with rate and time left on a terminal; where output is piped, one line when the work is done.

    `description` is what is done, `total` how many `unit`s there are (None if unknown).
    """
    if not console.is_terminal:
        bar = Progress(disable=True)
        yield Bar(bar, bar.add_task(description, total=total))
        count = "" if total is None else f": {total:,.0f} {unit}"
        console.print(f"{description}{count}", soft_wrap=True, markup=False)
        return
    columns: list[ProgressColumn] = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    ]
    with Progress(*columns, console=console) as bar:
        yield Bar(bar, bar.add_task(description, total=total, unit=unit, note=""))


def say(text: str) -> None:
    """Print one line of information to standard error."""
    console.print(text, soft_wrap=True)


def warn(text: str) -> None:
    """Print one line of warning to standard error."""
    console.print(f"[yellow]warning:[/yellow] {text}", soft_wrap=True)
