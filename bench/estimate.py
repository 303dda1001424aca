"""Whether the time left that the bar of an encoding shows comes true.

    python bench/estimate.py --collection FOLDER [--model minilm] [--runtime auto] [--precision fp32]

Encodes the documents of a collection into a new store, and notes at each step of the bar what it says is left. Prints
JSON: the time that the encoding took and, from a tenth of it on, by how much the totals that the bar foretold were off
(in percent of the time taken; largest and median).
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import Progress

from ragcun.console import PACE, console
from ragcun.data.collection import Collection
from ragcun.embedding import encode
from ragcun.embedding.embedder import Embedder


class Notes:
    """A bar that is not shown, and what it would have said: seconds since its start, seconds left."""

    def __init__(self, total: float | None) -> None:
        self.said: list[tuple[float, float | None]] = []
        self.began = time.monotonic()
        self._bar = Progress(console=Console(file=StringIO()), speed_estimate_period=PACE)
        self._task = self._bar.add_task("", total=total)

    def advance(self, steps: float = 1) -> None:
        """Move on, as `Bar` does."""
        self._bar.advance(self._task, steps)
        self.said.append((time.monotonic() - self.began, self._bar.tasks[0].time_remaining))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", type=Path, required=True)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args()
    console.quiet = True
    bars: list[Notes] = []

    @contextmanager
    def noting(_: str, total: float | None, __: str) -> Iterator[Notes]:
        bars.append(Notes(total))
        yield bars[-1]

    encode.progress = noting  # type: ignore[assignment]
    corpus = Collection.open(options.collection).corpus
    with TemporaryDirectory() as scratch:
        embedder = Embedder(options.model, Path(scratch), options.precision, runtime=options.runtime)
        embedder.documents(corpus)
    (bar,) = bars
    taken = bar.said[-1][0]
    off = [100 * abs((at + left) / taken - 1) for at, left in bar.said if left is not None and at >= taken / 10]
    print(
        json.dumps(
            {
                "collection": options.collection.name,
                "documents": len(corpus),
                "seconds": round(taken, 1),
                "steps": len(bar.said),
                "largest_percent_off": round(max(off), 1),
                "median_percent_off": round(statistics.median(off), 1),
            }
        )
    )


if __name__ == "__main__":
    main()
