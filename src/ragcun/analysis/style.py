"""The style and the files of figures: PDF and PNG of the width of a paper's column, with reproducible bytes."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ragcun.files import atomic_path
from ragcun.printable import one_line

COLUMN = 3.3  # inches, the width of a column of the usual two-column styles
# Okabe and Ito's palette, which readers with any colour vision can distinguish; black is reserved for N(0, I).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_STYLES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
GAUSSIAN_LABEL = "$\\mathcal{N}(0, I)$"
_LONGEST_LABEL = 44
GAUSSIAN_LOOK: dict[str, Any] = {"color": "black", "linestyle": (0, (3, 2)), "linewidth": 0.9, "zorder": 3}
_SETTINGS: dict[Any, Any] = {
    "font.family": ["STIXGeneral", "DejaVu Sans"],
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "legend.columnspacing": 1.2,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
}


def looks() -> Iterator[dict[str, Any]]:
    """Yield an endless sequence of distinct colours, line styles and widths.

    Widths decrease, so that a line that is covered by another one remains visible at its sides.
    """
    index = 0
    while True:
        colour, line = COLOURS[index % len(COLOURS)], _STYLES[index % len(_STYLES)]
        yield {"color": colour, "linestyle": line, "linewidth": max(0.8, 2.2 - 0.35 * index)}
        index += 1


def markers() -> Iterator[str]:
    """Yield an endless sequence of distinguishable markers."""
    return cycle("os^Dv<>pX")


def plain(text: str) -> str:
    """Return a label on one line, shortened in its middle, with no `$` that starts mathematics and no leading `_`.

    Matplotlib hides what is labelled with a leading `_`.
    """
    text = one_line(text)
    if len(text) > _LONGEST_LABEL:
        text = f"{text[: _LONGEST_LABEL // 2 - 1]}…{text[1 - _LONGEST_LABEL // 2 :]}"
    return re.sub("^_", " _", text.replace("$", r"\$"))


@contextmanager
def style() -> Iterator[None]:
    """Use the figures' fonts, sizes and lines, independent of the user's matplotlib settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def save(figure: Figure, path: Path, legend_of: Axes | None = None) -> list[Path]:
    """Write `path`.pdf and `path`.png, completely or not at all, without dates; a legend adds to the height."""
    if legend_of is not None:
        _add_legend(figure, legend_of)
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, for both files
    written = []
    for suffix, metadata in ((".pdf", {"CreationDate": None}), (".png", {"Software": None})):
        final = path.with_name(path.name + suffix)
        drawn = io.BytesIO()  # written afterwards: on a full disk, matplotlib's PDF raises an error of its own
        figure.savefig(drawn, format=suffix[1:], metadata=metadata)
        with atomic_path(final) as temporary:
            temporary.write_bytes(drawn.getvalue())
        written.append(final)
    return written


def _add_legend(figure: Figure, axes: Axes) -> None:
    """Put the distinct labels above the axes, N(0, I) last, in as many columns as fit."""
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    labels = sorted(handles, key=GAUSSIAN_LABEL.__eq__)
    longest = max(len(label) for label in [*labels, ""] if label != GAUSSIAN_LABEL)
    columns = max(1, min(len(labels), 66 // (longest + 8)))
    figure.set_figheight(figure.get_figheight() + 0.15 * -(-len(labels) // columns))
    figure.legend([handles[label] for label in labels], labels, loc="outside upper left", ncols=columns)
