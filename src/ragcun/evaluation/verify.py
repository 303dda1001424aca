"""Published scores against this toolkit's own: what can be run is run, and what differs is named."""

import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from ragcun.data.benchmark import datasets as known
from ragcun.evaluation.beir import evaluate_tasks, identify_all
from ragcun.evaluation.tasks import open_tasks
from ragcun.retrieval.retrievers import RetrieverOptions


@dataclass(frozen=True)
class Published:
    """A score (0 to 1) from elsewhere, how far one's own may be from it, and where it was published."""

    retriever: str
    dataset: str
    split: str
    measure: str
    score: float
    tolerance: float
    source: str


@dataclass(frozen=True)
class Verdict:
    """A published score, and the one obtained; None where it was not run, for `reason`."""

    published: Published
    obtained: float | None
    reason: str = ""

    @property
    def agrees(self) -> bool | None:
        """Whether the score obtained is within the tolerance, both rounded to the four places of the published one."""
        if self.obtained is None:
            return None
        return round(abs(round(self.obtained, 4) - self.published.score), 4) <= self.published.tolerance


@cache
def published() -> tuple[Published, ...]:
    """All of published.toml."""
    content = tomllib.loads((files("ragcun.evaluation") / "published.toml").read_text(encoding="utf-8"))
    return tuple(
        Published(name, dataset, known()[dataset].split, measure, score, facts["tolerance"], facts["source"])
        for name, facts in content["retrievers"].items()
        for measure, scores in facts.items()
        if isinstance(scores, dict)
        for dataset, score in scores.items()
    )


def verify(
    retrievers: Collection[str], datasets: Collection[str], data_dir: Path, output: Path, encoding: RetrieverOptions
) -> Iterator[Verdict]:
    """Yield a verdict for each published score of these retrievers on these datasets, in the order of published.toml.

    A dataset that is not in `data_dir` or not the benchmark's, and a retriever that cannot be had or fails, are
    reasons, not errors.
    """
    wanted = [one for one in published() if one.retriever in retrievers and one.dataset in datasets]
    names = dict.fromkeys(one.dataset for one in wanted)
    there = [name for name in names if (data_dir / name / "corpus.jsonl").is_file()]
    tasks, unopened = open_tasks([known()[name] for name in there], data_dir=data_dir, offline=True)
    for retriever in dict.fromkeys(one.retriever for one in wanted):
        scores = [one for one in wanted if one.retriever == retriever]
        asked = [task for task in tasks if task.collection.name in {one.dataset for one in scores}]
        failures = list(unopened)
        identities = identify_all([retriever], encoding, failures) if asked else {}
        results = evaluate_tasks(identities, asked, output, encoding, failures)
        found = {result.dataset: result.metrics for result in results}
        reasons = {name: one.error for one in reversed(failures) for name in names if one.dataset in (name, None)}
        reasons |= {name: f"not in {data_dir}" for name in names if name not in there}
        for one in scores:
            if one.dataset in found:
                yield Verdict(one, found[one.dataset][one.measure])
            else:
                yield Verdict(one, None, reasons[one.dataset])
