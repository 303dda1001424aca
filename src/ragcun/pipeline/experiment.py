"""`ragcun run`: data, training, evaluation, analysis and report in one folder, resumable at any point.

settings.toml, manifest.json, history.jsonl, checkpoints/, model/     the trained head (see training)
data/pydocs/                                                          the collection pydocs, if it is used
random/                                                               the same head initialised at random
cells/                                                                runs and scores (see evaluation)
analysis/, tables/, report.html, summary.json                          the results
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ragcun.analysis.figures import training_curves
from ragcun.analysis.run import analyze_models
from ragcun.console import say
from ragcun.data.collection import Collection
from ragcun.evaluation.beir import evaluate_tasks, identify_all
from ragcun.evaluation.compare import Comparison, compare
from ragcun.evaluation.results import Result
from ragcun.evaluation.tasks import Task
from ragcun.files import write_json
from ragcun.losses.terms import TERMS
from ragcun.pipeline.preflight import BASE, RANDOM
from ragcun.pipeline.steps import once
from ragcun.report.page.write import write_page
from ragcun.report.write import compile_pdf, has_latex, write_tables
from ragcun.retrieval.registry import encoder
from ragcun.retrieval.retrievers import RetrieverOptions
from ragcun.settings.schema import Settings
from ragcun.training.history import read_history
from ragcun.training.stages import train_stages

TRAINED = "trained head"
STARTED_AT_RANDOM = "head from random start"


@dataclass(frozen=True)
class Summary:
    """The results of `ragcun run` and their files."""

    experiment: Path
    results: list[Result]
    comparisons: dict[str, Comparison]
    verdict: list[str]
    files: list[Path]

    def to_json(self) -> dict[str, Any]:
        """Return the content of summary.json, which `--json` prints."""
        return {
            "experiment": str(self.experiment),
            "results": [result.to_json() for result in self.results],
            "comparisons": {dataset: asdict(found) for dataset, found in self.comparisons.items()},
            "verdict": self.verdict,
            "files": [str(path) for path in self.files],
        }


def run(settings: Settings, tasks: Sequence[Task], experiment: Path, store: Path) -> Summary:
    """Run a whole experiment; finished steps with the same inputs are skipped.

    `settings` and `tasks` are those of `preflight.ready_to_run`.

    Raises:
        UserError: a setting is not supported, or the folder contains another experiment.
    """
    train_stages(settings, experiment, store, label=TRAINED)
    base = settings.model.base
    models = {BASE: base, RANDOM: str(experiment / "random")}
    if RANDOM in settings.evaluation.baselines:
        train_stages(_at_random(settings), experiment / "random", store, label=STARTED_AT_RANDOM)
    chosen = [models.get(name, name) for name in settings.evaluation.baselines] + [str(experiment)]
    options = RetrieverOptions(
        store, settings.model.precision, settings.model.max_length, runtime=settings.model.runtime
    )
    results = evaluate_tasks(identify_all(chosen, options), tasks, experiment, options)
    files = _analyse(settings, experiment, options, tasks[0].collection, chosen)
    files += _report(experiment, results)
    files += _page(experiment, results, tasks, base)
    comparisons = _compare(experiment, results, base)
    summary = Summary(experiment, results, comparisons, _verdict(comparisons, base), files)
    write_json(experiment / "summary.json", summary.to_json())
    return summary


def _at_random(settings: Settings) -> Settings:
    model = settings.model.model_copy(update={"init": "random"})
    training = settings.training.model_copy(update={term.weight: 0.0 for term in TERMS if term.needs_teacher})
    return settings.model_copy(update={"model": model, "training": training})


def _analyse(
    settings: Settings, experiment: Path, options: RetrieverOptions, collection: Collection, models: list[str]
) -> list[Path]:
    output = experiment / "analysis"
    encoders = {name: found for name in models if (found := encoder(name)) is not None}

    def work() -> list[Path]:
        embedders = [found.embedder(options) for found in encoders.values()]
        analyze_models(embedders, collection, output, settings.seed)
        training_curves(read_history(experiment / "history.jsonl"), output / "figures")
        return [output / "isotropy.json", *sorted((output / "figures").iterdir())]

    inputs = {name: found.identify(options).inputs for name, found in encoders.items()}
    once(output / "done.json", {"models": inputs, "data": str(collection.path), "seed": settings.seed}, work)
    return [output / "isotropy.json", *sorted((output / "figures").glob("*.pdf"))]


def _report(experiment: Path, results: list[Result]) -> list[Path]:
    tables = write_tables(experiment, order=[result.label for result in results])
    if has_latex():
        sources = {path.name: path.read_text(encoding="utf-8") for path in tables}
        once(experiment / "tables" / "compiled.json", sources, lambda: _compile(tables[-1]))
        tables.append(tables[-1].with_suffix(".pdf"))
    return tables


def _page(experiment: Path, results: list[Result], tasks: Sequence[Task], base: str) -> list[Path]:
    baselines = [result.label for result in results if result.model == base][:1]
    data_dirs = list(dict.fromkeys(task.collection.path.parent for task in tasks))
    return write_page([str(experiment)], None, baselines or None, data_dirs=data_dirs)[:1]


def _compile(source: Path) -> list[Path]:
    compiled = compile_pdf(source)
    say(f"compiled: {compiled}")
    return [compiled]


def _compare(experiment: Path, results: list[Result], base: str) -> dict[str, Comparison]:
    ours = {result.dataset: result for result in results if result.model == str(experiment)}
    theirs = {result.dataset: result for result in results if result.model == base}
    return {dataset: compare(ours[dataset].scores, theirs[dataset].scores) for dataset in ours.keys() & theirs.keys()}


def _verdict(comparisons: dict[str, Comparison], base: str) -> list[str]:
    lines = []
    for dataset, found in sorted(comparisons.items()):
        certain = found.p_value < 0.05
        direction = "better" if found.difference > 0 else "worse"
        judgement = f"{direction} than" if certain else "not distinguishable from"
        lines.append(
            f"{dataset}: the {TRAINED} is {judgement} {base.rpartition('/')[2]} by {100 * found.difference:+.1f} "
            f"{found.measure} (95% interval {100 * found.low:+.1f} to {100 * found.high:+.1f}, "
            f"p = {found.p_value:.4f}; {found.wins} queries won, {found.ties} tied, {found.losses} lost)"
        )
    return lines
