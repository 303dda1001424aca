"""Evaluation by the processes that a launcher started: the first writes and speaks, the others help it search."""

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory


def several() -> bool:
    """Whether a launcher (`accelerate launch`, `torchrun`) started several processes.

    They work in step: what fails on one ends all, where one alone would go on with the next cell.
    """
    from ragcun.distributed import launched_processes

    return launched_processes() > 1


@contextmanager
def together(output: Path) -> Iterator[Path]:
    """Join the other processes, and give the folder that this one writes to.

    The first has `output`. Another has a folder of its own for as long as it works, in which it sees the cells of
    `output`, so that it computes the same ones; of its results nothing stays.
    """
    if not several():
        yield output
        return
    from ragcun.console import console
    from ragcun.distributed import join_processes

    processes = join_processes()
    if processes.is_main_process:
        processes.wait_for_everyone()
        yield output
        return
    with TemporaryDirectory() as own, redirect_stdout(io.StringIO()):
        if (output / "cells").is_dir():
            shutil.copytree(output.resolve() / "cells", Path(own) / "cells", copy_function=os.symlink)
        processes.wait_for_everyone()
        console.quiet = True
        try:
            yield Path(own)
        finally:
            console.quiet = False
