"""The two stages of the full strategies: pre-training, then fine-tuning of its encoder."""

from pathlib import Path
from typing import Any

from ragcun.console import say
from ragcun.settings.schema import Settings, Stage
from ragcun.training.data import PRETRAINING, trainings
from ragcun.training.run import train


def train_stages(
    settings: Settings,
    experiment: Path,
    store: Path,
    load_checkpoint: str | None = None,
    label: str | None = None,
    stage: Stage = "both",
) -> dict[str, Any]:
    """Train one stage or both; stage 1 is an experiment of its own in `experiment`/pretraining.

    Stage 2 starts from the encoder of stage 1 or, without stage 1, from `load_checkpoint`. Settings without a stage 1
    have one stage, and `stage` is ignored.

    Returns and raises as `train` does, for the last stage that is trained, and raises as `trainings` does.
    """
    stages = trainings(settings, stage, load_checkpoint)
    manifest: dict[str, Any] = {}
    if "pretrain" in stages:
        say("stage 1: pre-training")
        manifest = train(stages["pretrain"], experiment / PRETRAINING, store, load_checkpoint)
        load_checkpoint = str(experiment / PRETRAINING)
    if "finetune" in stages:
        if settings.pretraining is not None:
            say("stage 2: fine-tuning")
        manifest = train(stages["finetune"], experiment, store, load_checkpoint, label)
    return manifest
