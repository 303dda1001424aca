"""How long commands take to answer, beside what the libraries that they are made of take to be imported.

    python bench/start.py [--runs 7]

`--help` is a whole process. The first line of a command is what it prints first: it is timed from the process' start to
that line.
"""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from measure import Row, in_turn, of, parser, process, report

from ragcun.data.collection import write_collection


def first_line(*arguments: str) -> None:
    """Run `ragcun` until its first line."""
    with subprocess.Popen(
        [sys.executable, "-m", "ragcun", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        assert running.stderr is not None  # noqa: S101
        if not running.stderr.readline():
            raise SystemExit(f"ragcun {' '.join(arguments)}: printed nothing")
        running.kill()


def imported(modules: str) -> None:
    """Import modules in a process of their own."""
    process([sys.executable, "-c", f"import {modules}"])


def waited(seconds: float) -> str:
    """For a note."""
    return f"{1000 * seconds:.0f} ms"


def main() -> None:
    """Measure and print."""
    given = parser(__doc__, runs=7).parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        toy = write_collection(
            Path(scratch) / "toy",
            [(f"d{i}", "", f"text {i}") for i in range(50)],
            [(f"q{i}", f"query {i}") for i in range(50)],
            {"train": [(f"q{i}", f"d{i}", 1) for i in range(40)], "test": [(f"q{i}", f"d{i}", 1) for i in range(50)]},
        )
        train = ("train", "--train-data", str(toy), "--base-model", "minilm", "--store", f"{scratch}/store")
        evaluate = ("eval", "collection", str(toy), "--model", "minilm", "--store", f"{scratch}/store")
        python, _, _ = process([sys.executable, "-c", "pass"])
        ways = {
            "help": partial(process, [sys.executable, "-m", "ragcun", "--help"]),
            "typer": partial(imported, "typer, rich.console"),
            "train": partial(first_line, *train, "--output-dir", f"{scratch}/experiment"),
            "eval": partial(first_line, *evaluate, "--output", f"{scratch}/results"),
            "sentence_transformers": partial(imported, "sentence_transformers"),
        }
        taken = in_turn(ways, given.runs)
    libraries = f"importing sentence_transformers, {of('sentence-transformers')}"
    note = [f"Python alone starts in {waited(python)}."]
    report(
        [
            Row(
                "Start of --help",
                "whole process",
                f"importing typer and rich, {of('typer')}, {of('rich')}",
                taken["help"],
                taken["typer"],
                0.5,
                notes=note,
            ),
            Row("First line of train", "50 documents", libraries, taken["train"], taken["sentence_transformers"], 2),
            Row("First line of eval", "50 documents", libraries, taken["eval"], taken["sentence_transformers"], 2),
        ]
    )


if __name__ == "__main__":
    main()
