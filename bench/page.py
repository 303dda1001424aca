"""docs/benchmarks.md and its figure, from measurements that are kept one by one.

    python bench/page.py                    measure everything, then write the page
    python bench/page.py step bm25          measure these again, then write the page from all that is kept
    python bench/page.py --render           only write the page
    python bench/page.py step -- --runs 5   arguments for the one benchmark that is named
    python bench/page.py encoding:mpnet -- --model mpnet    kept beside `encoding`, not in its place

What a benchmark printed is kept in bench/results/NAME.json, or NAME-VARIANT.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ragcun.analysis.style import COLOURS, save, style
from ragcun.files import write_text
from ragcun.report.markdown import render
from ragcun.table import Cell, Column, Table, cells, decimals, significant

HERE = Path(__file__).parent
RESULTS = HERE / "results"
BUSY = 0.1  # share of the cores that others use, from which on it is told
GROWTH = RESULTS / "growth.json"
PAGE = HERE.parent / "docs" / "benchmarks.md"
# Each benchmark with its script and arguments, in the order of the page.
BENCHMARKS: dict[str, list[str]] = {
    "encoding": ["encoding.py"],
    "training": ["training.py"],
    "step": ["step.py"],
    "evaluation": ["evaluation.py"],
    "sigreg": ["sigreg.py"],
    "bm25": ["bm25.py"],
    "search": ["search.py"],
    "finetuning": ["finetuning.py"],
    "opening": ["opening.py", "--folder", "bench/scratch"],
    "start": ["start.py"],
}
UNITS = {"fp32": "GFLOP in fp32", "bf16": "GFLOP in bf16", "copy": "GB"}
INTRODUCTION = """# Benchmarks

This page compares the speed of ragcun with that of the tool that one would use instead, on the same work and the same
machine. Both run in turn, and the times are medians. The ratio is the median over these turns of the other tool's time
divided by ragcun's, so a ratio above 1 means that ragcun is faster. Ratios that reach their target are bold. The floor
is the time that the work would take at the ceiling of this machine, which is the best measured rate of a large matrix
product in the same precision, or of a large copy. Memory is the peak of the process, unless the notes state otherwise.

```bash
nox -s bench            # run everything, which takes about an hour
nox -s bench -- step    # run one benchmark again
```

No test depends on a time. The [log](log.md) describes what was tried where a target was not reached.

"""


GROWTH_TEXT = """## How cost grows

Seconds of one core and memory against size, on logarithmic axes. A slope of 1 means that the cost is proportional, one
of -1 that processes divide it evenly. Memory is what the work adds to the process; of several processes, all of the
largest.

```bash
python bench/growth.py
```

