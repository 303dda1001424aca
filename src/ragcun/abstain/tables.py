"""Tables of the evaluations of confidence scores, on each collection and over all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ragcun.abstain.learned import COMBINED
from ragcun.abstain.run import of_key, read_evidence
from ragcun.abstain.scores import SCORES
from ragcun.errors import UserError
from ragcun.evaluation.results import Result, result_record
from ragcun.table import Cell, Column, Note, Table, cells, decimals

NAMES = {score.key: score.name for score in SCORES} | {key: name for key, (name, _) in COMBINED.items()}
_HEADLINE = ("top", "margin10", "z", "gamma", "gaussian", "hub", "entropy", "words", *COMBINED)
_VALID = (0.08, 0.12)


@dataclass(frozen=True)
class Assessed:
    """The evaluation of one confidence score of a model on a collection.

    Attributes:
        result: the cell.
        key: the score's key.
        found: the evaluation that the cell records; see `run`.
        level: the nominal false-alarm rate.
        other_collections: the false-alarm rate of this collection's threshold on each other collection, by its name.
    """

    result: Result
    key: str
    found: dict[str, Any]
    level: float
    other_collections: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return a row of `--json`; `bytes` is the size of a vector in fp32."""
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
            "other_collections": self.other_collections,
        }
        return row | {name: value for name, value in self.found.items() if name != "logistic"}


def assess(results: Sequence[Result]) -> list[Assessed]:
    """List the evaluation of every score of every result, with its threshold's rates on the other collections.

    Raises:
        UserError: a result is from an earlier version, whose records have other names.
    """
    records = [result_record(result.path)["abstention"] for result in results]
    evidence = [read_evidence(result) for result in results]
    rows = []
    for result, record in zip(results, records, strict=True):
        for key, found in record["scores"].items():
            if "same_collection" not in found:
                raise UserError(
                    f"{result.path}: is from an earlier version of ragcun; run `ragcun eval abstain` again, or "
                    "delete it"
                )
            others = {
                other.dataset: float((of_key(key, record, values) < found["threshold"]).mean())
                for other, values in zip(results, evidence, strict=True)
                if other.label == result.label and other.dataset != result.dataset
            }
            rows.append(Assessed(result, key, found, record["level"], others))
    return rows


def collections_table(rows: Sequence[Assessed], every: bool = False) -> Table:
    """Make the table of scores on each collection, with a group for each model and collection."""
    percent = decimals(1, scale=100)
    columns = [
        Column("dataset"),
        Column("model"),
        Column("score"),
        Column("AUROC", decimals(3)),
        Column("nAUC", decimals(3)),
        Column("AUROC, other collections' queries", decimals(3)),
        Column("false alarms, same collection", percent),
        Column("detected", percent),
        Column("false alarms, other collections"),
    ]
    shown = [row for row in rows if every or row.key in _HEADLINE]
    places = dict.fromkeys((row.result.dataset, row.result.label) for row in shown)
    groups = [
        [_line(row) for row in shown if (row.result.dataset, row.result.label) == place] for place in sorted(places)
    ]
    return Table("", columns, groups, _notes(rows), "abstain")


def _line(row: Assessed) -> list[Cell]:
    found, same = row.found, row.found["same_collection"]
    others = [other["auroc"] for other in found["others_queries"].values()]
    return [
        *cells(row.result.dataset, row.result.label, NAMES[row.key]),
        Cell(found["auroc"], interval=tuple(found["auroc_interval"])),
        Cell(found["nauc"], interval=tuple(found["nauc_interval"])),
        Cell(sum(others) / len(others) if others else None),
        Cell(same["false_alarms"], interval=(same["low"], same["high"])),
        Cell(same["detected"]),
        Cell(_range(list(row.other_collections.values()))),
    ]


def summary_table(rows: Sequence[Assessed]) -> Table:
    """Make the table of scores over all collections, with a group for each model; the highest AUROC comes first."""
    columns = [
        Column("model"),
        Column("score"),
        Column("mean AUROC", decimals(3)),
        Column("mean nAUC", decimals(3)),
        Column("mean AUROC, other collections' queries", decimals(3)),
        Column("false alarms, same collection"),
        Column("detected", decimals(1, scale=100)),
        Column("false alarms, other collections"),
        Column("p-values below level"),
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
        Cell(_range([row.found["same_collection"]["false_alarms"] for row in mine])),
        Cell(mean([row.found["same_collection"]["detected"] for row in mine])),
        Cell(_range([share for row in mine for share in row.other_collections.values()])),
        Cell("" if None in shares else _range([share for share in shares if share is not None])),
    ]


def _range(shares: Sequence[float]) -> str | None:
    return f"{100 * min(shares):.1f} to {100 * max(shares):.1f}" if shares else None


def _notes(rows: Sequence[Assessed]) -> list[Note]:
    """Explain the columns, and summarise the findings in words."""
    level = 100 * rows[0].level
    notes = [
        "AUROC is the probability that a query scores higher with its relevant documents in the corpus than an "
        "unanswerable query, which has them removed; its interval is DeLong's. nAUC is 0 for random abstention and 1 "
        f"for an oracle of nDCG@10; its interval is bootstrapped. A threshold is set to abstain on {level:g}% of "
        "answerable queries. The percentage of false alarms is measured on the other half of the same queries (with "
        "the 5th and 95th percentile over random splits) and on other collections."
    ]
    fitted = [row for row in rows if row.key in _HEADLINE and row.key != "words"]
    same = [row.found["same_collection"]["false_alarms"] for row in fitted]
    others = [share for row in fitted for share in row.other_collections.values()]
    kept = sum(_VALID[0] <= share <= _VALID[1] for share in same)
    verdict = "valid" if kept == len(same) else "not all valid"
    text = f"On the same collection, thresholds are {verdict}: they have {_range(same)}% false alarms, and {kept} of "
    text += f"{len(same)} are within 8 to 12%."
    if others:
        kept = sum(_VALID[0] <= share <= _VALID[1] for share in others)
        verdict = "not valid" if kept < 0.9 * len(others) else "valid"
        text += f" On other collections, they are {verdict}: {_range(others)}%, and {kept} of {len(others)} are within "
        text += "8 to 12%."
    notes.append(text)
    for key in dict.fromkeys(row.key for row in rows):
        shares = [row.found.get("p_value_below_level_without_answer") for row in rows if row.key == key]
        known = [share for share in shares if share is not None]
        if known:
            verdict = "invalid" if max(known) > 1.2 * rows[0].level else "not refuted"
            notes.append(
                f"The p-values of “{NAMES[key]}” are {verdict} as p-values: {_range(known)}% of the unanswerable "
                f"queries have a p-value below {rows[0].level:g}."
            )
    return [Note(text) for text in notes]
