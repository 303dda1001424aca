"""Figures of the width of a paper's column, as PDF and PNG; the same numbers always give the same bytes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ragcun.analysis.geometry import Geometry
from ragcun.analysis.isotropy import Floats
from ragcun.analysis.reports import GAUSSIAN
from ragcun.analysis.style import COLOURS, COLUMN, GAUSSIAN_LABEL, GAUSSIAN_LOOK, looks, plain, save, style
from ragcun.analysis.wording import label_in_symbols, mathematics
from ragcun.errors import UserError
from ragcun.losses.terms import TERMS

_LOSSES = ("loss", "contrastive", *(term.name for term in TERMS), "dev_contrastive")
_WEIGHTS = {term.name: term.symbol for term in TERMS}
_SCORE = "dev_ndcg@10"
_FOLLOWED = {
    _SCORE: "nDCG@10 (×100), dev",
    "dev_effective_rank": "effective rank, dev",
    "dev_sigreg": "SIGReg, dev",
    "temperature": "temperature",
    "gradient_norm": "norm of the gradient",
}


def isotropy_figures(geometries: Sequence[Geometry], references: Sequence[Geometry], output: Path) -> list[Path]:
    """Draw the spectrum, norms, distances, cosines and principal plane of all geometries; return the files' paths.

    `references` are samples of N(0, I), one for each geometry, with the same shape.
    """
    drawings = (spectrum, norms, distances, cosines, plane)
    return [path for draw in drawings for path in draw(geometries, references, output / draw.__name__)]


def spectrum(geometries: Sequence[Geometry], references: Sequence[Geometry], path: Path) -> list[Path]:
    """Draw each covariance's eigenvalues divided by their mean, on a log scale, with those of the N(0, I) sample."""
    with style():
        figure = Figure(figsize=(COLUMN, 1.7), layout="constrained")
        axes = figure.subplots()
        for (geometry, reference), look in zip(_with_gaussians(geometries, references), looks(), strict=False):
            for shown, options in ((geometry, look), (reference, GAUSSIAN_LOOK)):
                if shown is not None and shown.eigenvalues_D[0] > 0:
                    values_D = shown.eigenvalues_D[shown.eigenvalues_D > 0]
                    ranks_D = np.arange(1, len(values_D) + 1)
                    axes.plot(ranks_D, values_D / shown.eigenvalues_D.mean(), label=_label(shown), **options)
        axes.set(yscale="log", xlabel="principal component", ylabel="eigenvalue / mean")
        axes.margins(x=0.01)
        return save(figure, path, axes)


def norms(geometries: Sequence[Geometry], _: Sequence[Geometry], path: Path) -> list[Path]:
    """Draw the density of norms divided by the square root of D, with the chi(D) density of N(0, I).

    Each density is divided by its maximum, so that narrow and wide densities have the same height.
    """
    with style():
        figure = Figure(figsize=(COLUMN, 1.7), layout="constrained")
        axes = figure.subplots()
        for geometry, look in zip(geometries, looks(), strict=False):
            scaled_N = geometry.norms_N / math.sqrt(geometry.dimension)
            mean, spread = float(scaled_N.mean()), float(scaled_N.std())
            if spread < 1e-3 * mean or spread == 0:
                axes.axvline(mean, label=f"{_label(geometry)} (all equal)", **look)
            else:
                low, high = np.quantile(scaled_N, (0.001, 0.999)).tolist()  # outliers must not flatten the rest
                heights, edges = np.histogram(scaled_N, np.linspace(low, high, 61))
                middles = (edges[:-1] + edges[1:]) / 2
                axes.plot(middles, heights / heights.max(), drawstyle="steps-mid", label=_label(geometry), **look)
        for dimension in sorted({geometry.dimension for geometry in geometries}):
            x_X, density_X = _chi_density(dimension)
            axes.plot(x_X, density_X / density_X.max(), label=GAUSSIAN_LABEL, **GAUSSIAN_LOOK)
        axes.set(xlabel=r"norm / $\sqrt{d}$", ylabel="density / highest", ylim=(0, 1.05))
        axes.set_xlim(left=0)
        return save(figure, path, axes)


