"""The training loop of a head on stored base embeddings.

B: pairs of a batch, b: base dimension. Every random choice of a step (its pairs, its dropout, its slices) follows from
the seed and the step's number, so a resumed training ends with the bits of an uninterrupted one.
"""

import contextlib
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from ragcun.console import Bar, progress, warn
from ragcun.errors import RagcunError
from ragcun.losses.retrieval import RetrievalObjective
from ragcun.model.heads import AnyHead
from ragcun.settings.schema import StageSettings
from ragcun.training.batches import Batch, PairVectors, Schedule
from ragcun.training.checkpoint import (
    Tensors,
    load_tensors,
    optimiser_tensors,
    pack,
    restore_optimiser,
    save_tensors,
    unpack,
)
from ragcun.training.dev import Dev
from ragcun.training.history import History


class HeadWithObjective(nn.Module):
    """Head and losses as one module, so that gradients of both are averaged over processes.

    `scale` brings the base's distances, which keep_base holds, to the unit of the head's.
    """

    def __init__(self, head: AnyHead, objective: RetrievalObjective, scale: float) -> None:
        super().__init__()
        self.head = head
        self.objective = objective
        self.scale = scale

    def forward(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """The weighted parts of the loss, by name."""
        negatives = batch.negatives_BKb
        parts: dict[str, torch.Tensor] = self.objective(
            self.head(batch.anchors_Bb),
            self.head(batch.positives_Bb),
            None if negatives is None else self.head(negatives),
            anchor_ids=batch.anchor_ids,
            document_ids=batch.document_ids,
            known_pairs=batch.known_pairs,
            teacher_BE=batch.positives_Bb * self.scale,
            step=step,
        )
        return parts


@dataclass(frozen=True)
class Outcome:
    """How a training ended: the head at its start and at its best on dev, with what was scored there."""

    start: Tensors
    best: Tensors
    start_ndcg: float
    best_ndcg: float
    best_step: int
    steps: int
    seconds: float


class HeadTraining:
    """Trains a head; resumes from `folder`/checkpoints where a training with the same `identity` was interrupted.

    The best checkpoint is the best of all evaluated ones, with `keep_start` the start among them.
    """

    def __init__(
        self,
        model: HeadWithObjective,
        pairs: PairVectors,
        dev: Dev,
        settings: StageSettings,
        folder: Path,
        accelerator: Accelerator,
        seed: int,
        identity: str,
        keep_start: bool,
    ) -> None:
        self.settings = settings
        self.pairs = pairs
        self.dev = dev
        self.accelerator = accelerator
        self.seed = seed
        self.identity = identity
        self.keep_start = keep_start
        self.checkpoints = folder / "checkpoints"
        self.schedule = _schedule(len(pairs), settings, accelerator.num_processes, seed)
        self.warmup = _warmup(settings, self.schedule.steps)
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, foreach=True
        )
        self.model, self.optimiser = accelerator.prepare(model, optimiser)
        self.bare: HeadWithObjective = accelerator.unwrap_model(self.model)
        self.state: dict[str, Any] = {"step": 0, "seconds": 0.0, "identity": identity}
        self._resume()
        self.history = History(folder / "history.jsonl", self.state["step"]) if accelerator.is_main_process else None

    def run(self) -> Outcome:
        """Train to the end.

        Raises:
            RagcunError: the loss is not finite; the last good checkpoint stays.
        """
        if self.state["step"] == 0:
            self._begin()
        first, total = int(self.state["step"]), self.schedule.steps
        sums: dict[str, float] = {}
        clock = time.perf_counter()
        with progress("training", total, "steps") if self._main else contextlib.nullcontext() as bar:
            if bar is not None:
                bar.advance(first)
            for step in range(first, total):
                self._step(step, sums)
                done = step + 1
                if done % self.settings.log_interval == 0 or done == total:
                    self._log(done, sums, bar)
                self.state["step"] = done
                if self._due(done, self.settings.eval_interval):
                    self._evaluate(done, bar)
                if self._due(done, self.settings.save_interval):
                    now = time.perf_counter()
                    self.state["seconds"] += now - clock
                    clock = now
                    self._save_last()
                if bar is not None:
                    bar.advance()
        start, start_state = load_tensors(self.checkpoints / "start.safetensors")
        best, _ = load_tensors(self.checkpoints / "best.safetensors")
        return Outcome(
            start=start,
            best=best,
            start_ndcg=start_state["ndcg"],
            best_ndcg=self.state["best_ndcg"],
            best_step=self.state["best_step"],
            steps=total,
            seconds=self.state["seconds"],
        )

    @property
    def _main(self) -> bool:
        return bool(self.accelerator.is_main_process)

    def _due(self, done: int, interval: int | None) -> bool:
        return done % (interval or self.schedule.steps_per_epoch) == 0 or done == self.schedule.steps

    def _begin(self) -> None:
        ndcg = self._ndcg()
        self.state |= {"best_ndcg": ndcg if self.keep_start else -1.0, "best_step": 0}
        if self._main:
            self._write("start", {"ndcg": ndcg})
            self._write("best", {"ndcg": ndcg, "step": 0})
            self._record({"step": 0, "dev_ndcg@10": ndcg})
        self.accelerator.wait_for_everyone()

    def _step(self, step: int, sums: dict[str, float]) -> None:
        batches = self.schedule.rows(step, self.accelerator.process_index)
        rate = learning_rate(self.settings, step, self.schedule.steps, self.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        for part, rows in enumerate(batches):
            torch.manual_seed(_mix(self.seed, step * len(batches) + part, self.accelerator.process_index))
            batch = self.pairs.batch(rows, self.accelerator.device)
            last = part == len(batches) - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                with self.accelerator.autocast():
                    parts = self.model(batch, step)
                loss = torch.stack(list(parts.values())).sum()
                self._refuse_nan(loss, parts, step)
                self.accelerator.backward(loss / len(batches))
            for name, value in {**parts, "loss": loss}.items():
                sums[name] = sums.get(name, 0.0) + value.item() / len(batches)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.max_grad_norm)
        sums["gradient_norm"] = sums.get("gradient_norm", 0.0) + float(norm)
        sums["steps"] = sums.get("steps", 0.0) + 1
        sums["pairs"] = sums.get("pairs", 0.0) + sum(map(len, batches)) * self.accelerator.num_processes
        sums.setdefault("since", time.perf_counter())
        self.optimiser.step()
        self.optimiser.zero_grad()

    def _refuse_nan(self, loss: torch.Tensor, parts: dict[str, torch.Tensor], step: int) -> None:
        if not torch.isfinite(loss):
            named = ", ".join(f"{name} {value.item():.4g}" for name, value in parts.items())
            raise RagcunError(
                f"training: the loss is not finite at step {step + 1} ({named}); the last good checkpoint is "
                f"{self.checkpoints / 'last.safetensors'}; a lower learning rate or --mixed-precision no may help"
            )

    def _log(self, done: int, sums: dict[str, float], bar: Bar | None) -> None:
        steps, pairs, since = sums.pop("steps"), sums.pop("pairs"), sums.pop("since")
        means = {name: value / steps for name, value in sums.items()}
        sums.clear()
        self._record(
            {
                "step": done,
                "epoch": done / self.schedule.steps_per_epoch,
                "learning_rate": self.optimiser.param_groups[0]["lr"],
                "temperature": float(torch.as_tensor(self.bare.objective.contrastive.temperature).detach()),
                "pairs_per_second": pairs / max(time.perf_counter() - since, 1e-9),
                **means,
            }
        )
        if bar is not None:
            bar.note(f"loss {means['loss']:.3f}  dev nDCG@10 {self.state['best_ndcg']:.4f}")

    def _evaluate(self, done: int, bar: Bar | None) -> None:
        ndcg = self._ndcg()
        self._record({"step": done, "dev_ndcg@10": ndcg})
        if ndcg > self.state["best_ndcg"]:
            self.state |= {"best_ndcg": ndcg, "best_step": done}
            if self._main:
                self._write("best", {"ndcg": ndcg, "step": done})

    def _ndcg(self) -> float:
        self.bare.eval()
        return self.dev.ndcg(lambda base: self.bare.head(base.to(self.accelerator.device)))

    def _record(self, row: dict[str, Any]) -> None:
        if self.history is not None:
            self.history.add(row)

    def _write(self, name: str, state: dict[str, Any]) -> None:
        save_tensors(self.checkpoints / f"{name}.safetensors", self.bare.head.state_dict(), state)

    def _save_last(self) -> None:
        if self._main:
            tensors = {
                **pack("head", self.bare.head.state_dict()),
                **pack("objective", self.bare.objective.state_dict()),
                **pack("optimiser", optimiser_tensors(self.optimiser)),
            }
            save_tensors(self.checkpoints / "last.safetensors", tensors, self.state)

    def _resume(self) -> None:
        last = self.checkpoints / "last.safetensors"
        if not last.is_file():
            return
        tensors, state = load_tensors(last)
        if state["identity"] != self.identity:
            warn(f"{last}: left by a training with other settings or data; starting anew")
            return
        self.state = state
        self.bare.head.load_state_dict(unpack("head", tensors))
        self.bare.objective.load_state_dict(unpack("objective", tensors))
        restore_optimiser(self.optimiser, unpack("optimiser", tensors))


def learning_rate(settings: StageSettings, step: int, steps: int, warmup: int) -> float:
    """The learning rate of `step` (from 0): linear warm-up, then constant, linear to 0, or cosine to 0."""
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    factor = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}
    return settings.learning_rate * factor[settings.scheduler]


def _schedule(pairs: int, settings: StageSettings, processes: int, seed: int) -> Schedule:
    batch_size = min(settings.batch_size, pairs // processes)
    if batch_size < 2:
        raise RagcunError(f"training: {pairs} pairs are too few for {processes} processes")
    if batch_size < settings.batch_size:
        warn(f"batch_size = {settings.batch_size}: there are {pairs:,} pairs only; using {batch_size}")
    return Schedule(pairs, batch_size, settings.gradient_accumulation_steps, processes, settings.epochs, seed)


def _warmup(settings: StageSettings, steps: int) -> int:
    if settings.warmup_steps < steps:
        return settings.warmup_steps
    warn(f"warmup_steps = {settings.warmup_steps}: the training has {steps} steps only; warming up for {steps // 10}")
    return steps // 10


def _mix(seed: int, step: int, process: int) -> int:
    return (seed * 1_000_003 + step) * 1_009 + process
