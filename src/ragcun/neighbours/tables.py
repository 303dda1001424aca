"""Tables of indexes' recall curves, and of models at equal recall."""

from collections.abc import Mapping, Sequence
from typing import Any

from ragcun.evaluation.results import Result, result_record
from ragcun.neighbours.indexes import INDEXES, Kind
from ragcun.table import Cell, Column, Note, Table, cells, count, decimals, significant

TARGETS = (0.9, 0.95, 0.99)


def points(results: Sequence[Result]) -> list[dict[str, Any]]:
    """List the points of all curves with model, dataset and parameter; `bytes` is the size per document."""
    rows = []
    for result in results:
        found = result_record(result.path)["neighbours"]
        for kind in INDEXES:
            curve = found["curves"][kind.key]
            for point in curve["points"]:
                rows.append(
                    {
                        "model": result.model,
                        "label": result.label,
                        "dataset": result.dataset,
                        "split": result.split,
                        "documents": result.documents,
                        "index": kind.key,
                        "parameter": kind.parameter,
                        **point,
                        "bytes": curve["bytes"],
                        "build_seconds": curve["build_seconds"],
                        "hubness": found["hubness"],
                        "nDCG@10 exact": result.metrics["nDCG@10"],
                    }
                )
    return rows


def curves_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Make the table of all points, with a group for each model and dataset."""
    columns = [
        Column("dataset"),
        Column("model"),
        Column("index"),
        Column("parameter"),
        Column("recall@10", decimals(4)),
        Column("nDCG@10", decimals(2, scale=100)),
        Column("queries/s", count),
        Column("compared", count),
        Column("bytes per document", count),
        Column("build, s", significant),
    ]
    groups = [
        [_line(row) for row in rows if (row["dataset"], row["label"]) == place]
        for place in sorted(dict.fromkeys((row["dataset"], row["label"]) for row in rows))
    ]
    return Table("", columns, groups, _notes(rows), "neighbours")


def _line(row: Mapping[str, Any]) -> list[Cell]:
    kind = _kind(row["index"])
    return cells(
        row["dataset"],
        row["label"],
        kind.name,
        f"{kind.parameter} = {row['value']}" if kind.parameter else "",
        row["recall"],
        row["nDCG@10"],
        row["queries_per_second"],
        row["compared"],
        row["bytes"],
        row["build_seconds"],
    )


def equal_recall_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Make the table of the cost at which each index reaches equal recall, with the hubness of each model.

    The first point of the curve that reaches the recall is used; a cell is an en dash if there is none.
    """
    columns = [
        Column("dataset"),
        Column("model"),
        Column("hubness (skewness)", decimals(2)),
        Column("index"),
        *[
            column
            for target in TARGETS
            for column in (Column(f"compared for {target:g}", count), Column(f"queries/s at {target:g}", count))
        ],
    ]
    groups = []
    for dataset in sorted({row["dataset"] for row in rows}):
        lines = []
        for kind in INDEXES[1:]:
            for label in dict.fromkeys(row["label"] for row in rows if row["dataset"] == dataset):
                curve = [
                    row for row in rows if (row["dataset"], row["label"], row["index"]) == (dataset, label, kind.key)
                ]
                lines.append(_reached(dataset, label, kind, curve))
        groups.append(lines)
    note = Note(
        'For codes, "compared" is the number of exactly scored candidates; in addition, all codes are compared.'
    )
    return Table("At equal recall.", columns, groups, [note], "neighbours-equal-recall")


def _reached(dataset: str, label: str, kind: Kind, curve: Sequence[Mapping[str, Any]]) -> list[Cell]:
    line = cells(dataset, label, curve[0]["hubness"]["skewness"], kind.name)
    for target in TARGETS:
        point = next((point for point in curve if point["recall"] >= target), None)
        # All codes are compared, so only the number of exactly scored candidates differs.
        compared = None if point is None else point["compared"] if kind.set is not None else 10 * point["value"]
        line += cells(compared, None if point is None else point["queries_per_second"])
    return line


def _notes(rows: Sequence[Mapping[str, Any]]) -> list[Note]:
    hubs = {(row["label"], row["dataset"]): row["hubness"]["skewness"] for row in rows}
    shown = "; ".join(f"{label} on {dataset} {value:.2f}" for (label, dataset), value in hubs.items())
    return [
        Note(
            "Recall is the share of exact search's top ten documents that an index finds. Indexes propose candidates, "
            'whose scores are exact. "Compared" is the number of vectors whose distance to a query is computed; for '
            "codes, all documents. Speed is measured on this machine, with all threads and all queries in one batch."
        ),
        Note(f"Hubness (skewness of 10-occurrences among documents): {shown}."),
    ]


def _kind(key: str) -> Kind:
    return next(kind for kind in INDEXES if kind.key == key)