def distances(geometries: Sequence[Geometry], references: Sequence[Geometry], path: Path) -> list[Path]:
    """Draw for each model the distances to the nearest and to a random row, divided by the mean of the latter."""
    with style():
        shown = [*geometries, references[-1]]
        figure = Figure(figsize=(COLUMN, 0.3 + 0.8 * len(shown)), layout="constrained")
        panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axes, geometry in zip(panels, shown, strict=True):
            unit = geometry.measures["pair_mean"] or 1.0
            for values, name, colour in (
                (geometry.nearest_N, "nearest neighbour", COLOURS[0]),
                (geometry.pair_distances_P, "random pair", COLOURS[1]),
            ):
                bins = np.linspace(0, max(1.5, float(np.quantile(values, 0.999)) / unit), 90)
                axes.hist(
                    values / unit, bins, density=True, histtype="stepfilled", color=colour, alpha=0.55, label=name
                )
            axes.set_title(_label(geometry), loc="left", pad=2)
            axes.set(ylim=(0, None))
            axes.locator_params(axis="y", nbins=3)
        figure.supylabel("density", fontsize=8)
        panels[-1].set(xlabel="Euclidean distance / mean distance of two rows", xlim=(0, None))
        return save(figure, path, panels[0])


def cosines(geometries: Sequence[Geometry], references: Sequence[Geometry], path: Path) -> list[Path]:
    """Draw the density of the cosine of random pairs, with that of N(0, I)."""
    with style():
        figure = Figure(figsize=(COLUMN, 1.7), layout="constrained")
        axes = figure.subplots()
        drawn = list(_with_gaussians(geometries, references))
        every = np.concatenate([shown.pair_cosines_P for pair in drawn for shown in pair if shown])
        bins = np.linspace(every.min(), every.max() + 1e-9, 101)
        for (geometry, reference), look in zip(drawn, looks(), strict=False):
            for shown, options in ((geometry, look), (reference, GAUSSIAN_LOOK)):
                if shown is not None:
                    _density(axes, shown.pair_cosines_P, bins, _label(shown), options)
        axes.set(xlabel="cosine of a random pair", ylabel="density", ylim=(0, None))
        axes.margins(x=0)
        return save(figure, path, axes)


