"""Interpolation between the initial and the best weights, and the choice of alpha on held-out queries."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ragcun.console import progress, warn
from ragcun.intact import write_record
from ragcun.settings.schema import Guard
from ragcun.training.dev import Dev
from ragcun.training.encoder import EncoderWithObjective, Tensors
from ragcun.training.loop import Outcome

_ENOUGH = 3  # one collection alone chose alpha 1.0, which lost 0.28 points over twelve others (docs/train.md)
ALPHAS = tuple(np.linspace(0, 1, 21).round(2).tolist())


@torch.no_grad()
def interpolated(start: Tensors, end: Tensors, alpha: float) -> Tensors:
    """Interpolate weights between `start` (alpha 0) and `end` (alpha 1), as WiSE-FT (arXiv 2109.01903, Eq. 1)."""
    return {name: torch.lerp(start[name], end[name], alpha) for name in start}


def choose_alpha(
    outcome: Outcome,
    encoder: EncoderWithObjective,
    in_domain: Dev,
    out_of_domain: Mapping[str, Dev],
    tolerance: float,
    guard: Guard,
    path: Path | None,
) -> float:
    """Choose the alpha with the highest in-domain nDCG@10 among those that lose at most `tolerance` out-of-domain.

    The loss is relative to alpha 0, the initial weights: the worst or the mean over the out-of-domain collections, as
    `guard` says. A warning is given for fewer than three collections. The curve is written to `path`, if given. Of
    equal scores, the smaller alpha is chosen. Alpha 0 loses nothing, so there is always a choice.
    """
    if len(out_of_domain) < _ENOUGH:
        warn(
            f"interpolate auto: {len(out_of_domain)} out-of-domain collections are too few for a safe choice; "
            f"give at least {_ENOUGH} with --out-of-domain"
        )
    curve: list[dict[str, Any]] = []
    with progress("choosing the interpolation", len(ALPHAS), "values") as bar:
        for alpha in ALPHAS:
            encoder.load_trained(interpolated(outcome.start, outcome.best, alpha))
            scores = {name: dev.ndcg(encoder.eval()) for name, dev in out_of_domain.items()}
            curve.append({"alpha": alpha, "in_domain": in_domain.ndcg(encoder), "out_of_domain": scores})
            bar.advance()
    allowed = [row for row in curve if _lost(curve[0], row, guard) <= tolerance]
    chosen = float(max(allowed, key=lambda row: row["in_domain"])["alpha"])
    if chosen == 0:
        warn(
            "interpolate auto: no value gains in-domain without losing out-of-domain, so the initial weights are saved"
        )
    if path is not None:
        write_record(path, {"curve": curve, "tolerance": tolerance, "guard": guard, "chosen": chosen})
    return chosen


def _lost(start: Mapping[str, Any], row: Mapping[str, Any], guard: Guard) -> float:
    losses: list[float] = [score - row["out_of_domain"][name] for name, score in start["out_of_domain"].items()]
    if not losses:
        return 0.0
    return max(losses) if guard == "worst" else sum(losses) / len(losses)
