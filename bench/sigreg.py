"""SIGReg, loss and gradient, against LeJEPA's formula in plain autograd: time, peak memory and agreement.

Both draw their directions, so that whole training steps of the regulariser are compared. Times are medians of
alternating runs in one process. Peak memory is measured in a process of its own for each: the highest resident set
during one call, after a small warm-up, less the resident set just before it (Linux: /proc/self/status, the mark reset
through /proc/self/clear_refs). Errors are the largest of a gradient's in fp32 against the same formula in fp64,
relative to its largest entry.

    python bench/sigreg.py [--rows 1024 --dimensions 512 --slices 1024 --knots 17 --runs 15]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ragcun.losses import SIGReg


def plain(embeddings_ND: Tensor, slices: int, knots: int, t_max: float = 3.0) -> Tensor:
    """The loss as in LeJEPA's reference implementation (arXiv 2511.08544), divided by the batch."""
    t_T = torch.linspace(0, t_max, knots, dtype=embeddings_ND.dtype)
    weights_T = torch.full_like(t_T, 2 * t_max / (knots - 1))
    weights_T[[0, -1]] /= 2
    target_T = torch.exp(-t_T.square() / 2)
    generator = torch.Generator().manual_seed(0)
    directions_DK = torch.randn(embeddings_ND.shape[1], slices, generator=generator)
    directions_DK = directions_DK.div_(directions_DK.norm(dim=0)).to(embeddings_ND.dtype)
    angles_NKT = (embeddings_ND @ directions_DK).unsqueeze(-1) * t_T
    error_KT = (angles_NKT.cos().mean(0) - target_T).square() + angles_NKT.sin().mean(0).square()
    return (error_KT @ (weights_T * target_T)).mean()


def calls(slices: int, knots: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """What is compared: a loss, by name."""
    sigreg = SIGReg(slices, knots)
    return {"plain": lambda x_ND: plain(x_ND, slices, knots), "ragcun": lambda x_ND: sigreg(x_ND, step=0)}


def step(loss: Callable[[Tensor], Tensor], embeddings_ND: Tensor) -> Tensor:
    """Loss and gradient; the gradient is returned."""
    embeddings_ND.grad = None
    loss(embeddings_ND).backward()
    assert embeddings_ND.grad is not None  # noqa: S101
    return embeddings_ND.grad


def resident(field: str) -> float:
    """A field of /proc/self/status in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def peak(name: str, sizes: argparse.Namespace) -> float:
    """Increase of the resident set during one call, in MiB; for a process that does nothing else."""
    loss = calls(sizes.slices, sizes.knots)[name]
    step(calls(2, sizes.knots)[name], torch.randn(8, 8, requires_grad=True))
    embeddings_ND = torch.randn(sizes.rows, sizes.dimensions, requires_grad=True)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    step(loss, embeddings_ND)
    return resident("VmHWM") - before


def peak_elsewhere(name: str) -> float:
    """`peak` in a fresh process with the same arguments; the median of three."""
    command = [sys.executable, __file__, *sys.argv[1:], "--peak", name]
    return statistics.median(float(subprocess.check_output(command, text=True)) for _ in range(3))


def gradient_error(sizes: argparse.Namespace) -> dict[str, float]:
    """Largest relative error of each gradient in fp32."""
    x_ND = torch.randn(sizes.rows, sizes.dimensions, generator=torch.Generator().manual_seed(0))
    errors = {}
    for name, loss in calls(sizes.slices, sizes.knots).items():
        exact_ND = step(loss, x_ND.double().requires_grad_())
        found_ND = step(loss, x_ND.clone().requires_grad_())
        errors[name] = float((found_ND - exact_ND).abs().max() / exact_ND.abs().max())
    return errors


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"rows": 1024, "dimensions": 512, "slices": 1024, "knots": 17, "runs": 15}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--peak", choices=["plain", "ragcun"], help=argparse.SUPPRESS)
    sizes = parser.parse_args()
    if sizes.peak:
        print(peak(sizes.peak, sizes))
        return
    embeddings_ND = torch.randn(sizes.rows, sizes.dimensions, requires_grad=True)
    losses = calls(sizes.slices, sizes.knots)
    seconds: dict[str, list[float]] = {name: [] for name in losses}
    for run in range(sizes.runs + 1):
        for name, loss in losses.items():
            start = time.perf_counter()
            step(loss, embeddings_ND)
            if run:
                seconds[name].append(time.perf_counter() - start)
    median = {name: 1000 * statistics.median(times) for name, times in seconds.items()}
    memory = {name: peak_elsewhere(name) for name in losses}
    result = {
        "sizes": {name: getattr(sizes, name) for name in ("rows", "dimensions", "slices", "knots", "runs")},
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "median_ms": median,
        "fastest_ms": {name: 1000 * min(times) for name, times in seconds.items()},
        "times_faster": median["plain"] / median["ragcun"],
        "peak_mib": memory,
        "times_smaller": memory["plain"] / memory["ragcun"],
        "gradient_error": gradient_error(sizes),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
