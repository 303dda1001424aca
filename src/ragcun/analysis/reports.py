"""The measures of embeddings as they are kept in isotropy.json, and as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from ragcun.analysis.measures import MEASURES
from ragcun.errors import UserError
from ragcun.files import read_json
from ragcun.table import Cell, Column, Note, Table, letters, significant


@dataclass(frozen=True)
class IsotropyReport:
    """The measures of one set of embeddings beside those of an N(0, I) sample of the same shape.

    `rows` were measured, drawn from `population` (seeded by `seed`); `exact` holds N(0, I)'s values of measures that
    have one in closed form, and `settings` what made the embeddings, where that is known. A report of an earlier
    version lacks the measures that were added since.
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

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Rebuild a report. Raises KeyError or TypeError where `value` is not one."""
        named = dict(value)
        if "chi" in named:  # as version 0.1 called it
            named["exact"] = named.pop("chi")
        return cls(**named)


def gaussian_columns(reports: Sequence[IsotropyReport]) -> list[tuple[str, Mapping[str, float]]]:
    """Return N(0, I)'s measures by name, once for each shape (rows, dimension) among the reports."""
    samples = {(report.dimension, report.rows): report.gaussian for report in reports}
    if len(samples) == 1:
        return [("N(0, I)", measures) for measures in samples.values()]
    if len({dimension for dimension, _ in samples}) == len(samples):
        return [(f"N(0, I), d = {dimension}", measures) for (dimension, _), measures in samples.items()]
    return [(f"N(0, I), {rows} x {dimension}", measures) for (dimension, rows), measures in samples.items()]


def read_reports(path: str | Path) -> list[IsotropyReport]:
    """Read the reports of an `isotropy.json`, in its order. Raises `UserError` where the file holds none."""
    try:
        reports = [IsotropyReport.from_json(result) for result in read_json(path)["results"]]
    except (KeyError, TypeError, ValueError):
        reports = []
    if not reports:
        raise UserError(f"{path}: no isotropy report; `ragcun analyze isotropy` writes one")
    return reports


def isotropy_table(reports: Sequence[IsotropyReport]) -> Table:
    """Return a table of measures by models and N(0, I), with the source of each measure below it.

    A measure that a report lacks is an en dash; one that all lack has no row.
    """
    one_dataset = len({report.data for report in reports}) == 1
    columns = [
        (report.model if one_dataset else f"{report.model} ({report.data})", report.measures) for report in reports
    ]
    columns += gaussian_columns(reports)
    shown = [measure for measure in MEASURES if any(measure.key in values for _, values in columns)]
    sources = dict(zip(dict.fromkeys(measure.source for measure in shown if measure.source), letters(), strict=False))
    sizes = sorted({report.rows for report in reports})
    data = sorted({report.data for report in reports if report.data})
    title = (
        f"Isotropy of {' and '.join(f'{size:,}' for size in sizes)} embeddings"
        + (f" of documents of {' and '.join(data)}" if data else "")
        + ", beside a sample of the same size from N(0, I). An arrow says which way is more isotropic; "
        "elsewhere, nearer to that sample is."
    )
    rows = [
        [
            Cell(measure.title, mark=sources.get(measure.source, "")),
            *(Cell(values.get(measure.key)) for _, values in columns),
        ]
        for measure in shown
    ]
    return Table(
        title,
        [Column("Measure"), *(Column(name, significant) for name, _ in columns)],
        [rows],
        [Note(f"{source}.", letter) for source, letter in sources.items()],
        "isotropy",
    )
