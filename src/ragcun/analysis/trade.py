"""Figures of trade-offs: in-domain gain and out-of-domain loss, isotropy and retrieval quality."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ragcun.analysis.style import (
    COLOURS,
    COLUMN,
    GAUSSIAN_LABEL,
    GAUSSIAN_LOOK,
    looks,
    markers,
    plain,
    save,
    style,
)
from ragcun.analysis.tradeoff import AFTER_THE_FACT, UNTREATED
from ragcun.analysis.wording import mathematics, setting_name, symbol
from ragcun.intact import or_else, read_record


def interpolation_curve(source: Path, output: Path) -> list[Path]:
    """Draw nDCG@10 on held-out queries over the interpolation, as difference from the initial weights, from an
    `interpolation.json`. Raises a `RagcunError` where that is damaged."""
    with or_else("delete it to continue without the figure of the interpolation"):
        found = read_record(source)
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
        axes.set(
            xlabel="interpolation, from the initial (0) to the best weights (1)", ylabel="nDCG@10 (×100), difference"
        )
        return save(figure, output / "interpolation", axes)


@dataclass(frozen=True)
class Point:
    """One setting: the mean and standard deviation over seeds of an isotropy measure and of nDCG@10 (0 to 1)."""

    label: str
    isotropy: tuple[float, float]
    score: tuple[float, float]


_MEASURE = "participation_ratio"


def draw_trade(found: Mapping[str, Any], dataset: str | None, score: str, path: Path) -> list[Path]:
    """Draw the scores of an ablation.json on `dataset` (None: dev) by participation ratio."""
    groups, base, gaussian = ablation_points(found, dataset)
    return isotropy_against_score(groups, base, "participation ratio / d", score, path, gaussian)


def ablation_points(
    found: Mapping[str, Any], dataset: str | None = None
) -> tuple[dict[str, list[Point]], Point, float | None]:
    """Return an ablation's points (by all settings except the grid's first), the base's, and N(0, I)'s isotropy.

    Scores are those on `dataset`, or on dev for None.
    """

    def point(label: str, row: Mapping[str, Any]) -> Point:
        score = row["dev"] if dataset is None else row["scores"][dataset]
        (x, x_deviation), (y, y_deviation) = row["isotropy"][_MEASURE], score
        return Point(label, (x, x_deviation or 0.0), (y, y_deviation or 0.0))

    groups: dict[str, list[Point]] = {}
    for row in found["rows"]:
        (first, value), *rest = row["values"].items()
        groups.setdefault(setting_name(dict(rest)), []).append(point(f"{symbol(first)} = {value}", row))
    gaussians = [one.get(_MEASURE) for one in found["gaussian"].values()]
    return groups, point("base", found["base"]), gaussians[0] if gaussians else None


def isotropy_against_score(
    groups: Mapping[str, Sequence[Point]],
    base: Point,
    measure: str,
    score: str,
    path: Path,
    gaussian: float | None = None,
) -> list[Path]:
    """Draw nDCG@10 (×100) by isotropy, with a line for each group of settings and a marker for each label.

    Bars are one standard deviation over seeds. The base is a star. `gaussian`, the isotropy of N(0, I), is a vertical
    line, or an arrow if it is far away.
    """
    labels = dict.fromkeys(point.label for points in groups.values() for point in points)
    marker_of = dict(zip(labels, markers(), strict=False))
    with style():
        figure = Figure(figsize=(COLUMN, 2.0), layout="constrained")
        axes = figure.subplots()
        places = [point.isotropy[0] for points in [*groups.values(), [base]] for point in points]
        far = gaussian is not None and gaussian > max(places) + max(places) - min(places)
        if gaussian is not None and far:  # a line would compress all points
            at_edge: dict[str, Any] = {"xycoords": "axes fraction", "ha": "right", "fontsize": 6.5}
            axes.annotate(f"{GAUSSIAN_LABEL} at {gaussian:.2f} $\\rightarrow$", (1, 0.02), **at_edge)
        elif gaussian is not None:
            axes.axvline(gaussian, label=GAUSSIAN_LABEL, **GAUSSIAN_LOOK)
        for (name, points), look in zip(groups.items(), looks(), strict=False):
            ordered = sorted(points, key=lambda point: point.isotropy[0])
            thin = look | {"linewidth": 0.9}
            axes.plot(*_places(ordered), label=mathematics(plain(name)) if name else None, **thin)
            for point in ordered:
                (x, x_deviation), (y, y_deviation) = point.isotropy, point.score
                axes.errorbar(
                    [x],
                    [100 * y],
                    xerr=[x_deviation],
                    yerr=[100 * y_deviation],
                    color=look["color"],
                    marker=marker_of[point.label],
                    markersize=4,
                    markerfacecolor="white",
                    elinewidth=0.6,
                )
        for label, marker in marker_of.items():
            shown: dict[str, Any] = {"markerfacecolor": "white", "color": "black", "linestyle": "none", "markersize": 4}
            axes.plot([], [], marker=marker, label=mathematics(plain(label)), **shown)
        at = (base.isotropy[0], 100 * base.score[0])
        axes.plot(*at, marker="*", markersize=7, color="black", linestyle="none", label=plain(base.label))
        axes.margins(0.1)
        axes.set(xlabel=measure, ylabel=score)
        return save(figure, path, axes)


def _places(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.isotropy[0] for point in points], [100 * point.score[0] for point in points]


def price_curve(found: Mapping[str, Any], path: Path) -> list[Path]:
    """Draw a tradeoff.json: nDCG@10 by isotropy, with a panel for each domain, and lines for dimensions and treatments.

    Filled markers are on the Pareto frontier of their dimension. Bars are the 95 percent interval, over queries and
    seeds, of the difference from the reference of the dimension, which has none. Lines of trained treatments begin at
    the head without treatment. The dotted line is the minimum isotropy of an isotropic head.
    """
    heads = found["heads"]
    domains = [domain for domain in heads[0]["scores"] if any(head["scores"][domain] is not None for head in heads)]
    dimensions, routes = (list(dict.fromkeys(head[key] for head in heads)) for key in ("dimension", "route"))
    colours = dict(zip(dimensions, cycle(COLOURS), strict=False))
    marker_of = dict(zip(routes, markers(), strict=False))
    with style():
        figure = Figure(figsize=(2 * COLUMN, 2.4), layout="constrained")
        panels = figure.subplots(1, len(domains), squeeze=False)[0]
        for axes, domain in zip(panels, domains, strict=True):
            for dimension in dimensions:
                for route in routes:
                    shown = _line(heads, dimension, route, domain)
                    if shown:
                        look = {"color": colours[dimension], "marker": marker_of[route]}
                        _draw_line(axes, shown, domain, f"d = {dimension}, {route}", look)
            axes.axvline(found["isotropic"], color="black", linestyle=":", linewidth=0.8)
            axes.set(xlabel="participation ratio over $\\mathcal{N}(0, I)$'s", title=domain)
        panels[0].set(ylabel=f"{found['metric']} (×100)")
        return save(figure, path, panels[0])


def _line(heads: Sequence[Mapping[str, Any]], dimension: int, route: str, domain: str) -> list[Mapping[str, Any]]:
    """Return the heads of a line by isotropy; lines of trained treatments include the head without treatment."""
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
    """Return the distances from the score to the ends of its interval, in points."""
    one = head["against_reference"][domain]
    if one is None or head["reference"]:
        return 0.0, 0.0
    low, high = one["interval"]
    return 100 * (one["difference"] - low), 100 * (high - one["difference"])
