"""Worker processes, which end with the process that started them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from ragcun.errors import RagcunError

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_workers(work: Callable[[Task], Result], tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Result]]:
    """Yield each task with what `work` gave for it, as they are done, in `jobs` processes; 1 is this one.

    A worker does many tasks, so that imports are paid for once. Where the caller stops, is interrupted or killed, so
    are the workers. `work` and the tasks are pickled.

    Raises:
        RagcunError: a worker was killed.
    """
    if jobs == 1:
        for task in tasks:
            yield task, work(task)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context, initializer=_begin) as pool:
        try:
            running = {pool.submit(work, task): task for task in tasks}
            for done in as_completed(running):
                yield running[done], done.result()
        except BrokenProcessPool:
            raise RagcunError(
                "a worker process was killed, perhaps because memory ran out; run the same command again to "
                "resume, with fewer --jobs if necessary"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
