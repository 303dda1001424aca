"""What is trained on and what is held out, as the settings name them."""

from pathlib import Path

import numpy as np

from ragcun.console import say
from ragcun.data.pairs import Pairs, load_pairs
from ragcun.errors import UserError
from ragcun.settings.schema import Settings
from ragcun.training.batches import limit_negatives
from ragcun.training.dev import DevTexts, dev_from_collection, dev_from_pairs

_HELD_OUT = 0.05
_MOST_HELD_OUT = 1_000


def training_data(settings: Settings) -> tuple[Pairs, DevTexts]:
    """The pairs that are trained on, and what is scored in between.

    Raises:
        UserError: data that is missing, malformed, or too little.
    """
    data = settings.data
    if data.train is None:
        raise UserError("train: no training data; give --train-data a pairs file or a collection's folder")
    path = Path(data.train)
    pairs = limit_negatives(load_pairs(path, "train", on_error=data.on_error), settings.training.negatives)
    if settings.training.rows is not None:
        pairs = pairs.take(settings.training.rows, settings.seed)
    if data.val is not None:
        val = Path(data.val)
        if val.is_dir():
            return pairs, dev_from_collection(val, "dev", data.on_error, settings.seed)
        return pairs, dev_from_pairs(load_pairs(val, "dev", on_error=data.on_error), settings.seed)
    if path.is_dir() and (path / "qrels" / "dev.tsv").is_file():
        return pairs, dev_from_collection(path, "dev", data.on_error, settings.seed)
    return _hold_out(pairs, settings.seed)


def _hold_out(pairs: Pairs, seed: int) -> tuple[Pairs, DevTexts]:
    queries = np.unique(pairs.anchor)
    count = min(_MOST_HELD_OUT, max(2, int(_HELD_OUT * len(queries))))
    if len(queries) < 2 * count:
        raise UserError(f"train: {len(queries)} queries are too few to hold some out; give --val-data")
    held = np.isin(pairs.anchor, np.random.default_rng(seed).permutation(queries)[:count])
    say(f"no validation data given: {count:,} of {len(queries):,} training queries are held out for it")
    return pairs.where(~held), dev_from_pairs(pairs.where(held), seed)
