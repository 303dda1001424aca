"""`ragcun plan`: time, memory, disk and cost of each step of a configuration, from FLOPs and bytes.

Shapes: b base dimensions, d output dimensions.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ragcun.errors import UserError, did_you_mean
from ragcun.heads.registry import HEADS
from ragcun.losses.terms import SLICES, TERMS, BatchShape
from ragcun.pipeline.grid import Cell
from ragcun.pipeline.preflight import RANDOM, chosen_datasets, most_data
from ragcun.pipeline.steps import evaluation_folder
from ragcun.planning.architecture import Architecture
from ragcun.planning.machines import DOWNLOAD, HERE, MACHINES, Machine
from ragcun.planning.workload import (
    SAME_CORPUS,
    TOKENS_PER_WORD,
    CollectionLoad,
    PairLoad,
    TextLoad,
    collection_loads,
    general_loads,
    passages_load,
    training_load,
)
from ragcun.settings.schema import ModelSettings, Settings, StageSettings, total_steps

_START = 9.0  # seconds for imports and loading a base
_PADDING = 1.25  # computed tokens per token of a text, in training batches
_RESULTS = 0.003  # seconds per query to write and score its 1,000 documents
# Costs per document, measured on two cores of a Zen 5 (docs/benchmarks.md): seconds to index its row once, and to read
# it and rank its id at each evaluation; bytes of main memory for digest, position and rank; bytes of the index.
_INDEXED, _READ, _HELD, _INDEX = 3.5e-6, 6.5e-6, 150, 40
_TOKEN_BUDGET = 32_768  # tokens of an encoding batch on a GPU


@dataclass(frozen=True)
class Step:
    """One step of a plan: seconds, peak bytes of accelerator memory, and bytes that stay on disk."""

    name: str
    work: str
    seconds: float
    memory: float
    disk: float

    def times(self, count: int) -> "Step":
        """Return the step repeated `count` times in sequence."""
        return replace(self, seconds=count * self.seconds, disk=count * self.disk)


@dataclass(frozen=True)
class Plan:
    """The steps of a plan, and the savings of the embedding store.

    Attributes:
        without_store: the seconds of all steps if each use of a base embedding computed it again.
        second_training: the seconds of another training on the same pairs with stored base embeddings.
        largest: the number of documents of the largest corpus.
    """

    machine: Machine
    steps: list[Step]
    without_store: float
    second_training: float | None
    assumptions: list[str]
    largest: int = 0

    @property
    def seconds(self) -> float:
        """The seconds of all steps in sequence."""
        return sum(step.seconds for step in self.steps)

    @property
    def main_memory(self) -> float:
        """The bytes of main memory for the largest corpus, in addition to the `--memory` of its search."""
        return float(_HELD * self.largest)

    @property
    def disk(self) -> float:
        """The bytes that all steps leave on disk."""
        return sum(step.disk for step in self.steps)

    def to_json(self, price: float | None) -> dict[str, Any]:
        """Return the plan as `--json` prints it; `price` is per machine-hour."""
        return {
            "machine": asdict(self.machine),
            "steps": [asdict(step) for step in self.steps],
            "seconds": self.seconds,
            "disk": self.disk,
            "main_memory": self.main_memory,
            "memory": max((step.memory for step in self.steps), default=0.0),
            "cost": None if price is None else self.seconds / 3600 * price,
            "without_store": self.without_store,
            "second_training": self.second_training,
            "assumptions": self.assumptions,
        }


def find_machine(name: str, base: Architecture, model: ModelSettings) -> Machine:
    """Return the machine `name`: an entry of `MACHINES`, or `here`, which is measured (see `measure_here`).

    Raises:
        UserError: there is no such machine.
    """
    if name == HERE:
        from ragcun.planning.measured import measure_here

        return measure_here(base, model)
    if name not in MACHINES:
        raise UserError(
            f"--gpu {name}: not one of {', '.join([*MACHINES, HERE])}{did_you_mean(name, [*MACHINES, HERE])}"
        )
    return MACHINES[name]


def make_plan(cells: Sequence[Cell], base: Architecture, machine: Machine, documents: int | None = None) -> Plan:
    """Plan the trainings on `base` and their evaluation on `machine`; the cells are `fitted` to the base.

    One cell without a name is a run, and several cells are an ablation. In addition to the datasets of the settings, a
    corpus of `documents` passages of MS MARCO's length is planned.

    Raises as `chosen_datasets`, `training_load` and `collection_loads` do.
    """
    most = most_data(cells)
    limit = min(most.model.max_length or base.max_length, base.max_length)
    costs = _Costs(base, most.model, machine)
    start = Step("start", "imports and loading", _START, 0, 0)
    if most.model.freeze_base:
        training, repeated, second = _frozen(cells, costs, limit)
    else:
        training, repeated, second = _full(most, costs, limit), 0.0, None
    steps = [start, *training]
    encoded: set[str] = set()
    evaluated: list[tuple[CollectionLoad, bool]] = []
    for dataset in chosen_datasets(most, Path()):
        stored = SAME_CORPUS.get(dataset.name) in encoded or _trained_on(dataset.name, most)
        encoded.add(dataset.name)
        evaluated += [(collection, stored) for collection in collection_loads(dataset, most, limit)]
    if documents is not None:
        evaluated.append((passages_load(documents, limit), False))
    for collection, stored in evaluated:
        steps.append(costs.evaluation(collection, stored, [cell.settings.model for cell in cells]))
        if most.model.freeze_base:  # all heads and the base itself use embeddings that are encoded once
            repeated += len(cells) * costs.encode([collection.queries, collection.documents])
    largest = max((collection.documents.count for collection, _ in evaluated), default=0)
    without_store = sum(step.seconds for step in steps) + repeated
    return Plan(machine, steps, without_store, second, _assumptions(machine), largest)


def _frozen(cells: Sequence[Cell], costs: "_Costs", limit: int) -> tuple[list[Step], float, float]:
    """Return the steps of trainings on stored embeddings, the seconds saved, and those of another training."""
    most = most_data(cells)
    load = training_load(most, most.training, [*most.data.weights()], limit)
    encoding = costs.encoding(load, general_loads(most, limit))
    steps = [*_download("training", load), encoding]
    epochs, longest = 0.0, 0.0
    for name in dict.fromkeys(cell.name for cell in cells):
        of = [cell.settings for cell in cells if cell.name == name]
        stage, times = of[0].training, len(of)
        same = stage.rows == most.training.rows and stage.negatives == most.training.negatives
        own = load if same else training_load(of[0], stage, [*of[0].data.weights()], limit)
        training = costs.head_training(own, of[0])
        if not name and RANDOM in of[0].evaluation.baselines:
            steps += [training, replace(training, name="train at random")]
            times = 2
        elif name:
            steps.append(replace(training, name=f"train {name}", work=f"{times} seeds of {training.work}").times(times))
        else:
            steps.append(training)
        epochs += times * _length(stage, own.pairs)[1]
        longest = max(longest, training.seconds)
    return steps, encoding.seconds * (epochs - 1), _START + longest


def _full(settings: Settings, costs: "_Costs", limit: int) -> list[Step]:
    """Return the steps of trainings that change the base."""
    steps = []
    stages = [
        ("pretraining", settings.pretraining, [settings.data.pretrain] if settings.data.pretrain else []),
        ("training", settings.training, [*settings.data.weights()]),
    ]
    for name, stage, data in stages:
        if stage is not None:
            load = training_load(settings, stage, data, limit)
            steps += [*_download(name, load), costs.full_training(name, load, stage)]
    return steps


def _download(name: str, load: PairLoad) -> list[Step]:
    if not load.download:
        return []
    return [Step(f"download for {name}", load.source, load.download / DOWNLOAD, 0, load.download)]


def _trained_on(name: str, settings: Settings) -> bool:
    """Return whether a collection's documents were encoded for training, as training data or as general texts."""
    if not settings.model.freeze_base:
        return False
    there = (evaluation_folder(settings) / name).resolve()
    return any(
        one == name or Path(one).resolve() == there for one in (*settings.data.weights(), *settings.data.general)
    )


