"""Figures of trades: what is gained at home and lost abroad, and isotropy against retrieval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from ragcun.analysis.style import COLUMN, looks, plain, save, style
from ragcun.files import read_json


def share_curve(source: Path, output: Path) -> list[Path]:
    """Draw nDCG@10 on held-out queries over the share, as difference from share 0, from a `share.json`."""
    found = read_json(source)
    curve = found["curve"]
    shares = [row["share"] for row in curve]
    lines = {"home": [row["home"] for row in curve]}
    lines |= {f"{name} (abroad)": [row["abroad"][name] for row in curve] for name in curve[0]["abroad"]}
    with style():
        figure = Figure(figsize=(COLUMN, 1.8), layout="constrained")
        axes = figure.subplots()
        axes.axhline(0, color="0.7", linewidth=0.6)
        for (name, scores), look in zip(lines.items(), looks(), strict=False):
            axes.plot(shares, [100 * (score - scores[0]) for score in scores], label=plain(name), **look)
        axes.axvline(found["chosen"], color="black", linestyle=":", linewidth=0.8)
        axes.set(xlabel="share of the way from start to end", ylabel="nDCG@10, difference")
        return save(figure, output / "share", axes)


@dataclass(frozen=True)
class Point:
    """One setting: mean and deviation over seeds of an isotropy measure and of nDCG@10 (0 to 1)."""

    label: str
    isotropy: tuple[float, float]
    score: tuple[float, float]


def isotropy_against_score(
    groups: Mapping[str, Sequence[Point]], base: Point, measure: str, score: str, path: Path
) -> list[Path]:
    """Draw nDCG@10 over isotropy: a line for each group of settings, bars of one deviation, the base as a star."""
    with style():
        figure = Figure(figsize=(COLUMN, 2.2), layout="constrained")
        axes = figure.subplots()
        for (name, points), look in zip(groups.items(), looks(), strict=False):
            ordered = sorted(points, key=lambda point: point.isotropy[0])
            axes.errorbar(
                [point.isotropy[0] for point in ordered],
                [100 * point.score[0] for point in ordered],
                xerr=[point.isotropy[1] for point in ordered],
                yerr=[100 * point.score[1] for point in ordered],
                label=plain(name),
                marker="o",
                markersize=2.5,
                elinewidth=0.6,
                **look,
            )
            for point in ordered:
                at = (point.isotropy[0], 100 * point.score[0])
                axes.annotate(point.label, at, (3, 3), textcoords="offset points", fontsize=5)
        at = (base.isotropy[0], 100 * base.score[0])
        axes.plot(*at, marker="*", color="black", linestyle="none", label=plain(base.label))
        axes.set(xlabel=measure, ylabel=score)
        return save(figure, path, axes)
