"""SIGReg, loss and gradient, against LeJEPA's formula, eager and compiled: time, peak memory and agreement.

All draw their directions, so that whole training steps of the regulariser are compared. Peak memory is measured in a
process of its own for each: the highest resident set during one call, after a warm-up, less the resident set just
before it (Linux: /proc/self/status, the mark reset through /proc/self/clear_refs). Errors are the largest of a
gradient's in fp32 against the same formula in fp64, relative to its largest entry.

    python bench/sigreg.py [--rows 1024 --dimensions 512 --slices 1024 --knots 17 --runs 7]
"""

import argparse
import ctypes
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from measure import Row, in_turn, of, parser, process, report
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
    compiled = torch.compile(plain)
    return {
        "plain": lambda x_ND: plain(x_ND, slices, knots),
        "compiled": lambda x_ND: compiled(x_ND, slices, knots),
        "ragcun": lambda x_ND: sigreg(x_ND, step=0),
    }


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
    embeddings_ND = torch.randn(sizes.rows, sizes.dimensions, requires_grad=True)
    step(loss, embeddings_ND)
    ctypes.CDLL(None).malloc_trim(0)  # gives back what the warm-up took
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    step(loss, embeddings_ND)
    return resident("VmHWM") - before


def peak_elsewhere(name: str) -> float:
    """`peak` in a fresh process with the same arguments."""
    return float(process([sys.executable, __file__, *sys.argv[1:], "--peak", name])[2])


def gradient_error(sizes: argparse.Namespace, name: str) -> float:
    """Largest relative error of the gradient in fp32."""
    x_ND = torch.randn(sizes.rows, sizes.dimensions, generator=torch.Generator().manual_seed(0))
    loss = calls(sizes.slices, sizes.knots)[name]
    exact_ND = step(loss, x_ND.double().requires_grad_())
    found_ND = step(loss, x_ND.clone().requires_grad_())
    return float((found_ND - exact_ND).abs().max() / exact_ND.abs().max())


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, rows=1024, dimensions=512, slices=1024, knots=17, runs=7)
    options.add_argument("--peak", choices=["plain", "compiled", "ragcun"], help=argparse.SUPPRESS)
    sizes = options.parse_args()
    if sizes.peak:
        print(peak(sizes.peak, sizes))
        return
    embeddings_ND = torch.randn(sizes.rows, sizes.dimensions, requires_grad=True)
    losses = calls(sizes.slices, sizes.knots)
    taken = in_turn({name: partial(step, loss, embeddings_ND) for name, loss in losses.items()}, sizes.runs)
    memory = {name: peak_elsewhere(name) for name in losses}
    projections = 4 * sizes.rows * sizes.dimensions * sizes.slices
    shape = f"{sizes.rows} x {sizes.dimensions}, {sizes.slices} slices, {sizes.knots} knots, fp32"
    errors = ", ".join(f"{name} {gradient_error(sizes, name):.1e}" for name in ("ragcun", "plain"))
    report(
        [
            Row(
                layer="SIGReg, loss and gradient",
                work=shape,
                peer=f"LeJEPA's formula, {of('torch')}, {how}",
                seconds=taken["ragcun"],
                peer_seconds=taken[name],
                wanted=8,
                least=(projections, "fp32"),
                least_of="projections and their gradient",
                mebibytes=memory["ragcun"],
                peer_mebibytes=memory[name],
                notes=[f"Memory is what one call adds. Relative error of the gradient against fp64: {errors}."],
            )
            for name, how in (("plain", "eager"), ("compiled", "torch.compile"))
        ]
    )


if __name__ == "__main__":
    main()
