"""Comparison of ragcun's scores with published ones, and of its evaluator with BEIR's."""

import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from ragcun.data.benchmark import datasets as known
from ragcun.data.collection import is_collection
from ragcun.evaluation.beir import evaluate_tasks, identify_all
from ragcun.evaluation.results import Result, check_part
from ragcun.evaluation.tasks import Task, open_tasks
from ragcun.retrieval.retrievers import RetrieverOptions
from ragcun.retrieval.runs import Run, read_run

CROSS_CHECKED = "nDCG@10"
_ROUNDING = 1e-5  # BEIR's evaluator rounds to five decimals
_NOBODY = ""  # an id that no document has


@dataclass(frozen=True)
class Published:
    """A published score (0 to 1), the tolerance of one's own score, and the source."""

    retriever: str
    dataset: str
    split: str
    measure: str
    score: float
    tolerance: float
    source: str


@dataclass(frozen=True)
class Verdict:
    """A published score, and the score obtained; None if it was not run, with the `reason`.

    Attributes:
        evaluator_difference: nDCG@10 of the same run by BEIR's own evaluator, minus ragcun's.
    """

    published: Published
    obtained: float | None
    reason: str = ""
    evaluator_difference: float | None = None

    @property
    def agrees(self) -> bool | None:
        """Whether the score is within the tolerance, with both rounded to the four decimals of the published one."""
        if self.obtained is None:
            return None
        return round(abs(round(self.obtained, 4) - self.published.score), 4) <= self.published.tolerance

    @property
    def evaluators_agree(self) -> bool | None:
        """Whether BEIR's evaluator gives the same nDCG@10, to its five decimals; None if nothing was run."""
        return None if self.evaluator_difference is None else abs(self.evaluator_difference) <= _ROUNDING


@cache
def published() -> tuple[Published, ...]:
    """Read all scores of published.toml."""
    content = tomllib.loads((files("ragcun.evaluation") / "published.toml").read_text(encoding="utf-8"))
    return tuple(
        Published(name, dataset, known()[dataset].split, measure, score, facts["tolerance"], facts["source"])
        for name, facts in content["retrievers"].items()
        for measure, scores in facts.items()
        if isinstance(scores, dict)
        for dataset, score in scores.items()
    )


def verify(
    retrievers: Mapping[str, str],
    datasets: Collection[str],
    data_dir: Path,
    output: Path,
    options: RetrieverOptions,
) -> Iterator[Verdict]:
    """Yield a verdict for each published score of these retrievers on these datasets, in the order of published.toml.

    `retrievers` maps the name under which a score was published to the retriever to run, which usually has the same
    name, but may be a model in a folder.

    A missing or wrong dataset, or a retriever that fails, is recorded as the reason of a verdict, not raised.
    """
    wanted = [one for one in published() if one.retriever in retrievers and one.dataset in datasets]
    names = dict.fromkeys(one.dataset for one in wanted)
    there = [name for name in names if is_collection(data_dir / name)]
    tasks, unopened = open_tasks([known()[name] for name in there], data_dir=data_dir, offline=True)
    for retriever in dict.fromkeys(one.retriever for one in wanted):
        scores = [one for one in wanted if one.retriever == retriever]
        asked = [task for task in tasks if task.collection.name in {one.dataset for one in scores}]
        failures = list(unopened)
        identities = identify_all([retrievers[retriever]], options, failures) if asked else {}
        results = evaluate_tasks(identities, asked, output, options, failures)
        found = {result.dataset: result for result in results}
        differences = {
            task.collection.name: cross_check(found[task.collection.name], task)
            for task in asked
            if task.collection.name in found
        }
        reasons = {name: one.error for one in reversed(failures) for name in names if one.dataset in (name, None)}
        reasons |= {name: f"not in {data_dir}" for name in names if name not in there}
        for one in scores:
            if one.dataset in found:
                obtained = found[one.dataset].metrics[one.measure]
                yield Verdict(one, obtained, evaluator_difference=differences[one.dataset])
            else:
                yield Verdict(one, None, reasons[one.dataset])


def cross_check(result: Result, task: Task) -> float:
    """Return nDCG@10 of a result's run by BEIR's own evaluator, minus the result's."""
    check_part(result.run)
    own_document = known()[task.collection.name].own_document
    ndcg = beir_ndcg(task.collection.qrels(task.split), read_run(result.run), own_document)
    return ndcg - result.metrics[CROSS_CHECKED]


def beir_ndcg(qrels: Mapping[str, Mapping[str, int]], run: Run, ignore_identical_ids: bool) -> float:
    """Compute mean nDCG@10, 0 to 1, to five decimals, by `beir.retrieval.evaluation.EvaluateRetrieval.evaluate`.

    BEIR leaves judged queries without results out of the mean; here they get an unjudged document, so that they count
    as 0. `ignore_identical_ids` removes the document with the query's own id from the ranking.
    """
    from beir.retrieval.evaluation import EvaluateRetrieval

    judged = {query: dict(grades) for query, grades in qrels.items()}
    found = {query: dict(run.get(query) or {_NOBODY: 0.0}) for query in judged}
    ndcg, *_ = EvaluateRetrieval.evaluate(judged, found, [10], ignore_identical_ids)
    return float(ndcg["NDCG@10"])
