"""The table of an ablation."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from ragcun.analysis.measures import MEASURES
from ragcun.analysis.treatment import CHECKED
from ragcun.analysis.wording import setting_name, symbol, words
from ragcun.table import Cell, Column, Note, Table, decimals, significant

_START = "start "


def ablation_table(found: Mapping[str, Any]) -> Table:
    """Make the table of the settings of ablation.json with their scores and isotropy, after the base and N(0, I).

    Values are means over seeds with standard deviations; nDCG@10 and other outcomes are times 100. A note says if the
    grid did not change isotropy.
    """
    named = [("base", found["base"]), *((setting_name(row["values"]) or row["name"], row) for row in found["rows"])]
    rows = [[Cell(name), Cell(row["seeds"]), *map(_cell, _values(row).values())] for name, row in named]
    for dimension, gaussian in found["gaussian"].items():
        values = [Cell(gaussian.get(key)) for key in _values(found["base"])]
        rows.insert(1, [Cell(f"N(0, I), d = {dimension}"), Cell(None), *values])
    seeds = max(row["seeds"] for _, row in named)
    spread = f", with the standard deviation over {seeds} seeds" if seeds > 1 else ""
    measures = {measure.key: measure for measure in MEASURES}
    columns = []
    for key in _values(found["base"]):
        if key.startswith(_START):
            columns.append(Column(f"{measures[key.removeprefix(_START)].title}, at the start", significant, _spread))
        elif key in measures:
            columns.append(Column(measures[key].title, significant, _spread))
        else:
            digits = _digits([_values(row)[key] for _, row in named])
            columns.append(Column(_place(key, found["in_domain"]), decimals(digits, scale=100)))
    others = "".join(f", {name}" for name in found["base"].get("endpoints", {}))
    return Table(
        f"nDCG@10{others} (×100) and isotropy of the documents of dev{spread}.",
        [Column("setting"), Column("seeds", decimals(0)), *columns],
        [rows],
        [*map(Note, _settings(found["rows"])), *([Note(found["verdict"])] if found["verdict"] else [])],
        label="ablation",
    )


def _settings(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Explain the symbols of the grid in words."""
    for name in dict.fromkeys(name for row in rows for name in row["values"]):
        if symbol(name) != words(name):
            yield f"{symbol(name)}: {words(name)}."


def _digits(pairs: Sequence[tuple[float, float | None] | None]) -> int:
    """Return the number of decimals of scores times 100, 1 or 2, by the first digit of the median deviation."""
    deviations = [pair[1] for pair in pairs if pair is not None and pair[1]]
    if not deviations:
        return 1
    return min(2, max(1, -math.floor(math.log10(100 * median(deviations)))))


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    starts = {_START + key: row["isotropy_start"].get(key) for key in CHECKED}
    others = {
        f"{dataset}, {name}": value
        for name, values in row.get("endpoints", {}).items()
        for dataset, value in values.items()
    }
    return {"dev start": row["dev_start"], "dev": row["dev"], **row["scores"], **others, **row["isotropy"], **starts}


def _spread(value: float) -> str:
    return f"{value:.1g}"


def _place(name: str, in_domain: list[str]) -> str:
    if name.startswith("dev"):
        return name
    return f"{name} ({'in-domain' if name.partition(', ')[0] in in_domain else 'out-of-domain'})"


def _cell(pair: tuple[float, float | None] | None) -> Cell:
    return Cell(None) if pair is None else Cell(*pair)