def _length(stage: StageSettings, pairs: int) -> tuple[int, float]:
    """Return the batches per epoch and the epochs of a training on this number of pairs."""
    per_epoch = max(1, pairs // min(stage.batch_size, pairs))
    limit = None if stage.max_steps is None else stage.max_steps * stage.gradient_accumulation_steps
    batches = total_steps(per_epoch, stage.epochs, limit)
    return batches, batches / per_epoch


class _Costs:
    def __init__(self, base: Architecture, model: ModelSettings, machine: Machine) -> None:
        self.base = base
        self.model = model
        self.machine = machine
        self.head = self.head_weights(model)

    def head_weights(self, model: ModelSettings) -> int:
        """Return the number of weights of the head in `model`."""
        head = HEADS[model.head]
        return head.weights(self.base.dimension, model.dimension, **head.own(model))

    def encode(self, loads: list[TextLoad]) -> float:
        """Return the seconds to encode texts once."""
        flops = sum(load.count * self.base.forward(load.tokens) for load in loads)
        machine = self.machine
        full = self.model.precision == "fp32"
        return flops / (machine.peak_fp32 * machine.encoding_fp32 if full else machine.peak * machine.encoding)

    def stored(self, loads: list[TextLoad]) -> float:
        """Return the bytes of the texts' base embeddings."""
        return sum(4 * self.base.dimension * load.count for load in loads)

    def encoding(self, load: PairLoad, general: Sequence[TextLoad]) -> Step:
        texts = [load.queries, load.documents, *load.others, *general]
        total = sum(text.count for text in texts)
        return Step("encode", f"{total:,} texts, once", self.encode(texts), self._inference(), self.stored(texts))

    def head_training(self, load: PairLoad, settings: Settings) -> Step:
        stage, model = settings.training, settings.model
        batch = min(stage.batch_size, load.pairs)
        d, head, columns = model.dimension, self.head_weights(model), 2 + load.negatives
        rows = columns * batch
        forward: float = 2 * rows * head + 2 * (columns - 1) * batch**2 * d
        if settings.data.general:  # as many texts as pairs, also through the initial head, without a gradient
            forward += 2 * batch * head * (1 + 1 / 3)
        weights, shape = stage.weights(), BatchShape(batch, rows, d, self.base.dimension)
        forward += sum(term.flops(shape) for term in TERMS if weights[term.weight])
        batches, epochs = _length(stage, load.pairs)
        seconds = batches * (3 * forward / (self.machine.peak * self.machine.training) + self.machine.step)
        seconds += (epochs + 1) * self._scoring(*load.held_out, model)
        memory = 16 * head + 4 * rows * (6 * self.base.dimension + SLICES) + 12 * batch**2
        work = f"{batches:,} batches of {batch}, head of {head / 1e6:.1f} M weights"
        return Step("train", work, seconds, memory, 5 * 4 * head)

    def full_training(self, name: str, load: PairLoad, stage: StageSettings) -> Step:
        frozen = self.model.freeze_early_layers
        flops = sum(
            self.base.forward(_PADDING * text.tokens) + self.base.backward(_PADDING * text.tokens, frozen)
            for text in load.row
        )
        if stage.mini_batch_size:  # GradCache embeds each text twice
            flops += sum(self.base.forward(_PADDING * text.tokens) for text in load.row)
        batches, epochs = _length(stage, load.pairs)
        seconds = load.pairs * epochs * flops / (self.machine.peak * self.machine.training)
        seconds += batches * self.machine.step
        seconds += (epochs + 1) * self.encode(list(load.held_out))
        trained = self.base.trained(frozen) + self.head
        at_a_time = min(stage.mini_batch_size or stage.batch_size, stage.batch_size)
        kept = [self.base.activations(at_a_time, x.tokens, frozen, stage.gradient_checkpointing) for x in load.row]
        activations = max(kept) if stage.mini_batch_size else sum(kept)
        memory = 4 * self.base.parameters + 2 * self.base.weights + 12 * trained + activations
        work = f"{batches:,} batches of {stage.batch_size}, {trained / 1e6:.0f} M of {self.base.parameters / 1e6:.0f} M"
        return Step(name, work, seconds, memory, 4 * self.base.parameters + 5 * 4 * trained)

    def evaluation(self, collection: CollectionLoad, stored: bool, models: Sequence[ModelSettings]) -> Step:
        """Plan encoding the collection once, unless it is `stored`, and searching it with each of `models`."""
        texts = [collection.queries] if stored else [collection.queries, collection.documents]
        seconds = self.encode(texts) + _INDEXED * collection.documents.count
        for model in models:
            seconds += self._scoring(collection.queries, collection.documents, model)
            seconds += _RESULTS * collection.queries.count + _READ * collection.documents.count
        work = f"{collection.documents.count:,} documents, {collection.queries.count:,} queries ({collection.source})"
        disk = self.stored(texts) + _INDEX * collection.documents.count
        return Step(f"evaluate {collection.name}", work, seconds, self._inference(), disk)

    def _scoring(self, queries: TextLoad, documents: TextLoad, model: ModelSettings) -> float:
        d, head = model.dimension, self.head_weights(model)
        flops = 2 * (queries.count + documents.count) * head + 2 * queries.count * documents.count * d
        return flops / (self.machine.peak_fp32 * min(1.0, self.machine.encoding_fp32))

    def _inference(self) -> float:
        return 4 * self.base.parameters + _TOKEN_BUDGET * self.base.hidden * 40


def _assumptions(machine: Machine) -> list[str]:
    return [
        f"{machine.name}: {machine.peak / 1e12:.3g} TFLOP/s, {machine.peak_fp32 / 1e12:.3g} in fp32 "
        f"({machine.source}); encoding reaches {machine.encoding:.0%} and {machine.encoding_fp32:.0%} of these, "
        f"training reaches {machine.training:.0%}; {1000 * machine.step:g} ms per step are added",
        f"downloads at {DOWNLOAD / 1e6:g} MB/s; {TOKENS_PER_WORD:g} tokens per word; published counts and "
        "lengths for data that is not on disk",
        f"in training, padding raises the number of tokens by a factor of {_PADDING:g}; the results of a query "
        f"take {1000 * _RESULTS:g} ms to write and score; {1e6 * _INDEXED:g} µs to index a document and "
        f"{1e6 * _READ:g} µs to read it at each evaluation",
        "memory: weights, gradients, Adam's moments, activations (arXiv 2205.05198); without a CUDA context",
    ]
