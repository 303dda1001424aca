"""Tables of the set-up: data, settings and resources."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ragcun.analysis.wording import label_in_symbols, symbol, words
from ragcun.console import duration
from ragcun.data.benchmark import find_dataset
from ragcun.evaluation.systems import System
from ragcun.heads.registry import HEADS
from ragcun.report.paper.inputs import Inputs, Training
from ragcun.report.paper.scores import Scores, dataset_title, seeds_of
from ragcun.table import Cell, Column, Note, Table, count, decimals, significant

WATTS_PER_CORE = 10.0  # a server's processor under load, with its share of memory and power supply
DOLLARS_PER_CORE_HOUR = 0.05
_OPERATION = {"track", "log_interval", "eval_interval", "save_interval", "compile", "gradient_checkpointing", "source"}
_OPERATION |= {"passage_chars", "runtime", "mixed_precision"}


def data_table(inputs: Inputs, scores: Scores) -> Table:
    """Return a table of datasets with licences and the numbers of documents and queries in the results."""
    rows = []
    for name in scores.datasets:
        parts = next((found for system in inputs.systems if (found := seeds_of(system, name))), [])
        results = [seeds[0] for seeds in parts]
        known = find_dataset(name)
        sources = tuple(inputs.source(result.path) for result in results)
        trained = any(
            "in-domain" in {one.domain for one in seeds} for system in scores.ours for seeds in seeds_of(system, name)
        )
        rows.append(
            [
                Cell(dataset_title(name)),
                Cell(known.task if known else None),
                Cell(known.domain if known else None),
                Cell(results[0].split),
                Cell(float(sum(result.documents for result in results)), sources=sources),
                Cell(float(sum(result.queries for result in results)), sources=sources),
                Cell("training" if trained else "test only"),
                Cell((known.licence or "ask the owner") if known else None),
            ]
        )
    columns = ["Dataset", "Task", "Domain", "Split"]
    return Table(
        "Data. The numbers of documents and judged queries are those of the evaluations.",
        [*map(Column, columns), Column("Documents", count), Column("Queries", count), Column("Use"), Column("Licence")],
        [rows],
        [Note("Licences and tasks are those that MTEB and the BEIR paper state; other datasets have a dash.")],
        "data",
    )


def trainings_of(inputs: Inputs, systems: Sequence[System]) -> list[Training]:
    """Return the trainings of systems, each once."""
    found: dict[str, Training] = {}
    for system in systems:
        for result in (result for results in system.results.values() for result in results):
            if (training := inputs.training_of(result)) is not None:
                found.setdefault(training.label, training)
    return list(found.values())


def settings_table(inputs: Inputs, scores: Scores) -> Table | None:
    """Return a table of the settings of all trainings, with every value of each; None without trainings."""
    trainings = trainings_of(inputs, scores.ours)
    if not trainings:
        return None
    sources = tuple(inputs.source(training.path) for training in trainings)
    values: dict[str, dict[str, None]] = {}
    for training in trainings:
        for name, value in _settings(training.manifest["settings"]):
            values.setdefault(name, {})[_shown(value)] = None
    seeds = sorted({training.manifest["settings"]["seed"] for training in trainings})
    values = {name: found for name, found in values.items() if found.keys() != {"0"}}
    base = dict.fromkeys(str(training.manifest["base"]["model"]) for training in trainings)
    rows = [
        [
            Cell("base, frozen" if trainings[0].manifest["settings"]["model"]["freeze_base"] else "base, trained"),
            Cell(", ".join(base), sources=sources),
        ],
        *([Cell(_described(name)), Cell(", ".join(found), sources=sources)] for name, found in values.items()),
        [Cell("seeds"), Cell(", ".join(map(str, seeds)), sources=sources)],
    ]
    return Table(
        "Settings of the trainings; a setting with several values was varied.",
        [Column("Setting"), Column("Value")],
        [rows],
        label="settings",
    )


def _settings(settings: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    left_out = {"base", "freeze_base"} | _OPERATION
    if settings["model"]["freeze_base"]:
        left_out |= {"freeze_early_layers"}
    for head, entry in HEADS.items():
        if head != settings["model"]["head"]:
            left_out |= entry.settings.keys()
    if settings["training"]["interpolate"] != "auto":
        left_out |= {"interpolate_tolerance", "interpolate_guard"}
    for section in ("model", "training"):
        for name, value in settings[section].items():
            if name not in left_out and value is not None and value is not False:
                yield name, value


def _described(name: str) -> str:
    sign, text = symbol(name), words(name)
    return text if sign == text else f"{text}, {sign}"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def efficiency_table(inputs: Inputs, scores: Scores) -> Table:
    """Return a table of each system's parameters, time, memory, energy and cost; unread energy is estimated."""
    columns = [
        Column("Model"),
        Column("Parameters (M)", decimals(1, scale=1e-6)),
        Column("Trained (M)", decimals(2, scale=1e-6)),
        Column("Dimensions", decimals(0)),
        Column("Training, wall time", duration),
        Column("processor time", duration),
        Column("Memory (GiB)", decimals(1)),
        Column("Energy (Wh)", significant),
        Column("Cost ($)", significant),
        Column("Evaluation, wall time", duration),
    ]
    groups = [[_took(inputs, system) for system in systems] for systems in (scores.baselines, scores.ours) if systems]
    names = [name for name, found in (("Baselines", scores.baselines), ("Ours", scores.ours)) if found]
    return Table(
        "Parameters, time, memory, energy and cost of each system, as means over seeds. Evaluation is the time to "
        "encode the texts without a stored vector, to search and to score all datasets.",
        columns,
        groups,
        _machine_notes(inputs, scores),
        "efficiency",
        names,
    )


