"""Two gloo processes that share the documents find what one finds."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np

from ragcun.retrieval.sharing import search_together

SCRIPT = Path(__file__).with_name("two_processes.py")


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, SCRIPT, tmp_path, str(rank)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=one_thread,
        )
        for rank in range(2)
    ]
    try:
        for worker in workers:
            output, errors = worker.communicate(timeout=240)
            assert worker.returncode == 0, errors
            assert output == "the processes were given different searches; nothing was merged\n"
    finally:
        for worker in workers:
            worker.kill()
    cases = runpy.run_path(str(SCRIPT))["cases"]()
    assert len(cases) == 7
    for rank in range(2):
        with np.load(tmp_path / f"rank{rank}.npz") as found:
            for name, case in cases.items():
                expected = search_together(**case)
                assert np.array_equal(found[f"{name}/rows"], expected.rows), name
                assert np.array_equal(found[f"{name}/scores"], expected.scores), name
    ties = search_together(**cases["ties euclidean"])
    assert (ties.scores[:, -1] == ties.scores[:, -2]).any(), "no ties: the test shows nothing"
