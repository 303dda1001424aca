"""The figure of compression: score by bytes per vector."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from ragcun.analysis.style import COLUMN, looks, plain, save, style


@dataclass(frozen=True)
class Coded:
    """A codec: its family, its name, the bytes per vector, the score (0 to 1), and whether it is Pareto-optimal."""

    family: str
    name: str
    bytes: int
    score: float
    best: bool


def compression_figure(panels: Mapping[str, Sequence[Coded]], measure: str, path: Path) -> list[Path]:
    """Draw a panel for each model, with a mark for each codec and a line along the Pareto front."""
    families = list(dict.fromkeys(one.family for found in panels.values() for one in found))
    look = dict(zip(families, looks(), strict=False))
    marks = dict(zip(families, "osD^vP*Xph<>", strict=False))
    with style():
        figure = Figure(figsize=(COLUMN, 0.3 + 2.0 * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axis, (model, found) in zip(axes, panels.items(), strict=True):
            best = sorted((one for one in found if one.best), key=lambda one: one.bytes)
            axis.plot([one.bytes for one in best], [100 * one.score for one in best], color="0.6", linewidth=0.8)
            for family in families:
                mine = [one for one in found if one.family == family]
                axis.plot(
                    [one.bytes for one in mine],
                    [100 * one.score for one in mine],
                    color=look[family]["color"],
                    linestyle="none",
                    marker=marks.get(family, "."),
                    markersize=3.5,
                    label=family,
                )
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter("{x:.0f}")
            axis.set_title(plain(model))
            axis.set_ylabel(f"{measure} (×100)")
        axes[-1].set_xlabel("bytes per vector")
        return save(figure, path, axes[0])
