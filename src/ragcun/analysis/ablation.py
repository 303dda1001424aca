"""An ablation as a table."""

from collections.abc import Mapping
from typing import Any

from ragcun.analysis.measures import MEASURES
from ragcun.analysis.treatment import CHECKED
from ragcun.table import Cell, Column, Note, Table, decimals, significant

_SCORE = decimals(1, scale=100)
_START = "start "


def ablation_table(found: Mapping[str, Any]) -> Table:
    """Return the settings of ablation.json by their scores and isotropy, below the base and N(0, I).

    Values are means over seeds with their deviations; nDCG@10 is times 100. Where the grid did not move isotropy, a
    note says so.
    """
    named = [("base", found["base"]), *((row["name"], row) for row in found["rows"])]
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
            columns.append(Column(_place(key, found["in_domain"]), _SCORE))
    return Table(
        f"nDCG@10 (×100) and isotropy of the documents of dev{spread}.",
        [Column("setting"), Column("seeds", decimals(0)), *columns],
        [rows],
        [Note(found["verdict"])] if found["verdict"] else [],
        label="ablation",
    )


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    starts = {_START + key: row["isotropy_start"].get(key) for key in CHECKED}
    return {"dev start": row["dev_start"], "dev": row["dev"], **row["scores"], **row["isotropy"], **starts}


def _spread(value: float) -> str:
    return f"{value:.1g}"


def _place(name: str, in_domain: list[str]) -> str:
    if name.startswith("dev"):
        return name
    return f"{name} ({'in-domain' if name in in_domain else 'out-of-domain'})"


def _cell(pair: tuple[float, float | None] | None) -> Cell:
    return Cell(None) if pair is None else Cell(*pair)
