"""The tables of the page, to which the page's script adds sorting and explanations."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ragcun.analysis.ablation import ablation_table
from ragcun.analysis.reports import isotropy_table, paper_table, read_reports
from ragcun.evaluation.footnotes import footnotes
from ragcun.evaluation.systems import LEVEL, Method, Row, System
from ragcun.evaluation.tables import comparison_table
from ragcun.intact import read_written
from ragcun.table import Cell, Column, Note, Table, best_marked, decimals

Place = tuple[str | None, str | None, str | None, tuple[str, ...]]  # dataset, split, domain of an average, over

_SCORE = decimals(1, scale=100)


def page_tables(
    systems: Sequence[System], rows: Sequence[Row], method: Method, folders: Sequence[Path]
) -> dict[str, Table]:
    """Return the tables by section: results, comparison, and geometry and ablations found below `folders`."""
    tables = {"results": _results(systems, rows, method), "comparison": comparison_table(rows, method)}
    for folder in folders:
        name = folder.resolve().name
        for path in sorted(folder.rglob("isotropy.json")):
            reports = read_reports(path)
            key = f"isotropy-{len(tables)}"
            place = path.parent.relative_to(folder.parent).as_posix() if path.parent != folder else name
            short, full = paper_table(reports), isotropy_table(reports)
            tables[key] = replace(short, label=key, title=f"{short.title} ({place})")
            tables[f"{key}-all"] = replace(full, label=f"{key}-all", title=f"{full.title} ({place})")
        if (path := folder / "ablation.json").is_file():
            key = f"ablation-{len(tables)}"
            found = ablation_table(read_written(path, "rows"))
            tables[key] = replace(found, label=key, title=f"{found.title} ({name})")
    return tables


def places(rows: Sequence[Row]) -> list[Place]:
    """Return the columns of the results: datasets, then averages."""
    return list(dict.fromkeys(place_of(row) for row in rows))


def place_of(row: Row) -> Place:
    """Return the column of a row's score."""
    if row.dataset is not None:
        return (row.dataset, row.split, None, ())
    return (None, None, row.domain, row.over)


def _results(systems: Sequence[System], rows: Sequence[Row], method: Method) -> Table:
    found = {(row.label, place_of(row)): row for row in reversed(rows)}  # against the first baseline
    baseline = rows[0].baseline
    splits = {row.split for row in rows if row.split}
    columns, cells = [], []
    for place in places(rows):
        columns.append(Column(_heading(place, len(splits) > 1, rows), _SCORE))
        of = [found.get((system.label, place)) for system in systems]
        cells.append(best_marked(columns[-1], [_score(row) for row in of]))
    labels = [Cell(system.label) for system in systems]
    return Table(
        f"{method.measure} (×100){'' if len(splits) > 1 else f' on the {splits.pop()} split'}. Best value of each "
        "column in bold, second best underlined.",
        [Column("System"), *columns],
        [[list(row) for row in zip(labels, *cells, strict=True)]],
        [
            Note(
                f"+ and − mark scores that differ from {baseline} (p < {LEVEL}, corrected over all datasets). ± is the "
                "standard deviation over seeds."
            ),
            *_settings(systems),
        ],
        "results-table",
    )


def _heading(place: Place, several_splits: bool, rows: Sequence[Row]) -> str:
    dataset, split, domain, over = place
    if dataset is not None:
        return f"{dataset} ({split})" if several_splits else dataset
    whole = len(over) == len({row.dataset for row in rows if row.dataset})
    return "Average" + ("" if whole else f" of {len(over)}") + (f", {domain}" if domain else "")


def _score(row: Row | None) -> Cell:
    if row is None:
        return Cell(None)
    mark = ""
    if row.against is not None and row.adjusted is not None:
        across = row.adjusted.p_across_seeds
        if (row.adjusted.p_value if across is None else across) < LEVEL:
            mark = "+" if row.against.difference > 0 else "−"
    return Cell(row.score, row.deviation, mark=mark)


def _settings(systems: Sequence[System]) -> list[Note]:
    described = (
        (system.label, result.settings) for system in systems for seeds in system.results.values() for result in seeds
    )
    return [Note(f"{'; '.join(labels)}: {text}.") for labels, text in footnotes(described)]
