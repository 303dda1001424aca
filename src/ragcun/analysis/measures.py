"""What is measured, where it comes from, and the report that holds it. Plain data: imports nothing heavy."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ragcun.errors import UserError
from ragcun.files import read_json


@dataclass(frozen=True)
class Measure:
    """One number that describes a set of embeddings.

    `better` says in which direction a set is more isotropic; "gaussian" where nearer to N(0, I)'s value is.
    `source` is the paper that defines the measure, empty where the name is the definition.
    """

    key: str
    name: str
    better: Literal["higher", "lower", "gaussian"]
    source: str = ""


ISOSCORE = "Rudman et al. (2022), Findings of ACL, arXiv:2108.07344"
PARTITION = "Mu and Viswanath (2018), ICLR, arXiv:1702.01417"
EFFECTIVE_RANK = "Roy and Vetterli (2007), EUSIPCO; singular values of the centred embeddings"
COSINE = "Ethayarajh (2019), EMNLP, arXiv:1909.00512; mean over all pairs"
SIGREG = "Balestriero and LeCun (2025), arXiv:2511.08544; mean over slices, divided by the number of rows"
CONTRAST = "Reciprocal of the relative contrast of He et al. (2012), ICML, arXiv:1206.6411"
CHI = "Chi-distributed with d degrees of freedom for N(0, I)"

MEASURES = (
    Measure("iso_score", "IsoScore", "higher", ISOSCORE),
    Measure("partition", "Partition-function isotropy", "higher", PARTITION),
    Measure("effective_rank", "Effective rank", "higher", EFFECTIVE_RANK),
    Measure("top_variance", "Variance in the top component", "lower"),
    Measure("mean_cosine", "Average cosine", "gaussian", COSINE),
    Measure("sigreg", "SIGReg statistic", "lower", SIGREG),
    Measure("mean_vector_norm", "Norm of the mean vector", "gaussian"),
    Measure("norm_mean", "Norm, mean", "gaussian", CHI),
    Measure("norm_std", "Norm, standard deviation", "gaussian", CHI),
    Measure("mean_square", "Squared norm per dimension", "gaussian"),
    Measure("variance_min", "Variance of a dimension, least", "gaussian"),
    Measure("variance_max", "Variance of a dimension, greatest", "gaussian"),
    Measure("nearest_mean", "Nearest-neighbour distance, mean", "gaussian"),
    Measure("nearest_std", "Nearest-neighbour distance, standard deviation", "gaussian"),
    Measure("pair_mean", "Distance of two rows, mean", "gaussian"),
    Measure("pair_std", "Distance of two rows, standard deviation", "gaussian"),
    Measure("nearest_ratio", "Nearest over mean distance", "gaussian", CONTRAST),
)


@dataclass(frozen=True)
class IsotropyReport:
    """The measures of one set of embeddings beside those of an N(0, I) sample of the same shape.

    `rows` were measured, drawn from `population` (seeded by `seed`); `chi` holds the closed-form mean and standard
    deviation of the norm under N(0, I), and `settings` what made the embeddings, where that is known.
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
    chi: Mapping[str, float]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Rebuild a report. Raises KeyError or TypeError where `value` is not one."""
        return cls(**value)


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
    content = read_json(path)
    try:
        reports = [IsotropyReport.from_json(result) for result in content["results"]]
        complete = all(measure.key in report.measures for report in reports for measure in MEASURES)
    except (KeyError, TypeError):
        complete = False
    if not complete or not reports:
        raise UserError(f"{path}: no isotropy report; `ragcun analyze isotropy` writes one")
    return reports
