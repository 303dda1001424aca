"""Datasets that are the mean of several collections: CQADupStack is that of its 12 forums."""

from collections.abc import Iterable, Mapping, Sequence
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


def whole_datasets(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of datasets by that of their line: parts by the whole's, where all are there, others by their own."""
    there = list(dict.fromkeys(names))
    lines: dict[str, list[str]] = {}
    for name in there:
        whole = next((one for one in datasets().values() if name in {part.name for part in one.parts}), None)
        complete = whole is not None and all(part.name in there for part in whole.parts)
        lines.setdefault(whole.name if whole is not None and complete else name, []).append(name)
    return lines


def average_parts(results: Sequence[Part]) -> list[Part | Average[Part]]:
    """`results`, in whose place the parts of a dataset have one line where all of them are there."""
    groups: dict[tuple[str, str], dict[str, Part]] = {}
    for result in results:
        groups.setdefault((result.label, result.split), {})[result.dataset] = result
    lines: list[Part | Average[Part]] = []
    for (label, split), found in groups.items():
        for name, names in whole_datasets(found).items():
            group = [found[part] for part in names]
            if names == [name]:
                lines += group
                continue
            measures = [measure for measure in group[0].metrics if all(measure in part.metrics for part in group)]
            metrics = {measure: sum(part.metrics[measure] for part in group) / len(group) for measure in measures}
            lines.append(Average(label, name, split, metrics, group[0].settings, tuple(group)))
    return lines
