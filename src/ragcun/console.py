"""The console on standard error, for progress, notes and errors."""

import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
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

from ragcun.distributed import is_first
from ragcun.errors import Failure
from ragcun.printable import one_line

console = Console(stderr=True, highlight=False, emoji=False)
PACE = 300.0  # seconds over which the pace is averaged, so that a busy moment does not change the time left
_busy: ContextVar[bool] = ContextVar("busy", default=False)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("", style="progress.data.speed")
        unit = task.fields.get("unit", "it")
        return Text(f"{speed:,.0f} {unit}/s" if speed >= 10 else f"{speed:.2g} {unit}/s", style="cyan")


@dataclass
class Bar:
    """A progress bar. `advance` moves it, and `note` shows a few words at its end."""

    _progress: Progress
    _task: TaskID

    def advance(self, steps: float = 1) -> None:
        """Move the bar by `steps` units."""
        self._progress.advance(self._task, steps)

    def note(self, text: str) -> None:
        """Show `text` at the end of the bar."""
        self._progress.update(self._task, note=one_line(text))


@contextmanager
def progress(description: str, total: float | None, unit: str = "it") -> Iterator[Bar]:
    """Show a bar with rate and time left on a terminal, or print one line at the end of the work if output is piped.

    `description` names the work, and `total` is the number of `unit`s (None if unknown). Work inside the block shows no
    bar. The bar is full when the block ends without an error.
    """
    if _busy.get() or not is_first():
        yield _silent()
        return
    token = _busy.set(True)
    began = time.monotonic()
    try:
        if console.is_terminal:
            with Progress(*_columns(), console=console, speed_estimate_period=PACE) as bar:
                task = bar.add_task(one_line(description), total=total, unit=unit, note="")
                yield Bar(bar, task)
                if total is not None:
                    bar.update(task, completed=total)  # another process may have done a part of the work
        else:
            yield _silent()
            count = "" if total is None else f": {total:,.0f} {unit}"
            say(f"{description}{count} in {time.monotonic() - began:,.1f} s")
    finally:
        _busy.reset(token)


@contextmanager
def quietly() -> Iterator[None]:
    """Hide the progress of the work in this block."""
    token = _busy.set(True)
    try:
        yield
    finally:
        _busy.reset(token)


def _silent() -> Bar:
    bar = Progress(disable=True)
    return Bar(bar, bar.add_task("", total=None))


def _columns() -> list[ProgressColumn]:
    return [
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    ]


def duration(seconds: float) -> str:
    """Format a time in seconds, minutes, hours or days."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def say(text: str) -> None:
    """Print one line of information to standard error, on the first of several processes."""
    if is_first():
        console.print(one_line(text), soft_wrap=True, markup=False)


def warn(text: str) -> None:
    """Print one line of warning to standard error, on the first of several processes."""
    if is_first():
        _print_marked("[yellow]warning:[/yellow]", text)


def complain(text: str) -> None:
    """Print the one line of the error that ends a command to standard error."""
    _print_marked("[red]error:[/red]", text)


def _print_marked(mark: str, text: str) -> None:
    console.print(f"{mark} {escape(one_line(text))}", soft_wrap=True)


def warn_of(failure: Failure) -> None:
    """Warn of a failure that has just been caught, with its traceback if `--debug` is given."""
    if os.environ.get("RAGCUN_DEBUG"):
        traceback.print_exc()
    warn(str(failure))
