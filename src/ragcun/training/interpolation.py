"""Interpolation of the initial and the best weights, and the choice of its alpha on held-out queries."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ragcun.console import progress, warn
from ragcun.files import write_json
from ragcun.training.dev import Dev
from ragcun.training.encoder import EncoderWithObjective, Tensors
from ragcun.training.loop import Outcome

ALPHAS = tuple(np.linspace(0, 1, 21).round(2).tolist())


@torch.no_grad()
def interpolated(start: Tensors, end: Tensors, alpha: float) -> Tensors:
    """Weights at `alpha` of the way from `start` (0) to `end` (1), as in WiSE-FT (arXiv 2109.01903, Eq. 1)."""
    return {name: torch.lerp(start[name], end[name], alpha) for name in start}


def choose_alpha(
    outcome: Outcome,
    encoder: EncoderWithObjective,
    in_domain: Dev,
    out_of_domain: Mapping[str, Dev],
    tolerance: float,
    path: Path | None,
) -> float:
    """The weight of the best checkpoint with the highest in-domain nDCG@10 and at most `tolerance` lost out-of-domain.

    Losses are against alpha 0, the start. The curve is written to `path`, if given. Ties go to the smaller alpha; alpha
    0 loses nothing, so there is always one.
    """
    curve: list[dict[str, Any]] = []
    with progress("choosing the alpha", len(ALPHAS), "alphas") as bar:
        for alpha in ALPHAS:
            encoder.load_trained(interpolated(outcome.start, outcome.best, alpha))
            scores = {name: dev.ndcg(encoder.eval()) for name, dev in out_of_domain.items()}
            curve.append({"alpha": alpha, "in_domain": in_domain.ndcg(encoder), "out_of_domain": scores})
            bar.advance()
    start = curve[0]["out_of_domain"]
    allowed = [row for row in curve if all(row["out_of_domain"][name] >= start[name] - tolerance for name in start)]
    chosen = float(max(allowed, key=lambda row: row["in_domain"])["alpha"])
    if chosen == 0:
        warn("interpolate auto: no alpha gains in-domain without losing out-of-domain; what is saved is the start")
    if path is not None:
        write_json(path, {"curve": curve, "tolerance": tolerance, "chosen": chosen})
    return chosen
