"""Run as a process of a gloo group: losses and DDP's gradients on this process' share of the rows, written to a file.

two_processes.py FOLDER RANK
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from ragcun.losses import EuclideanInfoNCE, RetrievalObjective, SIGReg, distillation, drift, scale
from ragcun.losses.axes import AxesSIGReg
from ragcun.losses.moments import covariance, global_orthogonality

SHARES = [slice(0, 5), slice(5, 12)]  # of 12 rows: uneven
ROWS = 12


def make_batch() -> dict[str, Tensor]:
    """Anchors, positives, two negatives each, the base's embeddings, and ids with duplicates across the two shares."""
    generator = torch.Generator().manual_seed(0)
    batch = {
        name: torch.randn(*shape, generator=generator, dtype=torch.float64)
        for name, shape in {
            "anchors": (ROWS, 6),
            "positives": (ROWS, 6),
            "negatives": (ROWS, 2, 6),
            "teacher": (ROWS, 4),
        }.items()
    }
    batch["anchor_ids"] = torch.tensor([0, 1, 2, 3, 4, 0, 5, 6, 7, 8, 9, 2])
    batch["positive_ids"] = torch.tensor([10, 11, 12, 13, 14, 15, 13, 16, 17, 18, 19, 20])
    batch["negative_ids"] = torch.arange(100, 100 + 2 * ROWS).view(ROWS, 2)
    batch["negative_ids"][1, 1] = -1
    batch["negative_ids"][8, 0] = 10
    return batch


class Case(nn.Module):
    """A linear encoder and one loss on its outputs, together in one module as DDP wants them."""

    def __init__(self, loss: nn.Module | Callable[..., Tensor], name: str) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.encoder = nn.Linear(6, 4, dtype=torch.float64)
        self.loss = loss
        self.name = name

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        anchors, positives = self.encoder(batch["anchors"]), self.encoder(batch["positives"])
        negatives = self.encoder(batch["negatives"])
        ids = batch["anchor_ids"], torch.cat([batch["positive_ids"], batch["negative_ids"].flatten()])
        match self.name:
            case "sigreg" | "sigreg_lejepa" | "scale" | "covariance" | "orthogonality" | "axes":
                return self.loss(positives)
            case "infonce" | "infonce_temperature":
                return self.loss(anchors, positives, negatives, *ids)
            case "infonce_plain":
                return self.loss(anchors, positives)
            case "drift":
                return self.loss(positives, batch["teacher"])
            case "distillation":
                return self.loss(positives, batch["teacher"], 3.0)
            case _:
                parts = self.loss(anchors, positives, negatives, *ids, teacher_BE=batch["teacher"])
                return torch.stack(list(parts.values())).sum()


def cases() -> list[Case]:
    losses: dict[str, Any] = {
        "sigreg": SIGReg(300),
        "sigreg_lejepa": SIGReg(10, per_sample=False),
        "infonce": EuclideanInfoNCE(2.0),
        "infonce_plain": EuclideanInfoNCE(2.0),
        "infonce_temperature": EuclideanInfoNCE(2.0, learnable=True),
        "scale": scale,
        "covariance": covariance,
        "orthogonality": global_orthogonality,
        "axes": AxesSIGReg(4, slices=20),
        "distillation": distillation,
        "drift": drift,
        "objective": RetrievalObjective(lambda_distill=1.0, temperature=2.0, learnable_temperature=True, slices=16),
    }
    return [Case(loss, name) for name, loss in losses.items()]


def results(module: nn.Module, batch: dict[str, Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """The loss and the gradient of every parameter."""
    loss = module(batch)
    loss.backward()
    gradients = {name.removeprefix("module."): p.grad.numpy() for name, p in module.named_parameters()}
    return {"value": loss.detach().numpy(), **gradients}


def main(folder: Path, rank: int) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    batch = {name: rows[SHARES[rank]] for name, rows in make_batch().items()}
    found = {}
    for case in cases():
        for name, value in results(nn.parallel.DistributedDataParallel(case), batch).items():
            found[f"{case.name}/{name}"] = value
    # Outside of DDP a learnable temperature still gets the joined gradient.
    alone = next(case for case in cases() if case.name == "infonce_temperature")
    found["alone/loss.log_temperature"] = results(alone, batch)["loss.log_temperature"]
    np.savez(folder / f"rank{rank}.npz", **found)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
