"""Accelerate's `Accelerator` for the settings, with the experiment trackers."""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from ragcun.distributed import join_processes
from ragcun.errors import UserError
from ragcun.settings.schema import Settings


def make_accelerator(settings: Settings, experiment: Path) -> Accelerator:
    """Make the accelerator of a training in `experiment`, after this process has joined the other launched ones.

    Raises:
        UserError: a tracker is not installed, or the configuration of processes is not supported.
    """
    trackers = list(settings.training.track)
    for name in trackers:
        if importlib.util.find_spec(name) is None:
            raise UserError(f"--track {name}: the package is not installed; pip install 'ragcun[{name}]'")
    AcceleratorState._reset_state()  # an earlier training in this process may have another precision
    accelerator = Accelerator(
        cpu=join_processes().device.type == "cpu",
        mixed_precision=_mixed_precision(settings),
        log_with=trackers or None,
        project_dir=experiment / "tracking",
    )
    if trackers:
        (experiment / "tracking").mkdir(parents=True, exist_ok=True)
        config = _flat(settings.model_dump(mode="json"))
        places = {"wandb": {"dir": str(experiment / "tracking")}}
        accelerator.init_trackers(experiment.resolve().name, config=config, init_kwargs=places)
    return accelerator


def _mixed_precision(settings: Settings) -> str:
    wanted = settings.training.mixed_precision
    if wanted != "auto":
        return wanted
    if not torch.cuda.is_available():
        return "no"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, str | int | float]:
    """Return settings by dotted names, as trackers expect them."""
    flat: dict[str, str | int | float] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, str | int | float) else str(value)
    return flat
