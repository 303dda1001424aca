"""The training loop.

Every random choice of a step (pairs, dropout, slices) depends only on the seed and the step's number, so that a resumed
training ends with the same bits as an uninterrupted one. Gradients are averaged over processes once per step.
"""

import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from ragcun.console import Bar, progress, warn
from ragcun.distributed.collectives import average_gradients
from ragcun.errors import RagcunError
from ragcun.settings.schema import StageSettings
from ragcun.training.batches import PairSource
from ragcun.training.checkpoint import (
    load_tensors,
    optimiser_tensors,
    pack,
    refuse_damage,
    restore_optimiser,
    save_tensors,
    unpack,
)
from ragcun.training.dev import Dev
from ragcun.training.encoder import EncoderWithObjective, Tensors
from ragcun.training.gradcache import cached_backward
from ragcun.training.history import History
from ragcun.training.schedule import learning_rate_factor, make_schedule, warmup_steps


@dataclass(frozen=True)
class Outcome:
    """The result of a training: the initial and the best weights, with their scores on dev.

    If the last checkpoint is to be saved, it counts as the best.

    `batch` is (batch size, accumulation, mini-batch), which may differ from the settings if memory ran out.
    """

    start: Tensors
    best: Tensors
    start_ndcg: float
    best_ndcg: float
    best_step: int
    steps: int
    seconds: float
    batch: tuple[int, int, int | None]


@dataclass(frozen=True)
class Job:
    """A training: encoder, data and settings.

    Attributes:
        encoder: the encoder with its objective.
        pairs: the source of batches.
        dev: the held-out data.
        settings: the settings of the stage.
        seed: the seed of every random choice.
        keep_start: whether the initial weights count as a checkpoint when the best is chosen.
        identity: a hash of everything that determines the outcome; a checkpoint with another identity is not resumed.
    """

    encoder: EncoderWithObjective
    pairs: PairSource
    dev: Dev
    settings: StageSettings
    seed: int
    keep_start: bool
    identity: str


