"""Workers: all tasks done, and no worker that outlives the process that started it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from ragcun.errors import RagcunError
from ragcun.pipeline.workers import in_workers

SLEEPERS = """
import signal, sys, time
from ragcun.pipeline.workers import in_workers
def interrupt(*_): raise SystemExit(130)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, interrupt)
if __name__ == "__main__":
    list(in_workers(time.sleep, [600] * 8, 2))
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_has_its_result(jobs: int) -> None:
    assert dict(in_workers(abs, [-1, -2, -3], jobs)) == {-1: 1, -2: 2, -3: 3}


def test_a_worker_that_is_killed_is_told() -> None:
    with pytest.raises(RagcunError, match="worker process was killed"):
        list(in_workers(os._exit, [1, 1], 2))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_workers_end_with_the_process_that_started_them(how: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", SLEEPERS])
    deadline = time.monotonic() + 60
    workers: list[psutil.Process] = []
    while len(workers) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        children = psutil.Process(process.pid).children()
        workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    time.sleep(1.5)  # until they are at work

    process.send_signal(how)

    process.wait(timeout=30)
    _, left = psutil.wait_procs(workers, timeout=30)
    assert len(workers) == 2
    assert not left