`ragcun plan --documents 1e9` extrapolates from these slopes ([Plan](plan.md)).
"""


def measure(name: str, arguments: list[str]) -> None:
    """Run a benchmark and keep what it prints."""
    script, *given = BENCHMARKS[name.partition(":")[0]]
    command = [sys.executable, str(HERE / script), *given, *arguments]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    json.loads(printed)
    write_text(RESULTS / f"{name.replace(':', '-')}.json", printed)


def kept() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """All rows that are kept, each with what its benchmark says of itself, in the order of the page."""
    order = list(BENCHMARKS)
    paths = [path for path in RESULTS.glob("*.json") if path != GROWTH]
    paths.sort(key=lambda path: (order.index(path.stem.partition("-")[0]), path.stem))
    files = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return [(row, told) for told in files for row in told["rows"]]


def ratios(row: dict[str, Any]) -> list[float]:
    """The peer's seconds over ragcun's of the same turn."""
    return [b / a for a, b in zip(row["seconds"], row["peer_seconds"], strict=True)]


def ratio(row: dict[str, Any]) -> float:
    """Their median."""
    return statistics.median(ratios(row))


def _circumstances(told: dict[str, Any]) -> list[str]:
    if told.get("clock") == "processor":
        return ["Seconds of the processor, one thread, beside other work."]
    return ["Measured beside other work."] if told.get("busy", 0) > BUSY else []


def _pairs(row: dict[str, Any]) -> str:
    found = ratios(row)
    return "1 pair." if len(found) == 1 else f"{len(found)} pairs, ratios {min(found):.3g} to {max(found):.3g}."


def ceilings(told: Iterable[dict[str, Any]]) -> dict[str, float]:
    """The highest rate of each kind of work that any benchmark has measured: other work can only lower it."""
    best: dict[str, float] = {}
    for one in told:
        for kind, rate in one["ceilings"].items():
            best[kind] = max(rate, best.get(kind, 0.0))
    return best


def tables(rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> tuple[Table, Table]:
    """The figures, and what they are of."""
    figures, details = [], []
    for number, (row, told) in enumerate(rows, 1):
        seconds, peer = statistics.median(row["seconds"]), statistics.median(row["peer_seconds"])
        amount, kind = row["least"] or (None, "")
        best = ceilings(other for _, other in rows if other.get("clock", "wall") == told.get("clock", "wall"))
        floor = None if amount is None else amount / best[kind]
        if floor is not None and floor > seconds:  # the ceiling was measured too low, beside other work
            floor = None
        found = ratio(row)
        figures.append(
            [
                *cells(str(number), row["layer"], seconds, peer),
                Cell(found, bold=found >= row["wanted"]),
                *cells(row["wanted"], floor, None if floor is None else floor / seconds),
                *cells(row["mebibytes"], row["peer_mebibytes"]),
            ]
        )
        notes = [*row["notes"], *_circumstances(told)]
        floor_of = [] if amount is None else [f"Floor: {row['least_of']}, {amount / 1e9:.3g} {UNITS[kind]}."]
        details.append(
            cells(
                str(number),
                row["work"],
                row["peer"],
                " ".join([_pairs(row), *notes, *floor_of]),
                f"{told['command']} ({told['date']})",
            )
        )
    mib = Column("MiB", decimals(0)), Column("peer's MiB", decimals(0))
    columns = [
        Column("row"),
        Column("what"),
        Column("ragcun, s", significant),
        Column("peer, s", significant),
        Column("ratio", significant),
        Column("target", significant),
        Column("floor, s", significant),
        Column("share of the ceiling", decimals(2)),
        *mib,
    ]
    named = [Column(name) for name in ("row", "work", "peer", "notes", "command")]
    return Table("", columns, [figures], label="benchmarks"), Table("", named, [details], label="settings")


def draw(rows: list[tuple[dict[str, Any], dict[str, Any]]], path: Path) -> None:
    """Draw each row's ratio and its target, as PNG."""
    names = [f"{number}  {row['layer']}" for number, (row, _) in enumerate(rows, 1)]
    with style(), tempfile.TemporaryDirectory() as folder:
        figure = Figure(figsize=(6.5, 0.7 + 0.2 * len(rows)), layout="constrained")
        axes = figure.subplots()
        places = range(len(rows))
        axes.axvline(1, color="black", linewidth=0.6)
        axes.hlines(places, 1, [ratio(row) for row, _ in rows], color=COLOURS[0], linewidth=1.2)
        axes.plot([ratio(row) for row, _ in rows], places, "o", color=COLOURS[0], markersize=4, label="ragcun")
        axes.plot([row["wanted"] for row, _ in rows], places, "|", color=COLOURS[1], markersize=9, label="target")
        axes.set(xscale="log", xlabel="times as fast as the peer", yticks=places, yticklabels=names)
        axes.invert_yaxis()
        png = save(figure, Path(folder) / "benchmarks", axes)[1]
        path.write_bytes(png.read_bytes())


