"""Figures of trade-offs: in-domain gain against out-of-domain loss, isotropy against retrieval, and its price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ragcun.analysis.style import COLOURS, COLUMN, looks, plain, save, style
from ragcun.analysis.tradeoff import AFTER_THE_FACT, UNTREATED
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


_MARKERS = "osD^vP*X"


def price_curve(found: Mapping[str, Any], path: Path) -> list[Path]:
    """Draw a tradeoff.json: nDCG@10 over isotropy, a panel for each domain, a line for each dimension and route.

    A marker is filled where no head of its dimension has more of both. Bars are the 95 percent interval, over queries
    and seeds, of the difference from the reference of the dimension, which has none. Trained routes start at the head
    without a treatment. The dotted line is the least isotropy of a head that counts as isotropic.
    """
    heads = found["heads"]
    domains = [domain for domain in heads[0]["scores"] if any(head["scores"][domain] is not None for head in heads)]
    dimensions, routes = (list(dict.fromkeys(head[key] for head in heads)) for key in ("dimension", "route"))
    colours = dict(zip(dimensions, cycle(COLOURS), strict=False))
    markers = dict(zip(routes, cycle(_MARKERS), strict=False))
    with style():
        figure = Figure(figsize=(2 * COLUMN, 2.4), layout="constrained")
        panels = figure.subplots(1, len(domains), squeeze=False)[0]
        for axes, domain in zip(panels, domains, strict=True):
            for dimension in dimensions:
                for route in routes:
                    shown = _line(heads, dimension, route, domain)
                    if shown:
                        look = {"color": colours[dimension], "marker": markers[route]}
                        _draw_line(axes, shown, domain, f"d = {dimension}, {route}", look)
            axes.axvline(found["isotropic"], color="black", linestyle=":", linewidth=0.8)
            axes.set(xlabel="participation ratio over $\\mathcal{N}(0, I)$'s", title=domain)
        panels[0].set(ylabel=f"{found['metric']} (×100)")
        return save(figure, path, panels[0])


def _line(heads: Sequence[Mapping[str, Any]], dimension: int, route: str, domain: str) -> list[Mapping[str, Any]]:
    """The heads of a line, by isotropy; the trained routes have the head without a treatment as well."""
    of = [head for head in heads if head["dimension"] == dimension and head["scores"][domain] is not None]
    mine = [head for head in of if head["route"] == route]
    if mine and route not in (UNTREATED, AFTER_THE_FACT):
        mine += [head for head in of if head["route"] == UNTREATED][:1]
    return sorted(mine, key=lambda head: float(head["participation_ratio"]))


def _draw_line(
    axes: Axes, shown: Sequence[Mapping[str, Any]], domain: str, label: str, look: Mapping[str, Any]
) -> None:
    x = [head["participation_ratio"] for head in shown]
    y = [100 * head["scores"][domain] for head in shown]
    ends = [_ends(head, domain) for head in shown]
    axes.errorbar(x, y, yerr=list(zip(*ends, strict=True)), linewidth=0.8, elinewidth=0.5, markersize=0, **look)
    axes.plot([], [], label=label, markersize=3, markerfacecolor="white", **look)
    for head, at_x, at_y in zip(shown, x, y, strict=True):
        fill = look["color"] if domain in head["frontier"] else "white"
        axes.plot([at_x], [at_y], markersize=3.5, markerfacecolor=fill, markeredgewidth=0.7, zorder=4, **look)


def _ends(head: Mapping[str, Any], domain: str) -> tuple[float, float]:
    """How far the interval reaches below and above, in points."""
    one = head["against_reference"][domain]
    if one is None or head["reference"]:
        return 0.0, 0.0
    low, high = one["interval"]
    return 100 * (one["difference"] - low), 100 * (high - one["difference"])
