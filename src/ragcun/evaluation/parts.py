"""Datasets that are the mean of several collections: CQADupStack is that of its 12 forums."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ragcun.data.benchmark import datasets


class Scored(Protocol):
    """A line of a table: what the retriever called `label` scores, 0 to 1, and the settings that a reader needs."""

    @property
    def label(self) -> str: ...
    @property
    def dataset(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...


Part = TypeVar("Part", bound=Scored)


@dataclass(frozen=True)
class Average(Generic[Part]):
    """The mean over the parts of a dataset, each of which counts the same however many queries it has."""

    label: str
    dataset: str
    split: str
    metrics: dict[str, float]
    settings: Mapping[str, Any]
    parts: tuple[Part, ...]


def average_parts(results: Sequence[Part]) -> list[Part | Average[Part]]:
    """`results`, in whose place the parts of a dataset have one line where all of them are there."""
    whole_of = {part.name: whole.name for whole in datasets().values() for part in whole.parts}
    groups: dict[tuple[str, str, str], list[Part]] = {}
    for result in results:
        name = whole_of.get(result.dataset, result.dataset)
        groups.setdefault((result.label, result.split, name), []).append(result)
    lines: list[Part | Average[Part]] = []
    for (label, split, name), group in groups.items():
        wanted = sorted(part for part, whole in whole_of.items() if whole == name)
        if not wanted or sorted(result.dataset for result in group) != wanted:
            lines += group
            continue
        measures = [measure for measure in group[0].metrics if all(measure in part.metrics for part in group)]
        metrics = {measure: sum(part.metrics[measure] for part in group) / len(group) for measure in measures}
        lines.append(Average(label, name, split, metrics, group[0].settings, tuple(group)))
    return lines
