"""Figures of the per-query differences from a baseline."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ragcun.analysis.isotropy import Floats
from ragcun.analysis.style import COLUMN, looks, plain, save, style
from ragcun.analysis.wording import label_in_symbols, mathematics


def query_differences(differences: Mapping[str, Floats], measure: str, baseline: str, path: Path) -> list[Path]:
    """Draw for each model the differences from the baseline over queries, from the largest gain to the largest loss.

    `differences` has arrays (queries,) by the models' labels, 0 to 1, which are drawn times 100. Returns the files'
    paths.
    """
    with style():
        figure = Figure(figsize=(COLUMN, 1.7), layout="constrained")
        axes = figure.subplots()
        axes.axhline(0, color="black", linewidth=0.6)
        for (label, values), look in zip(differences.items(), looks(), strict=False):
            share = 100 * (np.arange(len(values)) + 0.5) / len(values)
            axes.plot(share, 100 * np.sort(values)[::-1], label=mathematics(plain(label_in_symbols(label))), **look)
        axes.set(
            xlabel=f"queries (%), by gain over {plain(baseline)}", ylabel=f"{measure} (×100) gained", xlim=(0, 100)
        )
        return save(figure, path, axes)
