"""Both stages of the full strategies: pre-training, then fine-tuning from its best checkpoint."""

from pathlib import Path
from typing import Any

from ragcun.console import say
from ragcun.errors import UserError
from ragcun.settings.schema import Settings, Stage
from ragcun.training.run import train

PRETRAINING = "pretraining"


def train_stages(
    settings: Settings,
    experiment: Path,
    store: Path,
    load_checkpoint: str | None = None,
    label: str | None = None,
    stage: Stage = "both",
) -> dict[str, Any]:
    """Train one stage or both; the first in `experiment`/pretraining, an experiment of its own.

    The second starts from `load_checkpoint` where it is given without the first, and otherwise from the first's
    encoder. Settings without a stage 1 are one stage, and `stage` plays no part.

    Returns and raises as `train` does, for the last stage that is trained.
    """
    if settings.pretraining is None:
        return train(settings, experiment, store, load_checkpoint, label)
    second = settings.model_copy(update={"pretraining": None})
    if stage == "finetune":
        if load_checkpoint is None:
            raise UserError("train: stage 2 alone needs the encoder that it starts from; give --load-checkpoint")
        return train(second, experiment, store, load_checkpoint, label)
    if settings.data.pretrain is None:
        raise UserError("train: stage 1 has no data; give --pretrain-data pairs or a collection's folder")
    say("stage 1: pre-training")
    manifest = train(first_stage(settings), experiment / PRETRAINING, store, load_checkpoint)
    if stage == "pretrain":
        return manifest
    say("stage 2: fine-tuning")
    return train(second, experiment, store, str(experiment / PRETRAINING), label)


def first_stage(settings: Settings) -> Settings:
    """The settings of stage 1 alone, as those of a training."""
    data = settings.data.model_copy(update={"train": settings.data.pretrain, "val": settings.data.pretrain_val})
    return settings.model_copy(update={"pretraining": None, "training": settings.pretraining, "data": data})