class Training:
    """The training of an encoder, with checkpoints and history in `folder`; call `resume`, then `run`.

    Raises:
        RagcunError: each process has fewer than two pairs.
    """

    def __init__(self, job: Job, folder: Path, accelerator: Accelerator) -> None:
        self.encoder = job.encoder.to(accelerator.device)
        self.settings = job.settings
        self.pairs = job.pairs
        self.dev = job.dev
        self.accelerator = accelerator
        self.seed = job.seed
        self.keep_start = job.keep_start
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.schedule = make_schedule(
            len(job.pairs), job.settings, accelerator.num_processes, job.seed, job.pairs.mixture
        )
        self.mini_batch = job.settings.mini_batch_size
        self.warmup = 0
        groups = self.encoder.groups(
            self.settings.learning_rate,
            self.settings.base_learning_rate or self.settings.learning_rate,
            self.settings.weight_decay,
        )
        self.optimiser = accelerator.prepare(torch.optim.AdamW(groups, lr=self.settings.learning_rate, foreach=True))
        self.state: dict[str, Any] = {"step": 0, "seconds": 0.0, "identity": job.identity}
        self.history: History | None = None

    def resume(self) -> None:
        """Resume from the last checkpoint of this training, if there is one; one of another training is reported.

        With another number of processes, the global batches stay the same.

        Raises:
            UserError: the global batches cannot be divided among this number of processes.
            RagcunError: a checkpoint is damaged.
        """
        last = self.checkpoints / "last.safetensors"
        if not last.is_file():
            return
        tensors, state = load_tensors(last)
        if state.get("identity") != self.state["identity"]:
            warn(f"{last}: belongs to a training with other settings or data; starting from the beginning")
            return
        for name in ("start", "best"):  # they are needed at the end, so damage is reported before the work
            refuse_damage(self.checkpoints / f"{name}.safetensors")
        self.state = state
        batch_size, accumulation, self.mini_batch = state["batch"]
        before = replace(
            self.schedule,
            batch_size=batch_size,
            accumulation=accumulation,
            processes=state["processes"],
            steps_per_epoch=state["steps_per_epoch"],
        )
        self.schedule = before.divided_among(self.accelerator.num_processes)
        self.encoder.load_trained(unpack("trained", tensors))
        self.encoder.objective.load_state_dict(unpack("objective", tensors))
        restore_optimiser(self.optimiser, unpack("optimiser", tensors))
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def run(self) -> Outcome:
        """Train to the end.

        Raises:
            RagcunError: the loss is not finite, memory does not suffice for two pairs, or the disk is full; the last
                good checkpoint is kept.
        """
        self.warmup = warmup_steps(self.settings, self.schedule.steps)
        if self._main:
            self.history = History(self.folder / "history.jsonl", self.state["step"])
        if self.state["step"] == 0:
            self._begin()
        self._train()
        self.accelerator.wait_for_everyone()
        start, start_state = load_tensors(self.checkpoints / "start.safetensors")
        best, _ = load_tensors(self.checkpoints / "best.safetensors")
        return Outcome(
            start=start,
            best=best,
            start_ndcg=start_state["ndcg"],
            best_ndcg=self.state["best_ndcg"],
            best_step=self.state["best_step"],
            steps=self.schedule.steps,
            seconds=self.state["seconds"],
            batch=(self.schedule.batch_size, self.schedule.accumulation, self.mini_batch),
        )

    def _train(self) -> None:
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
                    self._evaluate(done)
                if self._due(done, self.settings.save_interval):
                    now = time.perf_counter()
                    self.state["seconds"] += now - clock
                    clock = now
                    self._save_last()
                if bar is not None:
                    bar.advance()

    @property
    def _main(self) -> bool:
        return bool(self.accelerator.is_main_process)

    def _due(self, done: int, interval: int | None) -> bool:
        return done % (interval or self.schedule.steps_per_epoch) == 0 or done == self.schedule.steps

    def _begin(self) -> None:
        self.accelerator.wait_for_everyone()
        if self._main:  # a last checkpoint of another training does not fit the weights that are written now
            (self.checkpoints / "last.safetensors").unlink(missing_ok=True)
        watched = self._watch()
        ndcg = watched["dev_ndcg@10"]
        self.state |= {"best_ndcg": ndcg if self.keep_start else -1.0, "best_step": 0}
        if self._main:
            self._write("start", {"ndcg": ndcg})
            self._write("best", {"ndcg": ndcg, "step": 0})
            self._record({"step": 0, **watched})
        self.accelerator.wait_for_everyone()

    def _step(self, step: int, sums: dict[str, float]) -> None:
        sums.setdefault("since", time.perf_counter())
        factor = learning_rate_factor(self.settings, step, self.schedule.steps, self.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = group["highest"] * factor
        self.encoder.train()
        while True:
            try:
                parts, pairs = self._gradients(step)
                break
            except torch.OutOfMemoryError as error:
                self._spare_memory(step, error)
        trained = [weights for group in self.optimiser.param_groups for weights in group["params"]]
        average_gradients(trained)
        norm = self.accelerator.clip_grad_norm_(trained, self.settings.max_grad_norm)
        self.optimiser.step()
        self.optimiser.zero_grad()
        for name, value in {**parts, "gradient_norm": float(norm), "steps": 1.0, "pairs": float(pairs)}.items():
            sums[name] = sums.get(name, 0.0) + value

    def _gradients(self, step: int) -> tuple[dict[str, float], int]:
        """Accumulate the gradients of a step; return the means of the loss and its parts, and the number of pairs."""
        batches = self.schedule.rows(step, self.accelerator.process_index)
        means: dict[str, float] = {}

        def backward(parts: Tensors) -> None:
            loss = torch.stack(list(parts.values())).sum()
            self._refuse_nan(loss, parts, step)
            for name, value in {**parts, "loss": loss}.items():
                means[name] = means.get(name, 0.0) + value.item() / len(batches)
            self.accelerator.backward(loss / len(batches))

        for part, rows in enumerate(batches):
            seed = _mix(self.seed, step * len(batches) + part, self.accelerator.process_index)
            torch.manual_seed(seed)
            batch = self.pairs.batch(rows, self.accelerator.device)
            if self.mini_batch is not None:
                cached_backward(self.encoder, batch, step, self.mini_batch, seed, self.accelerator.autocast, backward)
                continue
            with self.accelerator.autocast():
                parts = self.encoder(batch, step)
            backward(parts)
        return means, sum(map(len, batches)) * self.accelerator.num_processes

    def _spare_memory(self, step: int, error: torch.OutOfMemoryError) -> None:
        """Halve the mini-batches, which does not change the result, or otherwise the batches."""
        self.optimiser.zero_grad()
        size, accumulation = self.schedule.batch_size, self.schedule.accumulation
        if self.accelerator.num_processes > 1:
            raise RagcunError(f"training: out of memory with batches of {size}; lower --batch-size") from error
        if (self.mini_batch or 0) > 1:
            self.mini_batch = (self.mini_batch or 0) // 2
            change = f"mini-batches of {self.mini_batch}, which does not change the result"
        elif size >= 4:
            self.schedule = replace(self.schedule, batch_size=size // 2, accumulation=2 * accumulation)
            change = f"batches of {size // 2} x {2 * accumulation}, with fewer in-batch negatives"
        else:
            raise RagcunError(f"training: out of memory with batches of {size}; use a smaller base") from error
        if self.accelerator.device.type == "cuda":
            torch.cuda.empty_cache()
        warn(f"out of memory at step {step + 1}: continuing with {change}")
        self._record({"step": step, "out_of_memory": change})

    def _refuse_nan(self, loss: torch.Tensor, parts: Tensors, step: int) -> None:
        if not torch.isfinite(loss):
            named = ", ".join(f"{name} {value.item():.4g}" for name, value in parts.items())
            raise RagcunError(
                f"training: the loss is not finite at step {step + 1} ({named}); the last good checkpoint is "
                f"{self.checkpoints / 'last.safetensors'}; try a lower learning rate or --mixed-precision no"
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
                "temperature": float(torch.as_tensor(self.encoder.objective.contrastive.temperature).detach()),
                "pairs_per_second": pairs / max(time.perf_counter() - since, 1e-9),
                **means,
            }
        )
        if bar is not None:
            bar.note(f"loss {means['loss']:.3f}  dev nDCG@10 {self.state['best_ndcg']:.4f}")

    def _evaluate(self, done: int) -> None:
        watched = self._watch()
        ndcg = watched["dev_ndcg@10"]
        self._record({"step": done, **watched})
        if self.settings.checkpoint == "last" or ndcg > self.state["best_ndcg"]:
            self.state |= {"best_ndcg": ndcg, "best_step": done}
            if self._main:
                self._write("best", {"ndcg": ndcg, "step": done})

    def _watch(self) -> dict[str, float]:
        return self.dev.watch(self.encoder.eval())

    def _record(self, row: dict[str, Any]) -> None:
        if self.history is not None:
            self.history.add(row)
            numbers = {k: value for k, value in row.items() if k != "step" and isinstance(value, int | float)}
            self.accelerator.log(numbers, step=row["step"])

    def _write(self, name: str, state: dict[str, Any]) -> None:
        save_tensors(self.checkpoints / f"{name}.safetensors", self.encoder.trained(), state)

    def _save_last(self) -> None:
        if self._main:
            scaler = self.accelerator.scaler
            self.state |= {
                "scaler": None if scaler is None else scaler.state_dict(),
                "batch": [self.schedule.batch_size, self.schedule.accumulation, self.mini_batch],
                "processes": self.schedule.processes,
                "steps_per_epoch": self.schedule.steps_per_epoch,
            }
            tensors = {
                **pack("trained", self.encoder.trained()),
                **pack("objective", self.encoder.objective.state_dict()),
                **pack("optimiser", optimiser_tensors(self.optimiser)),
            }
            save_tensors(self.checkpoints / "last.safetensors", tensors, self.state)


def _mix(seed: int, step: int, process: int) -> int:
    return (seed * 1_000_003 + step) * 1_009 + process
