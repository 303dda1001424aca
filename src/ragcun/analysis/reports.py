"""Reports of measures: isotropy.json and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from ragcun.analysis.measures import MEASURES, Measure
from ragcun.errors import RagcunError, UserError
from ragcun.intact import DamagedError, read_record
from ragcun.table import Cell, Column, Note, Table, letters, significant

GAUSSIAN = "N(0, I)"
ISOTROPY = "isotropy.json"


@dataclass(frozen=True)
class IsotropyReport:
    """The measures of one set of embeddings, and those of a sample of N(0, I) of the same shape.

    `rows` rows were measured, drawn from `population` by `seed`. `exact` has the closed-form values of N(0, I), and
    `settings` those of the embeddings, if known. `of` names the embedded texts, `intervals` has the ends of 95 percent
    intervals, if requested, and `spectrum` the eigenvalues of the covariance, descending. A report of an earlier
    version lacks newer entries.
    """

    model: str
    data: str
    rows: int
    population: int
    dimension: int
    seed: int
    slices: int
    measures: Mapping[str, float]
    gaussian: Mapping[str, float]
    exact: Mapping[str, float]
    settings: Mapping[str, Any] = field(default_factory=dict)
    of: str = "documents"
    intervals: Mapping[str, Sequence[float]] = field(default_factory=dict)
    spectrum: Sequence[float] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Make a report from JSON. Raises KeyError or TypeError if `value` is not a report."""
        named = dict(value)
        if "chi" in named:  # the name in version 0.1
            named["exact"] = named.pop("chi")
        return cls(**named)


def read_reports(path: str | Path) -> list[IsotropyReport]:
    """Read the reports of an `isotropy.json`, in its order.

    Raises `UserError` if the file has none, and `RagcunError` if it is damaged.
    """
    try:
        reports = [IsotropyReport.from_json(result) for result in read_record(Path(path), files=False)["results"]]
    except DamagedError as error:
        if Path(path).name == ISOTROPY:
            raise RagcunError(f"{error}; run the command that wrote it again, or delete it") from None
        reports = []
    except (KeyError, TypeError, ValueError):
        reports = []
    if not reports:
        raise UserError(f"{path}: not an isotropy report; `ragcun analyze isotropy` writes one")
    return reports


def paper_table(reports: Sequence[IsotropyReport]) -> Table:
    """Make a paper's table: the six main measures of documents."""
    documents = [report for report in reports if report.of == "documents"]
    return isotropy_table(documents or reports, [measure for measure in MEASURES if measure.headline])


def isotropy_table(reports: Sequence[IsotropyReport], measures: Sequence[Measure] = MEASURES) -> Table:
    """Make the table of measures by models and N(0, I), with the source of each measure in a note.

    Documents, queries and both are groups. A measure that a report lacks is an en dash; one that all lack has no row.
    Values have intervals if the reports have them.
    """
    parts = [of for of in ("documents", "queries", "both") if any(report.of == of for report in reports)]
    columns = _columns(reports)
    groups = {}
    for of in parts:
        shown = [m for m in measures if any(of in column and m.key in column[of][0] for column in columns.values())]
        groups[of] = [(m, [_cell(m.key, *column.get(of, ({}, {}))) for column in columns.values()]) for m in shown]
    cited = dict.fromkeys(m.source for rows in groups.values() for m, _ in rows if m.source)
    sources = dict(zip(cited, letters(), strict=False))
    several = len(parts) > 1
    return Table(
        _title(reports, parts),
        [
            *([Column("Embeddings")] if several else []),
            Column("Measure"),
            *(Column(name, significant) for name in columns),
        ],
        [
            [
                [*([Cell(of)] if several else []), Cell(m.title, mark=sources.get(m.source, "")), *values]
                for m, values in rows
            ]
            for of, rows in groups.items()
        ],
        [Note(f"{source}.", letter) for source, letter in sources.items()],
        "isotropy",
    )


_Values = tuple[Mapping[str, float], Mapping[str, Sequence[float]]]  # values and intervals by the measures' keys


def _columns(reports: Sequence[IsotropyReport]) -> dict[str, dict[str, _Values]]:
    """Return each column's values by documents, queries and both: the models', then N(0, I)'s, once for each shape."""
    one_dataset = len({report.data for report in reports}) == 1
    columns: dict[str, dict[str, _Values]] = {}
    sizes: dict[str, dict[str, tuple[int, int]]] = {}
    gaussians: dict[str, dict[str, _Values]] = {}
    for report in reports:
        name = report.model if one_dataset else f"{report.model} ({report.data})"
        columns.setdefault(name, {})[report.of] = (report.measures, report.intervals)
        sizes.setdefault(name, {})[report.of] = (report.rows, report.dimension)
        gaussians.setdefault(name, {})[report.of] = (report.gaussian, {})
    shapes = {tuple(of.items()): name for name, of in reversed(sizes.items())}
    dimensions = [of[0][1][1] for of in shapes]
    for of, name in reversed(shapes.items()):
        rows, dimension = of[0][1]
        label = GAUSSIAN
        if len(shapes) > 1:
            alone = dimensions.count(dimension) == 1
            label += f", d = {dimension}" if alone else f", {rows} x {dimension}"
        columns[label] = gaussians[name]
    return columns


def _cell(key: str, values: Mapping[str, float], intervals: Mapping[str, Sequence[float]]) -> Cell:
    ends = intervals.get(key)
    return Cell(values.get(key), interval=None if ends is None else (ends[0], ends[1]))


def _title(reports: Sequence[IsotropyReport], parts: Sequence[str]) -> str:
    counted = []
    for of in parts:
        rows = sorted({report.rows for report in reports if report.of == of})
        counted.append(f"{' and '.join(f'{count:,}' for count in rows)} {'rows of both' if of == 'both' else of}")
    data = sorted({report.data for report in reports if report.data})
    return (
        f"Isotropy of embeddings of {', '.join(counted)}"
        + (f" of {' and '.join(data)}" if data else "")
        + ", beside samples of the same sizes from N(0, I). An arrow says which way is more isotropic."
    )