def of_ceilings(rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """The ceilings in words."""
    units = {"fp32": "GFLOP/s in fp32", "bf16": "GFLOP/s in bf16", "copy": "GB/s read and written by a copy"}
    best = ceilings(told for _, told in rows if told.get("clock", "wall") == "wall")
    return ", ".join(f"{rate / 1e9:.0f} {units[kind]}" for kind, rate in sorted(best.items()))


def growth_table(growths: dict[str, Any]) -> Table:
    """The slopes, and the cost at the largest size."""
    rows = [
        cells(
            one["what"],
            one["size"],
            " to ".join(f"{point[0]:,}" for point in (one["points"][0], one["points"][-1])),
            one["slopes"]["seconds"],
            one["points"][-1][1],
            one["slopes"]["mebibytes"],
            one["points"][-1][2],
        )
        for one in growths.values()
    ]
    columns = [
        *map(Column, ("cost of", "against", "from")),
        Column("slope of time", decimals(2)),
        Column("s at the largest", significant),
        Column("slope of memory", decimals(2)),
        Column("MiB at the largest", decimals(0)),
    ]
    return Table("", columns, [rows], label="growth")


def draw_growth(growths: dict[str, Any], path: Path) -> None:
    """Draw time against size, a panel for each kind of size, with the slopes."""
    kinds = list(dict.fromkeys(one["size"] for one in growths.values()))
    with style(), tempfile.TemporaryDirectory() as folder:
        figure = Figure(figsize=(6.5, 2.2 * -(-len(kinds) // 2)), layout="constrained")
        panels = figure.subplots(-(-len(kinds) // 2), 2, squeeze=False).flat
        for kind, axes in zip(kinds, panels, strict=False):
            shown = [one for one in growths.values() if one["size"] == kind]
            for one, colour in zip(shown, COLOURS, strict=False):
                sizes, seconds, _ = zip(*one["points"], strict=True)
                label = f"{one['what']}: {one['slopes']['seconds']:.2f}"
                axes.plot(sizes, seconds, "o-", color=colour, markersize=3, label=label)
            axes.set(xscale="log", yscale="log", xlabel=kind, ylabel="seconds")
            axes.legend(loc="best", fontsize=5.5)
        for axes in list(panels):
            axes.set_axis_off()
        path.write_bytes(save(figure, Path(folder) / "growth")[1].read_bytes())


def of_growth(growths: dict[str, Any]) -> list[str]:
    """The section on how cost grows."""
    draw_growth(growths, PAGE.with_name("growth.png"))
    return [GROWTH_TEXT, "![Time against size](growth.png)\n", render(growth_table(growths))]


def write_page() -> None:
    """Write the page and its figures from what is kept."""
    rows = kept()
    growths = json.loads(GROWTH.read_text(encoding="utf-8")) if GROWTH.is_file() else {}
    figures, settings = tables(rows)
    machines = sorted({told["machine"] for _, told in rows})
    draw(rows, PAGE.with_suffix(".png"))
    write_text(
        PAGE,
        "\n".join(
            [
                f"{INTRODUCTION}Machine: {'; '.join(machines)}, no GPU. Its ceilings: {of_ceilings(rows)}.\n",
                "![Ratios of all rows](benchmarks.png)\n",
                render(figures),
                "## Settings\n",
                render(settings),
                *(of_growth(growths) if growths else []),
            ]
        ),
    )


def main() -> None:
    """Measure what is asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--render", action="store_true", help="measure nothing")
    before, separator, after = " ".join(sys.argv[1:]).partition(" -- ")
    options = parser.parse_args(before.split())
    if unknown := {name.partition(":")[0] for name in options.names} - set(BENCHMARKS):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(BENCHMARKS)}")
    if separator and len(options.names) != 1:
        parser.error("arguments after -- need one NAME")
    for name in [] if options.render else options.names or BENCHMARKS:
        print(f"measuring {name}", file=sys.stderr)
        measure(name, after.split())
    write_page()


if __name__ == "__main__":
    main()
