"""How benchmarks measure, and the shape of what each of them prints.

A benchmark prints one JSON object: the machine, the date, the packages' versions, and a list of `Row`s. All figures are
seconds of the same work, by ragcun and by the peer in turn. On a machine that others use, BENCH_CLOCK=processor counts
seconds of the processor instead; set OMP_NUM_THREADS=1 with it, since threads that wait for each other count too.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from ragcun.machine import cores

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Work = Callable[[], object]
PROCESSOR = os.environ.get("BENCH_CLOCK") == "processor"
_SIDE = 2_048  # of the large matrix product
_COPIED = 2**28  # bytes of the large copy


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        layer: what is compared.
        work: the work and ragcun's settings.
        peer: what it is compared with, its version and settings.
        seconds: of each run of the work, by ragcun.
        peer_seconds: the same by the peer; run i was taken beside run i.
        wanted: the target of the ratio of the peer's seconds to ragcun's.
        least: what the work takes at least: an amount of FLOPs in `fp32` or `bf16`, or of bytes to `copy`, and which of
            these; None where no such bound is known.
        least_of: what that is.
        mebibytes, peer_mebibytes: the peak of resident memory, where it is measured.
        notes: what a reader must know besides.
    """

    layer: str
    work: str
    peer: str
    seconds: Sequence[float]
    peer_seconds: Sequence[float]
    wanted: float
    least: tuple[float, str] | None = None
    least_of: str = ""
    mebibytes: float | None = None
    peer_mebibytes: float | None = None
    notes: Sequence[str] = field(default=())


def clock() -> float:
    """Seconds by the wall clock, or of the processor, this process' and those of the processes that it waited for."""
    if not PROCESSOR:
        return time.perf_counter()
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def in_turn(ways: Mapping[str, Work], runs: int, warm: bool = True) -> dict[str, list[float]]:
    """Seconds of each run of each way; the ways take turns, after one turn that does not count where `warm`."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(runs + warm):
        for name, work in ways.items():
            began = clock()
            work()
            seconds = clock() - began
            if turn or not warm:
                taken[name].append(seconds)
    return taken


def products(precision: str) -> float:
    """FLOP/s of a large matrix product, the best of ten by torch's own choice of library and by oneDNN."""
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    left, right = (torch.randn(_SIDE, _SIDE).to(dtype) for _ in range(2))
    ways: dict[str, Work] = {"torch": lambda: torch.mm(left, right)}
    if precision == "fp32" and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        ways["onednn"] = lambda: torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
    return 2 * _SIDE**3 / min(min(seconds) for seconds in in_turn(ways, 10).values())


def copies() -> float:
    """Bytes a second that a large copy reads and writes: the best of ten."""
    source = np.ones(_COPIED // 8)
    target = np.empty_like(source)
    return 2 * _COPIED / min(in_turn({"": lambda: np.copyto(target, source)}, 10)[""])


def process(command: Sequence[str | os.PathLike[str]], **variables: str) -> tuple[float, float, str]:
    """Run a process to its end: its seconds, the MiB at its peak, and what it printed."""
    began = time.perf_counter()
    with subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | variables,
    ) as running:
        assert running.stdout is not None  # noqa: S101
        printed = running.stdout.read()
        _, status, usage = os.wait4(running.pid, 0)
        seconds = time.perf_counter() - began
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {running.returncode}")
    if PROCESSOR:
        seconds = usage.ru_utime + usage.ru_stime
    return seconds, usage.ru_maxrss / 1024, printed


def ragcun(*arguments: str | os.PathLike[str]) -> tuple[float, float, str]:
    """Run a whole `ragcun` process; as `process`."""
    return process([sys.executable, "-m", "ragcun", *arguments])


def trainer_step(encoder: "SentenceTransformer", loss: Any, pairs: Any, batch: int, scratch: Path) -> float:
    """Seconds a step of sentence-transformers' trainer over `pairs` (ragcun's `Pairs`), the first step left out."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from transformers import TrainerCallback

    rows = zip(pairs.anchor.tolist(), pairs.positive.tolist(), strict=True)
    dataset = Dataset.from_list([{"anchor": pairs.queries[a], "positive": pairs.documents[p]} for a, p in rows])
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            times.append(clock())

    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(scratch),
        per_device_train_batch_size=batch,
        num_train_epochs=1,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = SentenceTransformerTrainer(
        model=encoder, args=arguments, train_dataset=dataset, loss=loss, callbacks=[Clock()]
    )
    with contextlib.redirect_stdout(sys.stderr):
        trainer.train()
    return (times[-1] - times[0]) / (len(times) - 1)


def of(package: str) -> str:
    """A package with its version."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        raise SystemExit(f"{package} is not installed; nox -s bench installs what the benchmarks need") from None


def spread(values: Sequence[float]) -> str:
    """The median with the smallest and the largest."""
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def processor() -> str:
    """Name of the processor."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def ceiling(kind: str) -> float:
    """This machine's rate of such work: FLOP/s in fp32 or bf16, or bytes/s."""
    return copies() if kind == "copy" else products(kind)


def report(rows: Sequence[Row]) -> None:
    """Print rows with the machine, the share of it that others keep busy, date, command and versions."""
    told = {
        "machine": f"{cores()} cores of an {processor()}, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "busy": psutil.cpu_percent(interval=1) / 100,
        "clock": "processor" if PROCESSOR else "wall",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": " ".join(["python", f"bench/{Path(sys.argv[0]).name}", *map(_shown, sys.argv[1:])]),
        "ceilings": {kind: ceiling(kind) for kind in sorted({row.least[1] for row in rows if row.least is not None})},
        "versions": {name: version(name) for name in ("torch", "numpy")},
        "rows": [asdict(row) for row in rows],
    }
    print(json.dumps(told, indent=2))


def _shown(argument: str) -> str:
    """An argument without the folders of this machine."""
    return f"FOLDER/{Path(argument).name}" if Path(argument).is_absolute() else argument


def parser(text: str | None, **numbers: int) -> argparse.ArgumentParser:
    """A parser with the benchmark's docstring as help and a flag for each of its sizes."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in numbers.items():
        made.add_argument(f"--{name.replace('_', '-')}", type=int, default=default, help=f"default: {default}")
    return made
