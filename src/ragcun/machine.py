"""The resources of this machine, and a process' use of them."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

_RAPL = Path("/sys/class/powercap")


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def used() -> dict[str, float | None]:
    """Measure what this process has used so far.

    Returns:
        processor_seconds: the processor time of all threads.
        peak_memory_gib: the peak of main memory; None if the system does not report it.
        joules: the processors' energy counters, for all processes of the machine; None if they cannot be read.
    """
    return {"processor_seconds": time.process_time(), "peak_memory_gib": _peak_memory(), "joules": _joules()}


def used_since(before: dict[str, float | None]) -> dict[str, float | None]:
    """Return what this process has used since `used` returned `before`. The memory peak is that of its whole life."""
    now = used()
    for name in ("processor_seconds", "joules"):
        last, first = now[name], before[name]
        now[name] = None if last is None or first is None or last < first else round(last - first, 3)
    return now


def _peak_memory() -> float | None:
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30, 3)


def _joules() -> float | None:
    found = []
    for counter in sorted(_RAPL.glob("intel-rapl:?/energy_uj")):
        with suppress(OSError, ValueError):
            found.append(int(counter.read_text()) / 1e6)
    return sum(found) if found else None
