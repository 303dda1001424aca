"""The data that the page's script sorts, slices, searches and explains, as plain JSON values."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ragcun.data.benchmark import find_dataset
from ragcun.evaluation.ranks import rank_intervals
from ragcun.evaluation.systems import Method, Row, System
from ragcun.report.page.queries import DEPTH, Asked, Details, size
from ragcun.report.page.records import Records
from ragcun.report.page.tables import Place, place_of, places
from ragcun.report.page.texts import find_collection


def collect(
    systems: Sequence[System], rows: Sequence[Row], method: Method, data_dirs: Sequence[Path], largest: int
) -> dict[str, Any]:
    """Return the page's data, with as many texts as keep it within `largest` bytes of JSON.

    Every query has its scores and features. The queries on which systems differ most also have their texts and the
    first documents of each system, as far as the limit allows.
    """
    datasets = list(dict.fromkeys(dataset for system in systems for dataset in system.results))
    records = Records()
    asked, cells = [], []
    for dataset in datasets:
        results = [system.results.get(dataset, []) for system in systems]
        collection = find_collection(next(found[0] for found in results if found), data_dirs)
        cells.append([[records.add(result, collection) for result in found] for found in results])
        asked.append(Asked.read(results, method.measure, collection))
    content = {
        "measure": method.measure,
        "baseline": rows[0].baseline,
        "depth": DEPTH,
        "systems": [system.label for system in systems],
        "columns": [_column(place, systems, datasets, rows) for place in places(rows)],
        "datasets": [
            {"name": name, "split": split, "cells": found, **one.to_json()}
            for (name, split), found, one in zip(datasets, cells, asked, strict=True)
        ],
        "ranks": _ranks(systems, datasets, asked),
        **records.to_json(),
    }
    details = Details(asked, largest - size(content))
    for dataset, found in zip(content["datasets"], details.to_json(), strict=True):
        dataset.update(found)
    return content


def _column(place: Place, systems: Sequence[System], datasets: list[tuple[str, str]], rows: Sequence[Row]) -> Any:
    """Return a column of the results: its datasets, and the comparison of each system with each baseline."""
    dataset, split, domain, over = place
    names = set(over) if dataset is None else {dataset}
    of = [at for at, (name, part) in enumerate(datasets) if split in {None, part} and names & {name, _whole(name)}]
    found = {(row.label, row.baseline): row for row in rows if place_of(row) == place}
    baselines = list(dict.fromkeys(row.baseline for row in rows))
    return {
        "name": dataset,
        "split": split,
        "domain": domain,
        "datasets": of,
        "rows": [
            [row.to_json() for baseline in baselines if (row := found.get((system.label, baseline))) is not None]
            for system in systems
        ],
    }


def _whole(name: str) -> str | None:
    """Return the dataset that `name` is a part of; None if it is not a part of one."""
    dataset = find_dataset(name)
    return None if dataset is None else dataset.whole


def _ranks(systems: Sequence[System], datasets: Sequence[tuple[str, str]], asked: Sequence[Asked]) -> list[Any]:
    """Return ranks on each dataset and, if there are several, over all that every system has results on."""
    lines: dict[tuple[str, str], list[Asked]] = {}
    for (name, split), one in zip(datasets, asked, strict=True):
        lines.setdefault((_whole(name) or name, split), []).append(one)
    complete = [parts for parts in lines.values() if all(found is not None for one in parts for found in one.scores)]
    groups = [("all datasets", complete)] if len(complete) > 1 else []
    groups += [(name, [parts]) for (name, _), parts in lines.items()]
    ranks = []
    for name, whole in groups:
        flat = [(one, 1 / (len(whole) * len(parts))) for parts in whole for one in parts]
        there = [at for at in range(len(systems)) if all(one.scores[at] is not None for one, _ in flat)]
        strata = [(np.array([one.scores[at] for at in there]), share) for one, share in flat]
        found = [asdict(rank) for rank in rank_intervals(strata)]
        ranks.append({"name": name, "datasets": len(whole), "systems": there, "ranks": found})
    return ranks
