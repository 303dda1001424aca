"""Which pairs a step takes, and how fast it learns."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragcun.console import warn
from ragcun.errors import RagcunError
from ragcun.settings.schema import StageSettings

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Schedule:
    """Which pairs each optimiser step takes. It follows from the seed alone, on any number of processes.

    A global batch is `batch_size` pairs of each of `processes`; an epoch's leftover pairs wait for the next.
    """

    pairs: int
    batch_size: int
    accumulation: int
    processes: int
    epochs: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps."""
        return max(1, self.pairs // (self.batch_size * self.processes * self.accumulation))

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.steps_per_epoch * self.epochs

    def rows(self, step: int, process: int) -> list[Index]:
        """The pairs of optimiser step `step` (from 0) on `process`: one array for each accumulated batch."""
        epoch, within = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.pairs)
        batches = []
        for part in range(self.accumulation):
            start = ((within * self.accumulation + part) * self.processes + process) * self.batch_size
            batches.append(order[start : start + self.batch_size])
        return [rows for rows in batches if len(rows) > 1]


def learning_rate_factor(settings: StageSettings, step: int, steps: int, warmup: int) -> float:
    """The share of the highest rate at `step` (from 0): linear warm-up, then constant, linear to 0, or cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    factor = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}
    return factor[settings.scheduler]


def make_schedule(pairs: int, settings: StageSettings, processes: int, seed: int) -> Schedule:
    """The schedule that the settings ask for, its batches no larger than the pairs; says so.

    Raises:
        RagcunError: each process has fewer than two pairs.
    """
    batch_size = min(settings.batch_size, pairs // processes)
    if batch_size < 2:
        raise RagcunError(f"training: {pairs} pairs are too few for {processes} processes")
    if batch_size < settings.batch_size:
        warn(f"batch_size = {settings.batch_size}: there are {pairs:,} pairs only; using {batch_size}")
    return Schedule(pairs, batch_size, settings.gradient_accumulation_steps, processes, settings.epochs, seed)


def warmup_steps(settings: StageSettings, steps: int) -> int:
    """The steps of warm-up: those of the settings, or a tenth of a training that is not longer; says so."""
    if settings.warmup_steps < steps:
        return settings.warmup_steps
    warn(f"warmup_steps = {settings.warmup_steps}: the training has {steps} steps only; warming up for {steps // 10}")
    return steps // 10
