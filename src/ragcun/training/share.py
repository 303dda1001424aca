"""Where between its start and its end a head is saved: chosen on held-out queries, at home and abroad."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ragcun.console import progress, warn
from ragcun.data.collection import Collection
from ragcun.data.problems import OnError
from ragcun.errors import UserError
from ragcun.files import write_json
from ragcun.model.heads import interpolate
from ragcun.training.dev import Dev, DevTexts, dev_from_collection
from ragcun.training.loop import Outcome
from ragcun.training.trainee import Trainee

SHARES = tuple(np.linspace(0, 1, 21).round(2).tolist())


def abroad_texts(path: Path, on_error: OnError, seed: int) -> DevTexts:
    """The dev queries of a collection that is not trained on, or its train queries; never those of its test split.

    Raises:
        UserError: it has neither.
    """
    splits = Collection.open(path, on_error=on_error).splits()
    split = next((name for name in ("dev", "train") if name in splits), None)
    if split is None:
        raise UserError(f"--abroad {path}: has no dev and no train split to choose the share on")
    return dev_from_collection(path, split, on_error, seed)


def choose_share(
    outcome: Outcome, trainee: Trainee, home: Dev, abroad: Mapping[str, Dev], tolerance: float, path: Path | None
) -> float:
    """The share with the highest nDCG@10 at home among those that lose at most `tolerance` on each collection abroad.

    Losses are against share 0, the start. The curve is written to `path`, if given. Ties go to the smaller share; share
    0 loses nothing, so there is always one.
    """
    curve: list[dict[str, Any]] = []
    with progress("choosing the share", len(SHARES), "shares") as bar:
        for share in SHARES:
            trainee.load_trained(interpolate(outcome.start, outcome.best, share))
            scores = {name: dev.ndcg(trainee.eval()) for name, dev in abroad.items()}
            curve.append({"share": share, "home": home.ndcg(trainee), "abroad": scores})
            bar.advance()
    start = curve[0]["abroad"]
    allowed = [row for row in curve if all(row["abroad"][name] >= start[name] - tolerance for name in start)]
    chosen = float(max(allowed, key=lambda row: row["home"])["share"])
    if chosen == 0:
        warn("share auto: no share gains at home without losing abroad; what is saved is the start")
    if path is not None:
        write_json(path, {"curve": curve, "tolerance": tolerance, "chosen": chosen})
    return chosen
