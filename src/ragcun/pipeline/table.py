"""An ablation as a table."""

from collections.abc import Mapping
from typing import Any

from ragcun.analysis.measures import MEASURES
from ragcun.table import Cell, Column, Table, decimals, significant

_SCORE = decimals(1, scale=100)


def ablation_table(found: Mapping[str, Any]) -> Table:
    """Return the settings of ablation.json by their scores and isotropy, the base first.

    Values are means over seeds with their deviations; nDCG@10 is times 100.
    """
    named = [("base", found["base"]), *((row["name"], row) for row in found["rows"])]
    rows = [[Cell(name), Cell(row["seeds"]), *map(_cell, _values(row).values())] for name, row in named]
    seeds = max(row["seeds"] for _, row in named)
    spread = f", with the standard deviation over {seeds} seeds" if seeds > 1 else ""
    measures = {measure.key: measure for measure in MEASURES}
    columns = []
    for key in _values(found["base"]):
        if key in measures:
            columns.append(Column(measures[key].title, significant, lambda value: f"{value:.1g}"))
        else:
            columns.append(Column(_place(key, found["in_domain"]), _SCORE))
    return Table(
        f"nDCG@10 (×100) and isotropy of the documents of dev{spread}.",
        [Column("setting"), Column("seeds", decimals(0)), *columns],
        [rows],
        label="ablation",
    )


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"dev start": row["dev_start"], "dev": row["dev"], **row["scores"], **row["isotropy"]}


def _place(name: str, in_domain: list[str]) -> str:
    if name.startswith("dev"):
        return name
    return f"{name} ({'in-domain' if name in in_domain else 'out-of-domain'})"


def _cell(pair: tuple[float, float | None] | None) -> Cell:
    return Cell(None) if pair is None else Cell(*pair)
