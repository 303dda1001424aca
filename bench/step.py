"""A step of head training on stored embeddings beside the matrix products that it contains.

    python bench/step.py [--batch 1024] [--runs 15] [--profile]

The step is the training loop's own, with the settings of the preset hybrid but for the batch: gather the rows, the
head, the objective with all of its terms, the gradients, their norm, the optimiser. Its matrix products are recorded
once by shape and then computed alone. The floor is their FLOPs at the rate of a large one.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import Row, in_turn, of, parser, report
from torch.utils._python_dispatch import TorchDispatchMode

from ragcun.heads.spectrum import spectrum
from ragcun.losses.retrieval import RetrievalObjective
from ragcun.model.heads import build_head
from ragcun.settings.load import load_settings
from ragcun.training.accelerator import make_accelerator
from ragcun.training.batches import Batch
from ragcun.training.encoder import EncoderWithObjective
from ragcun.training.loop import Job, Training

BASE = 768
DOCUMENTS = 20_000


class Rows:
    """Random base embeddings as pairs, gathered as those of a store are."""

    mixture = ()

    def __init__(self, pairs: int) -> None:
        draw = np.random.default_rng(0)
        self.queries, self.documents = (draw.standard_normal((DOCUMENTS, BASE), dtype=np.float32) for _ in range(2))
        self.anchor, self.positive = (draw.integers(DOCUMENTS, size=pairs) for _ in range(2))
        self.known = torch.from_numpy((self.anchor << 32) | self.positive).sort().values

    def __len__(self) -> int:
        return len(self.anchor)

    def batch(self, rows: np.ndarray, _: torch.device) -> Batch:
        anchor, positive = self.anchor[rows], self.positive[rows]
        positives = torch.from_numpy(self.documents[positive])
        ids = torch.from_numpy(anchor), torch.from_numpy(positive)
        return Batch(torch.from_numpy(self.queries[anchor]), positives, None, *ids, self.known, positives)


class Recorded(TorchDispatchMode):
    """Keeps the operands of each matrix product: shape, and whether it is stored transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.products: list[tuple[Any, list[tuple[torch.Size, bool]]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        aten, onednn = torch.ops.aten, torch.ops.mkldnn._linear_pointwise
        if func.overloadpacket in {aten.mm, aten.addmm, aten.bmm, onednn}:
            tensors = [one for one in args if isinstance(one, torch.Tensor)]
            pair = tensors[:2] if func.overloadpacket is onednn else tensors[-2:]
            self.products.append((func.overloadpacket, [(one.shape, not one.is_contiguous()) for one in pair]))
        return func(*args, **(kwargs or {}))

    @property
    def flops(self) -> float:
        """Of all products: twice the numbers of the left operand times the columns of the right one."""
        onednn = torch.ops.mkldnn._linear_pointwise
        return sum(
            2.0 * left.numel() * (right[0] if way is onednn else right[-1])
            for way, ((left, _), (right, _)) in self.products
        )


def replayed(products: list[tuple[Any, list[tuple[torch.Size, bool]]]]) -> Callable[[], None]:
    """What computes these products in the same way, and nothing else."""

    def random(shape: torch.Size, transposed: bool) -> torch.Tensor:
        made = torch.randn(*shape[:-2], *(shape[:-3:-1] if transposed else shape[-2:]))
        return made.mT if transposed else made

    onednn = torch.ops.mkldnn._linear_pointwise
    calls = [(way, [random(*one) for one in pair]) for way, pair in products]

    def compute() -> None:
        for way, pair in calls:
            if way is onednn:
                onednn(*pair, None, "none", [], "")
            else:
                torch.matmul(*pair)

    return compute


def stepper(batch: int, scratch: Path) -> Callable[[], None]:
    """What takes one step after the other."""
    settings = load_settings(
        "hybrid", None, {"training": {"batch_size": batch, "gradient_accumulation_steps": 1, "lambda_general": 0}}
    )
    pairs = Rows(100_000)
    head = build_head(settings.model, spectrum(pairs.documents), 0)
    stage = settings.training
    objective = RetrievalObjective(dimension=settings.model.dimension, **stage.weights())
    dev: Any = None
    job = Job(EncoderWithObjective(head, objective, 1.0), pairs, dev, stage, seed=0, keep_start=True, identity="")
    training = Training(job, scratch, make_accelerator(settings, scratch))
    sums: dict[str, float] = {}
    number = iter(range(10**6))
    return lambda: training._step(next(number), sums)


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, batch=1024, runs=15)
    options.add_argument("--profile", action="store_true", help="print what the step spends its time on instead")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        step = stepper(given.batch, Path(folder))
        step()
        if given.profile:
            with torch.profiler.profile() as profiled:
                for _ in range(given.runs):
                    step()
            print(profiled.key_averages().table(sort_by="self_cpu_time_total", row_limit=35))
            return
        with Recorded() as recorded:
            step()
        taken = in_turn({"products": replayed(recorded.products), "step": step}, given.runs)
    report(
        [
            Row(
                layer="A step of head training",
                work=f"batch {given.batch}, preset hybrid's head (768 to 512) and objective, fp32",
                peer=f"the step's own {len(recorded.products)} matrix products alone, {of('torch')}",
                seconds=taken["step"],
                peer_seconds=taken["products"],
                wanted=0.5,
                least=(recorded.flops, "fp32"),
                least_of="matrix products",
                notes=["The peer is a part of the step, so the ratio is below 1."],
            )
        ]
    )


if __name__ == "__main__":
    main()
