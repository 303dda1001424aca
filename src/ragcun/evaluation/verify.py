"""Published scores against this toolkit's own: what can be run is run, and what differs is named."""

import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from ragcun.console import warn
from ragcun.errors import RagcunError
from ragcun.evaluation.beir import evaluate
from ragcun.evaluation.cells import CellResult
from ragcun.retrieval.registry import identify
from ragcun.retrieval.retrievers import Encoding


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
        Published(
            name, dataset, content["splits"].get(dataset, "test"), measure, score, facts["tolerance"], facts["source"]
        )
        for name, facts in content["retrievers"].items()
        for measure, scores in facts.items()
        if isinstance(scores, dict)
        for dataset, score in scores.items()
    )


def verify(
    retrievers: Collection[str], datasets: Collection[str], data_dir: Path, output: Path, encoding: Encoding
) -> Iterator[Verdict]:
    """Yield a verdict for each published score of these retrievers on these datasets, in the order of published.toml.

    A dataset that is not in `data_dir`, and a retriever that cannot be had or fails, are reasons, not errors.
    """
    wanted = [one for one in published() if one.retriever in retrievers and one.dataset in datasets]
    unavailable: dict[str, str] = {}
    cells: dict[tuple[str, str], CellResult | str] = {}
    for one in wanted:
        cell = one.retriever, one.dataset
        if not (data_dir / one.dataset / "corpus.jsonl").is_file():
            cells[cell] = f"not in {data_dir}"
        elif cell not in cells and (reason := _unavailable(one.retriever, encoding, unavailable)):
            cells[cell] = reason
        elif cell not in cells:
            cells[cell] = _run(one, data_dir, output, encoding)
        found = cells[cell]
        if isinstance(found, str):
            yield Verdict(one, None, found)
        else:
            yield Verdict(one, found.metrics[one.measure])


def _unavailable(retriever: str, encoding: Encoding, known: dict[str, str]) -> str:
    """Why the retriever cannot be had, asked once; empty where it can."""
    if retriever not in known:
        try:
            identify(retriever, encoding)
            known[retriever] = ""
        except RagcunError as error:
            known[retriever] = str(error)
            warn(f"{retriever}: {error}")
    return known[retriever]


def _run(one: Published, data_dir: Path, output: Path, encoding: Encoding) -> CellResult | str:
    try:
        return evaluate([one.retriever], [data_dir / one.dataset], output, encoding, one.split)[0]
    except RagcunError as error:
        warn(f"{one.retriever} on {one.dataset}: {error}")
        return str(error)
