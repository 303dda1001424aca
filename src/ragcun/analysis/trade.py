"""Figures of trade-offs: in-domain gain against out-of-domain loss, and isotropy against retrieval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from ragcun.analysis.style import COLUMN, looks, plain, save, style
from ragcun.files import read_json


def interpolation_curve(source: Path, output: Path) -> list[Path]:
    """Draw nDCG@10 on held-out queries over the interpolation, as difference from the initial weights, from an
    `interpolation.json`."""
    found = read_json(source)
    curve = found["curve"]
    alphas = [row["alpha"] for row in curve]
    lines = {"in-domain": [row["in_domain"] for row in curve]}
    lines |= {
        f"{name} (out-of-domain)": [row["out_of_domain"][name] for row in curve] for name in curve[0]["out_of_domain"]
    }
    with style():
        figure = Figure(figsize=(COLUMN, 1.8), layout="constrained")
        axes = figure.subplots()
        axes.axhline(0, color="0.7", linewidth=0.6)
        for (name, scores), look in zip(lines.items(), looks(), strict=False):
            axes.plot(alphas, [100 * (score - scores[0]) for score in scores], label=plain(name), **look)
        axes.axvline(found["chosen"], color="black", linestyle=":", linewidth=0.8)
        axes.set(xlabel="interpolation, from the initial (0) to the best weights (1)", ylabel="nDCG@10, difference")
        return save(figure, output / "interpolation", axes)


@dataclass(frozen=True)
class Point:
    """One setting: mean and deviation over seeds of an isotropy measure and of nDCG@10 (0 to 1)."""

    label: str
    isotropy: tuple[float, float]
    score: tuple[float, float]


_AROUND = ((3, 3), (3, -8), (-8, 3), (-8, -8))  # where labels stand, in points, so that neighbours' do not meet


def isotropy_against_score(
    groups: Mapping[str, Sequence[Point]], base: Point, measure: str, score: str, path: Path
) -> list[Path]:
    """Draw nDCG@10 over isotropy: a panel for each group of settings, bars of one deviation.

    The base is a star in the panel whose points are nearest to it.
    """
    at = (base.isotropy[0], 100 * base.score[0])
    nearest = min(groups, key=lambda name: min(abs(point.score[0] - base.score[0]) for point in groups[name]))
    with style():
        rows = -(-len(groups) // 2)
        figure = Figure(figsize=(COLUMN, 0.3 + 1.7 * rows), layout="constrained")
        panels = figure.subplots(rows, min(2, len(groups)), squeeze=False).flat
        for (name, points), axes, look in zip(groups.items(), panels, looks(), strict=False):
            ordered = sorted(points, key=lambda point: point.isotropy[0])
            axes.errorbar(
                [point.isotropy[0] for point in ordered],
                [100 * point.score[0] for point in ordered],
                xerr=[point.isotropy[1] for point in ordered],
                yerr=[100 * point.score[1] for point in ordered],
                marker="o",
                markersize=2.5,
                elinewidth=0.6,
                **look,
            )
            for place, point in enumerate(ordered):
                where = (point.isotropy[0], 100 * point.score[0])
                offset = _AROUND[place % len(_AROUND)]
                axes.annotate(point.label, where, offset, textcoords="offset points", fontsize=6)
            if name == nearest:
                axes.plot(*at, marker="*", color="black", linestyle="none")
                axes.annotate(plain(base.label), at, (4, -2), textcoords="offset points", fontsize=6)
            axes.margins(0.15)
            axes.locator_params(axis="x", nbins=4)
            axes.set_title(plain(name), fontsize=7)
        for axes in panels:
            axes.set_axis_off()
        figure.supxlabel(measure, fontsize=8)
        figure.supylabel(score, fontsize=8)
        return save(figure, path)
