"""Grids of settings: names, cells, and folders."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ragcun.errors import UserError, did_you_mean
from ragcun.settings.schema import ModelSettings, Settings, StageSettings

Grid = Mapping[str, Sequence[str]]

_FIELDS = {"training": set(StageSettings.model_fields), "model": set(ModelSettings.model_fields)}
_SHARED = {"base", "revision", "precision", "max_length", "freeze_base", "freeze_early_layers"}


@dataclass(frozen=True, eq=False)
class Cell:
    """One setting with one seed: its name, its settings, and its folder."""

    name: str
    values: dict[str, str]
    settings: Settings
    folder: Path

    @property
    def label(self) -> str:
        """The cell's name in tables."""
        return f"{self.name} seed {self.settings.seed}"


def parse_grid(options: Iterable[str]) -> dict[str, list[str]]:
    """Parse a grid, such as `lambda_isotropy=0,0.1,1` -> {"training.lambda_isotropy": ["0", "0.1", "1"]}.

    A name is a setting of the training or of the model, with or without its section.

    Raises:
        UserError: an option is not NAME=VALUES, a value or a name is given twice, there is no such setting, or the
            setting belongs to the base, whose embeddings all cells share.
    """
    grid: dict[str, list[str]] = {}
    for option in options:
        name, found, values = option.partition("=")
        listed = [value.strip() for value in values.split(",") if value.strip()]
        if not found or not listed:
            raise UserError(f"--grid {option}: must be NAME=VALUE,VALUE,..., such as lambda_isotropy=0,0.1,1")
        key = _setting(name.strip(), option)
        if key in grid or len(set(listed)) < len(listed):
            raise UserError(f"--grid {option}: {'a name' if key in grid else 'a value'} is given twice")
        grid[key] = listed
    return grid


def grid_names() -> list[str]:
    """List the settings that a grid can have."""
    return sorted(set().union(*_FIELDS.values()) - _SHARED)


def _setting(name: str, option: str) -> str:
    section, _, field = name.replace("-", "_").rpartition(".")
    owner = next((s for s, fields in _FIELDS.items() if field in fields and section in {"", s}), None)
    if owner is None:
        hint = did_you_mean(field, sorted(set().union(*_FIELDS.values())))
        raise UserError(f"--grid {option}: the training and the model have no setting {name!r}{hint}")
    if field in _SHARED:
        raise UserError(f"--grid {option}: all cells share one base's embeddings; run an ablation for each {field}")
    return f"{owner}.{field}"


def cells_of(grid: Grid, seeds: int, load: Callable[[dict[str, Any]], Settings], output: Path) -> list[Cell]:
    """List the cells of a grid, setting by setting; an empty grid has one setting without a name.

    `load` makes settings from dotted names and values, or raises an error.
    """
    cells = []
    for values in product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        name = ",".join(f"{key.rpartition('.')[2]}={value}" for key, value in chosen.items())
        for seed in range(seeds):
            settings = load({**chosen, "seed": seed})
            if grid and not settings.model.freeze_base:
                raise UserError("--grid: needs a frozen base, whose embeddings all trainings share; set --freeze-base")
            folder = output / "cells" / re.sub(r"[^\w.=,+-]", "-", name) / f"seed={seed}"
            cells.append(Cell(name, chosen, settings, folder))
    return cells