def plane(geometries: Sequence[Geometry], references: Sequence[Geometry], path: Path) -> list[Path]:
    """Draw the first two principal components in units of the mean standard deviation, with N(0, I)'s 1 to 3 sigma.

    All panels have the same axes, which show 99.5 percent of the points of each; the title counts the other points.
    Colours are shares of the points, on the same scale.
    """
    with style():
        shown = [*geometries, references[-1]]
        columns = 2 if len(shown) in {2, 4} else 3
        rows = -(-len(shown) // columns)
        figure = Figure(figsize=(COLUMN, 0.5 + rows * 0.93 * COLUMN / columns), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        scaled = [g.plane_N2 / (math.sqrt(g.eigenvalues_D.mean()) or 1.0) for g in shown]
        reach = max(3.2, *(float(np.quantile(np.abs(points_N2).max(axis=1), 0.995)) for points_N2 in scaled))
        angles = np.linspace(0, 2 * math.pi, 181)
        scale = LogNorm(1e-4, 1e-1, clip=True)
        for axes, geometry, points_N2 in zip(panels.flat, shown, scaled, strict=False):
            inside_N = np.abs(points_N2).max(axis=1) <= reach
            kept_N2, outside = points_N2[inside_N], int((~inside_N).sum())
            share = np.full(len(kept_N2), 1 / len(points_N2))
            extent = (-reach, reach, -reach, reach)
            options: dict[str, Any] = {"gridsize": 30, "extent": extent, "norm": scale, "cmap": "Blues"}
            drawn = axes.hexbin(*kept_N2.T, C=share, reduce_C_function=np.sum, mincnt=1, linewidths=0, **options)
            for radius in (1, 2, 3):
                axes.plot(radius * np.cos(angles), radius * np.sin(angles), color="black", linewidth=0.5)
            label = _label(geometry)
            lines = [label] if label == GAUSSIAN_LABEL else wrap(label, 54 // columns)
            lines += [f"({outside} outside)"] if outside else []
            axes.set_title("\n".join(lines), pad=2, fontsize=7)
            axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
        for axes in panels.flat[len(shown) :]:
            axes.set_axis_off()
        figure.colorbar(drawn, ax=panels, shrink=0.7, pad=0.02, aspect=25).set_label("share of the texts", fontsize=7)
        figure.supxlabel("first component / mean deviation", fontsize=8)
        figure.supylabel("second component", fontsize=8)
        return save(figure, path)


def training_curves(history: Sequence[Mapping[str, Any]], output: Path) -> list[Path]:
    """Draw the terms of the loss and the other values of a `history.jsonl` in small panels, into `output`.

    Each panel has its own scale. Constant values are left out. Raises `UserError` if the history has neither a loss nor
    a score on dev.
    """
    curves = {name: curve for name in (*_LOSSES, *_FOLLOWED) if (curve := _curve(history, name))}
    if not curves.keys() & {*_LOSSES, _SCORE}:
        raise UserError(
            f"{output}: there are no training curves, because the history has neither a loss nor a dev score"
        )
    moving = {name: curve for name, curve in curves.items() if len({value for _, value in curve}) > 1} or curves
    with style():
        rows = -(-len(moving) // 2)
        figure = Figure(figsize=(COLUMN, 0.35 + 0.95 * rows), layout="constrained")
        panels = figure.subplots(rows, 2, sharex=True, squeeze=False)
        for axes, (name, curve) in zip(panels.flat, moving.items(), strict=False):
            steps, values = zip(*curve, strict=True)
            factor = 100 if name == _SCORE else 1
            marker = {"marker": "o", "markersize": 2} if len(curve) < 15 else {}
            axes.plot(steps, [factor * value for value in values], color="black", **marker)
            axes.set_title(_FOLLOWED.get(name) or _named(name), loc="left", pad=2, fontsize=7)
            axes.locator_params(axis="y", nbins=4)
            axes.tick_params(axis="x", labelbottom=False)
        for axes in panels.flat[len(moving) :]:
            axes.set_axis_off()
        for axes in panels.flat[max(0, len(moving) - 2) : len(moving)]:
            axes.tick_params(axis="x", labelbottom=True)
        figure.supxlabel("step", fontsize=8)
        return save(figure, output / "training")


def _named(loss: str) -> str:
    kind = loss.removeprefix("dev_").replace("_", " ")
    if loss in _WEIGHTS:
        return f"{kind}, without its ${_WEIGHTS[loss]}$"
    return f"{kind}, dev" if loss.startswith("dev_") else kind


def _density(axes: Axes, values: Floats, bins: Floats, label: str, look: Mapping[str, Any]) -> None:
    heights, edges = np.histogram(values, bins, density=True)
    axes.plot((edges[:-1] + edges[1:]) / 2, heights, drawstyle="steps-mid", label=label, **look)


def _with_gaussians(
    geometries: Sequence[Geometry], references: Sequence[Geometry]
) -> Iterator[tuple[Geometry, Geometry | None]]:
    """Yield each geometry, with the N(0, I) sample of its shape once per shape."""
    seen: set[tuple[int, int]] = set()
    for geometry, reference in zip(geometries, references, strict=True):
        shape = (geometry.rows, geometry.dimension)
        yield geometry, None if shape in seen else reference
        seen.add(shape)


def _label(geometry: Geometry) -> str:
    return GAUSSIAN_LABEL if geometry.label == GAUSSIAN else mathematics(plain(label_in_symbols(geometry.label)))


def _chi_density(dimension: int) -> tuple[Floats, Floats]:
    """Return x and the density of norm / sqrt(D) of an N(0, I) vector, within five deviations of 1."""
    spread = 5 / math.sqrt(2 * dimension)
    x_X = np.linspace(max(1 - spread, 1e-3), 1 + spread, 400)
    root = math.sqrt(dimension)
    log_constant = (1 - dimension / 2) * math.log(2) - math.lgamma(dimension / 2) + math.log(root)
    log_density_X = (dimension - 1) * np.log(root * x_X) - (root * x_X) ** 2 / 2 + log_constant
    return x_X, np.exp(log_density_X)


def _curve(history: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    return [(row["step"], row[name]) for row in history if name in row]
