"""The pairs and the learning rate of each step."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ragcun.console import say, warn
from ragcun.errors import RagcunError, UserError
from ragcun.settings.schema import StageSettings, total_steps

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Schedule:
    """The pairs of each optimiser step, which depend only on the seed, for any number of processes.

    A global batch has `batch_size` pairs for each of `processes`. Pairs that do not fill a batch are left out of an
    epoch.

    Attributes:
        epochs: the number of epochs, unless `max_steps` ends the training before.
        steps_per_epoch: the number of optimiser steps per epoch, which smaller batches after an out-of-memory error do
            not change.
        mixture: the numbers of pairs and the weights of several sources; each global batch is from one source.
    """

    pairs: int
    batch_size: int
    accumulation: int
    processes: int
    epochs: int
    seed: int
    steps_per_epoch: int
    mixture: tuple[tuple[int, float], ...] = ()
    max_steps: int | None = None

    @property
    def steps(self) -> int:
        """Return the number of optimiser steps of the whole training."""
        return total_steps(self.steps_per_epoch, self.epochs, self.max_steps)

    def rows(self, step: int, process: int) -> list[Index]:
        """Return the pairs of optimiser step `step` (from 0) on `process`, one array for each accumulated batch."""
        epoch, within = divmod(step, self.steps_per_epoch)
        together = self.batch_size * self.processes
        order = (
            _mixed(self.mixture, together, self.steps_per_epoch * self.accumulation, self.seed, epoch)
            if self.mixture
            else _order(self.pairs, self.seed, epoch)
        )
        batches = []
        for part in range(self.accumulation):
            start = ((within * self.accumulation + part) * self.processes + process) * self.batch_size
            batches.append(order[start : start + self.batch_size])
        return [rows for rows in batches if len(rows) > 1]

    def divided_among(self, processes: int) -> "Schedule":
        """Return the same global batches for another number of processes, with a message.

        Raises:
            UserError: the global batches cannot be divided among this number of processes.
        """
        if processes == self.processes:
            return self
        batch_size, rest = divmod(self.batch_size * self.processes, processes)
        if rest or batch_size < 2:
            raise UserError(
                f"training: begun on {self.processes} processes with batches of {self.batch_size}, which "
                f"{processes} processes cannot share evenly; use another number of processes, or another --output-dir"
            )
        sizes = f"{processes} x {batch_size} instead of {self.processes} x {self.batch_size} pairs"
        say(f"training: the global batch stays the same, {sizes}")
        return replace(self, batch_size=batch_size, processes=processes)


@lru_cache(maxsize=1)
def _order(pairs: int, seed: int, epoch: int) -> Index:
    return np.random.default_rng((seed, epoch)).permutation(pairs)


@lru_cache(maxsize=1)
def _mixed(mixture: tuple[tuple[int, float], ...], together: int, batches: int, seed: int, epoch: int) -> Index:
    """Return the pairs of `batches` batches, each from one source, in proportion to the weights.

    A source that is exhausted before the epoch ends is repeated in another order.
    """
    generator = np.random.default_rng((seed, epoch))
    weights = np.array([weight for _, weight in mixture])
    exact = batches * np.cumsum(weights) / weights.sum()
    shares = np.diff(np.round(exact).astype(int), prepend=0)
    firsts = np.cumsum([0, *(count for count, _ in mixture)])
    blocks = []
    for (count, _), first, share in zip(mixture, firsts, shares.tolist(), strict=False):
        rounds = -(-share * together // count)
        drawn = [first + generator.permutation(count) for _ in range(rounds)]
        blocks += np.split(np.concatenate(drawn)[: share * together], share) if share else []
    return np.concatenate([blocks[place] for place in generator.permutation(len(blocks))])


def learning_rate_factor(settings: StageSettings, step: int, steps: int, warmup: int) -> float:
    """Return the factor of the peak rate at `step` (from 0): linear warm-up, then the shape of the schedule."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    factor = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}
    return factor[settings.scheduler]


def make_schedule(
    pairs: int,
    settings: StageSettings,
    processes: int,
    seed: int,
    mixture: tuple[tuple[int, float], ...] = (),
) -> Schedule:
    """Make the schedule of the settings, with batches of at most all pairs, which is reported.

    Raises:
        RagcunError: each process has fewer than two pairs.
    """
    batch_size = min(settings.batch_size, pairs // processes)
    if batch_size < 2:
        raise RagcunError(f"training: {pairs} pairs are too few for {processes} processes")
    if batch_size < settings.batch_size:
        warn(f"batch_size = {settings.batch_size}: there are only {pairs:,} pairs; using {batch_size}")
    accumulation = settings.gradient_accumulation_steps
    steps_per_epoch = max(1, pairs // (batch_size * processes * accumulation))
    return Schedule(
        pairs, batch_size, accumulation, processes, settings.epochs, seed, steps_per_epoch, mixture, settings.max_steps
    )


def warmup_steps(settings: StageSettings, steps: int) -> int:
    """Return the steps of warm-up: those of the settings, or a tenth of a shorter training, which is reported."""
    if settings.warmup_steps < steps:
        return settings.warmup_steps
    warn(f"warmup_steps = {settings.warmup_steps}: the training has only {steps} steps; using {steps // 10}")
    return steps // 10
