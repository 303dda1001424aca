"""The ARR responsible-NLP checklist and a statement of reproducibility, answered from manifests as far as possible."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ragcun.data.benchmark import find_dataset
from ragcun.evaluation.results import result_record
from ragcun.report.latex import set_text
from ragcun.report.paper.inputs import Inputs
from ragcun.report.paper.scores import Scores, dataset_title
from ragcun.report.paper.setup import machine, resources, trainings_of

OPEN = "To be answered by the authors."


@dataclass(frozen=True)
class Item:
    """A question of the checklist; `answer` is None if the results do not answer it."""

    number: str
    question: str
    answer: str | None = None


def checklist(inputs: Inputs, scores: Scores) -> list[Item]:
    """Return the questions of the ACL Rolling Review's responsible-NLP checklist with answers from the results."""
    trainings = trainings_of(inputs, scores.ours)
    licences = [
        f"{dataset_title(name)}: {known.licence or 'ask the owner'}"
        for name in scores.datasets
        if (known := find_dataset(name)) is not None
    ]
    seeds = max((len(found) for system in scores.ours for found in system.results.values()), default=1)
    weights = sorted({training.manifest["parameters"]["trained"] for training in trainings})
    hours = sum(training.manifest["seconds"]["total"] for training in trainings) / 3600
    machines = list(dict.fromkeys(machine(training.manifest["environment"]) for training in trainings))
    trained = ", ".join(f"{one / 1e6:.2f} M" for one in weights)
    budget = (
        f"{trained} trained parameters; {len(trainings)} trainings, {hours:.2f} "
        f"hours in total; {'; '.join(machines)}. See the table of parameters, time and cost."
        if trainings
        else None
    )
    packages = _packages(inputs, scores)
    return [
        Item("A1", "Limitations"),
        Item("A2", "Potential risks"),
        Item("B1", "Creators of artefacts cited", "Yes: datasets, models, measures and tests are in refs.bib."),
        Item(
            "B2",
            "Licences",
            f"{'; '.join(licences)}. The licences of other datasets are not known." if licences else None,
        ),
        Item("B3", "Use consistent with intended use"),
        Item("B4", "Personal information and offensive content"),
        Item("B5", "Documentation of artefacts", "Domains and tasks of BEIR's datasets are in the table of data."),
        Item("B6", "Statistics of data", "Yes: documents, queries and splits are in the table of data."),
        Item("C1", "Parameters, budget, infrastructure", budget),
        Item(
            "C2",
            "Set-up and hyper-parameters",
            "All settings are in the table of settings; the checkpoint is chosen on dev." if trainings else None,
        ),
        Item(
            "C3",
            "Descriptive statistics",
            f"Means and standard deviations over {seeds} seeds, intervals and corrected tests."
            if seeds > 1
            else "One seed; intervals over queries and corrected tests.",
        ),
        Item("C4", "Packages and their settings", packages),
        Item("D", "Human annotators"),
        Item("E", "Use of AI assistants"),
    ]


def checklist_text(items: Sequence[Item]) -> str:
    """Return the checklist in LaTeX; questions without an answer are marked as open."""
    lines = ["% Written by ragcun.", r"\begin{description}"]
    for item in items:
        answer = set_text(item.answer) if item.answer else rf"\emph{{{OPEN}}}"
        lines.append(rf"\item[{set_text(item.number)}] {set_text(item.question)}: {answer}")
    return "\n".join([*lines, r"\end{description}"]) + "\n"


def reproducibility(inputs: Inputs, scores: Scores) -> str:
    """Return a statement of reproducibility in LaTeX: what is fixed, what is recorded, and what is not known."""
    trainings = trainings_of(inputs, scores.ours)
    results = [one for system in inputs.systems for found in system.results.values() for one in found]
    unknown = []
    if any(not (training.manifest["settings"]["model"].get("revision")) for training in trainings):
        unknown.append("the base's revision on the hub was not fixed, but the SHA-256 of its weights was recorded")
    if any((training.manifest["environment"].get("git") or {}).get("dirty") for training in trainings):
        unknown.append("the code had uncommitted changes")
    if any(not resources(training.manifest) for training in trainings):
        unknown.append("processor time and memory of some trainings were not recorded")
    lines = [
        f"This paper is based on {len(results)} results and {len(trainings)} trainings. Each result has its settings, "
        "the fingerprints of its model and data, the versions of packages, its hardware and its time; the file "
        "provenance.json names the results behind each number, with checksums. Tests and samples are seeded, so the "
        "same results give the same files."
    ]
    if trainings:
        seeds = sorted({training.manifest["settings"]["seed"] for training in trainings})
        lines.append(
            f"Trainings have the seeds {', '.join(map(str, seeds))}"
            "; a training on the same machine gives the same weights."
        )
    lines.append(f"Not known: {'; '.join(unknown)}." if unknown else "Nothing that ragcun records is missing.")
    return "% Written by ragcun.\n" + "\n\n".join(map(set_text, lines)) + "\n"


def _packages(inputs: Inputs, scores: Scores) -> str | None:
    found: dict[str, dict[str, None]] = {}
    for system in [*scores.baselines, *scores.ours]:
        for results in system.results.values():
            for result in results:
                record: dict[str, Any] = result_record(result.path)
                for name, version in record.get("environment", {}).get("packages", {}).items():
                    found.setdefault(name, {})[version] = None
    return (
        ", ".join(f"{name} {' and '.join(versions)}" for name, versions in sorted(found.items())) + "."
        if found
        else None
    )
