"""Assessments of scores as rows, over all collections, and as tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ragcun.abstain.learned import COMBINED
from ragcun.abstain.run import of_key, read_evidence
from ragcun.abstain.scores import SCORES
from ragcun.evaluation.results import Result
from ragcun.intact import read_record
from ragcun.table import Cell, Column, Note, Table, cells, decimals

NAMES = {score.key: score.name for score in SCORES} | {key: name for key, (name, _) in COMBINED.items()}
_HEADLINE = ("top", "margin10", "z", "gamma", "gaussian", "hub", "entropy", "words", *COMBINED)
_VALID = (0.08, 0.12)


@dataclass(frozen=True)
class Assessed:
    """A score of a model on a collection.

    Attributes:
        result: the cell.
        key: of the score.
        found: what the cell says of it; see `run`.
        level: the nominal share of false alarms.
        abroad: collection -> false alarms there by the threshold of this one.
    """

    result: Result
    key: str
    found: dict[str, Any]
    level: float
    abroad: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """A row with the model, the dataset and the parameters; `bytes` is what a vector takes in fp32."""
        dimension = self.result.settings.get("dimension")
        row = {
            "model": self.result.model,
            "label": self.result.label,
            "dataset": self.result.dataset,
            "split": self.result.split,
            "score": self.key,
            "level": self.level,
            "nDCG@10": self.result.metrics["nDCG@10"],
            "bytes": None if dimension is None else 4 * dimension,
            "queries": self.result.queries,
            "abroad": self.abroad,
        }
        return row | {name: value for name, value in self.found.items() if name != "logistic"}


def assess(results: Sequence[Result]) -> list[Assessed]:
    """Every score of every result, with what its threshold does on the same model's other collections."""
    records = [read_record(result.path)["abstention"] for result in results]
    evidence = [read_evidence(result) for result in results]
    rows = []
    for result, record in zip(results, records, strict=True):
        for key, found in record["scores"].items():
            abroad = {
                other.dataset: float((of_key(key, record, values) < found["threshold"]).mean())
                for other, values in zip(results, evidence, strict=True)
                if other.label == result.label and other.dataset != result.dataset
            }
            rows.append(Assessed(result, key, found, record["level"], abroad))
    return rows


def collections_table(rows: Sequence[Assessed], every: bool = False) -> Table:
    """Return a table of scores on each collection: a group for each model and collection."""
    percent = decimals(1, scale=100)
    columns = [
        Column("dataset"),
        Column("model"),
        Column("score"),
        Column("AUROC", decimals(3)),
        Column("nAUC", decimals(3)),
        Column("AUROC, others' queries", decimals(3)),
        Column("false alarms at home", percent),
        Column("detected", percent),
        Column("false alarms abroad"),
    ]
    shown = [row for row in rows if every or row.key in _HEADLINE]
    places = dict.fromkeys((row.result.dataset, row.result.label) for row in shown)
    groups = [
        [_line(row) for row in shown if (row.result.dataset, row.result.label) == place] for place in sorted(places)
    ]
    return Table("", columns, groups, _notes(rows), "abstain")


def _line(row: Assessed) -> list[Cell]:
    found, home = row.found, row.found["at_home"]
    others = [other["auroc"] for other in found["others_queries"].values()]
    return [
        *cells(row.result.dataset, row.result.label, NAMES[row.key]),
        Cell(found["auroc"], interval=tuple(found["auroc_interval"])),
        Cell(found["nauc"], interval=tuple(found["nauc_interval"])),
        Cell(sum(others) / len(others) if others else None),
        Cell(home["false_alarms"], interval=(home["low"], home["high"])),
        Cell(home["detected"]),
        Cell(_range(list(row.abroad.values()))),
    ]


def summary_table(rows: Sequence[Assessed]) -> Table:
    """Return a table of scores over all collections: a group for each model, the best AUROC first."""
    columns = [
        Column("model"),
        Column("score"),
        Column("mean AUROC", decimals(3)),
        Column("mean nAUC", decimals(3)),
        Column("mean AUROC, others' queries", decimals(3)),
        Column("false alarms at home"),
        Column("detected", decimals(1, scale=100)),
        Column("false alarms abroad"),
        Column("p below level"),
    ]
    groups = []
    for label in dict.fromkeys(row.result.label for row in rows):
        lines = []
        for key in dict.fromkeys(row.key for row in rows):
            mine = [row for row in rows if (row.result.label, row.key) == (label, key)]
            if mine:
                lines.append(_summary(label, key, mine))
        groups.append(sorted(lines, key=lambda line: -float(line[2].value or 0)))
    return Table("Over all collections.", columns, groups, [], "abstain-summary")


def _summary(label: str, key: str, mine: Sequence[Assessed]) -> list[Cell]:
    def mean(values: Sequence[float]) -> float | None:
        return sum(values) / len(values) if values else None

    others = [other["auroc"] for row in mine for other in row.found["others_queries"].values()]
    shares = [row.found.get("p_value_below_level_without_answer") for row in mine]
    return [
        *cells(
            label, NAMES[key], mean([row.found["auroc"] for row in mine]), mean([row.found["nauc"] for row in mine])
        ),
        Cell(mean(others)),
        Cell(_range([row.found["at_home"]["false_alarms"] for row in mine])),
        Cell(mean([row.found["at_home"]["detected"] for row in mine])),
        Cell(_range([share for row in mine for share in row.abroad.values()])),
        Cell("" if None in shares else _range([share for share in shares if share is not None])),
    ]


def _range(shares: Sequence[float]) -> str | None:
    return f"{100 * min(shares):.1f} to {100 * max(shares):.1f}" if shares else None


def _notes(rows: Sequence[Assessed]) -> list[Note]:
    """What the columns are, then what was found, in words."""
    level = 100 * rows[0].level
    notes = [
        f"A score tells each query with its relevant documents in the corpus from the same query with them taken out; "
        f"AUROC has DeLong's intervals, and nAUC (0 a coin, 1 an oracle of nDCG@10) bootstrap ones. Thresholds are to "
        f"abstain on {level:g}% of queries that the corpus answers: false alarms are on the other half of the same "
        "queries (in brackets 5% to 95% of single halvings) and on other collections, in percent."
    ]
    fitted = [row for row in rows if row.key in _HEADLINE and row.key != "words"]
    home = [row.found["at_home"]["false_alarms"] for row in fitted]
    abroad = [share for row in fitted for share in row.abroad.values()]
    kept = sum(_VALID[0] <= share <= _VALID[1] for share in home)
    verdict = "Thresholds are valid at home" if kept == len(home) else "Thresholds are not all valid at home"
    text = f"{verdict}: {_range(home)}% false alarms, {kept} of {len(home)} within 8 to 12%."
    if abroad:
        kept = sum(_VALID[0] <= share <= _VALID[1] for share in abroad)
        invalid = "They are not valid abroad" if kept < 0.9 * len(abroad) else "They hold abroad"
        text += f" {invalid}: {_range(abroad)}%, {kept} of {len(abroad)} within 8 to 12%."
    notes.append(text)
    for key in dict.fromkeys(row.key for row in rows):
        shares = [row.found.get("p_value_below_level_without_answer") for row in rows if row.key == key]
        known = [share for share in shares if share is not None]
        if known:
            verdict = "invalid" if max(known) > 1.2 * rows[0].level else "not refuted"
            notes.append(
                f"The p-values of “{NAMES[key]}” are {verdict} as p-values: of queries without an answer, "
                f"{_range(known)}% are below {rows[0].level:g}."
            )
    return [Note(text) for text in notes]