def _took(inputs: Inputs, system: System) -> list[Cell]:
    results = [result for found in system.results.values() for result in found]
    evaluated = tuple(inputs.source(result.path) for result in results)
    settings = results[0].settings
    seeds = max(len(found) for found in system.results.values())
    trainings = trainings_of(inputs, [system])
    sources = tuple(inputs.source(training.path) for training in trainings)

    def mean(values: Sequence[float | None]) -> Cell:
        known = [value for value in values if value is not None]
        return Cell(float(np.mean(known)) if known else None, sources=sources)

    manifests = [training.manifest for training in trainings]
    seconds = sum(result.seconds for result in results) / seeds
    return [
        Cell(label_in_symbols(system.label)),
        Cell(_number(settings.get("parameters")), sources=evaluated[:1]),
        mean([_number(manifest["parameters"].get("trained")) for manifest in manifests]),
        Cell(_number(settings.get("dimension")), sources=evaluated[:1]),
        mean([manifest["seconds"]["total"] for manifest in manifests]),
        mean([resources(manifest).get("processor_seconds") for manifest in manifests]),
        mean([resources(manifest).get("peak_memory_gib") for manifest in manifests]),
        mean([_energy(manifest) for manifest in manifests]),
        mean([_core_hours(manifest) * DOLLARS_PER_CORE_HOUR for manifest in manifests]),
        Cell(seconds, sources=evaluated),
    ]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def resources(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the resources of a training; empty if they were not recorded."""
    found: Mapping[str, Any] = manifest.get("resources") or {}
    return found


def _core_hours(manifest: Mapping[str, Any]) -> float:
    hardware = manifest["environment"]["hardware"]
    processor = resources(manifest).get("processor_seconds")
    return float(processor or manifest["seconds"]["total"] * hardware["cores"]) / 3600


def _energy(manifest: Mapping[str, Any]) -> float:
    """Return the energy of a training in watt hours: from the processor's counter, or else an estimate."""
    joules = resources(manifest).get("joules")
    return float(joules) / 3600 if joules else _core_hours(manifest) * WATTS_PER_CORE


def _machine_notes(inputs: Inputs, scores: Scores) -> list[Note]:
    machines = dict.fromkeys(
        machine(training.manifest["environment"]) for training in trainings_of(inputs, scores.ours)
    )
    notes = [Note(f"Trained on {machine}.") for machine in machines]
    if machines:
        notes.append(
            Note(
                f"Energy is an estimate of {WATTS_PER_CORE:g} W per core-hour of processor time (of wall time if "
                "processor time was not recorded), unless the processor's energy counter could be read. Cost is "
                f"{DOLLARS_PER_CORE_HOUR:g} dollars per core-hour."
            )
        )
    return notes


def machine(environment: Mapping[str, Any]) -> str:
    """Return the hardware of an environment in one line."""
    hardware = environment["hardware"]
    accelerators = hardware.get("accelerators") or []
    parts = [f"{hardware['cores']} cores of {hardware['processor']}", f"{hardware['memory_gib']} GiB of memory"]
    return ", ".join([*parts, *accelerators])


def planned_table() -> Table:
    """Return a table of the guide's planned time and cost of its strategies; none of it was measured."""
    hours, dollars = decimals(0), decimals(0)
    rows = [
        [Cell("Quick prototype: base trained, one T4"), Cell(18.0), Cell(8.0)],
        [Cell("Medium scale: base trained in two stages, one T4"), Cell(166.0), Cell(85.0)],
        [Cell("Smart hybrid: head on a frozen base, one T4"), Cell(52.0), Cell(25.0)],
    ]
    return Table(
        "Time and cost of the guide's strategies, as planned; they were not measured.",
        [Column("Strategy"), Column("Hours", hours), Column("Cost ($)", dollars)],
        [rows],
        [Note("The guide planned these for all of BEIR; they are shown for comparison with measured values.")],
        "planned",
    )
