"""Verdicts on the publication guide's criteria: pass, fail or not measured.

A criterion is not measured if datasets of its average are missing, or if no file can show it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ragcun.analysis.measures import MEASURES, Measure
from ragcun.data.benchmark import datasets
from ragcun.errors import UserError, did_you_mean
from ragcun.evaluation.systems import LEVEL
from ragcun.evaluation.verify import published
from ragcun.intact import read_written
from ragcun.report.evidence import MEASURE, Evidence
from ragcun.table import Cell, Column, Note, Table, Tone

Finding = Literal["pass", "fail", "not measured"]
ISOTROPY = "iso_score"

_TONES: dict[str, Tone] = {"pass": "good", "fail": "bad", "not measured": "muted"}
_EXTENSIVE = 3  # settings that were varied, with as many seeds
_ANALYSES = ("when.json", "when-it-helps.json", "when_it_helps.json")


@dataclass(frozen=True)
class Criterion:
    """A criterion of one of the guide's levels, with what was found and the verdict."""

    level: str
    criterion: str
    found: str
    finding: Finding

    def to_json(self) -> dict[str, Any]:
        """Return the criterion as JSON values."""
        return asdict(self)


Judged = tuple[str, Finding]


def judge(evidence: Evidence, measure: str = ISOTROPY) -> list[Criterion]:
    """Check `evidence` against the criteria for a minimum viable, a strong and a top-tier paper.

    `measure` is the key of the measure that is used as the guide's "isotropy score", which the guide does not define.
    Raises `UserError` if there is no such measure.
    """
    by_key = {one.key: one for one in MEASURES}
    if measure not in by_key:
        hint = did_you_mean(measure, by_key)
        raise UserError(f"--isotropy-measure {measure}: unknown{hint}; choose from {', '.join(by_key)}")
    chosen = by_key[measure]
    rows: list[tuple[str, str, Judged]] = []
    for level, average, gain, isotropy, baselines in (
        ("minimum", 45, 1, 0.90, 3),
        ("strong", 48, 2, 0.93, 5),
        ("top", 50, None, None, None),
    ):
        rows.append((level, f"BEIR average {MEASURE} > {average}", _average(evidence, average)))
        if gain is not None and isotropy is not None and baselines is not None:
            rows.append((level, f"improvement over the base > +{gain}", _gain(evidence, gain)))
            rows.append((level, f"isotropy ({chosen.name}) > {isotropy:.2f}", _isotropy(evidence, chosen, isotropy)))
            rows.append((level, f"{baselines} baselines or more", _baselines(evidence, baselines)))
    rows.insert(3, ("minimum", "training time documented", _time(evidence)))
    others: list[tuple[str, str, Callable[[Evidence], Judged]]] = [
        ("strong", "ablation studies", _ablated),
        ("strong", "analysis of when and why it works", _analysed),
        ("top", "best on three datasets or more", _best),
        ("top", "extensive ablations", _extensive),
        ("top", "theoretical analysis of isotropy", lambda _: ("no file can show a proof", "not measured")),
        ("top", "code and checkpoints released", _released),
    ]
    rows += [(level, name, found(evidence)) for level, name, found in others]
    order = ("minimum", "strong", "top")
    return [
        Criterion(level, name, *judged) for level, name, judged in sorted(rows, key=lambda row: order.index(row[0]))
    ]


def verdict_table(criteria: Sequence[Criterion], evidence: Evidence) -> Table:
    """Return the criteria as a table, a group for each level."""
    levels = dict.fromkeys(one.level for one in criteria)
    groups = [
        [
            [Cell(one.level), Cell(one.criterion), Cell(one.found), Cell(one.finding, tone=_TONES[one.finding])]
            for one in criteria
            if one.level == level
        ]
        for level in levels
    ]
    notes = [
        f"The model is {evidence.ours or '(none found)'}, and its base is {evidence.base or '(none found)'}.",
        "The guide does not define its isotropy score; the measure used for it is named. Scores are times 100.",
        "A criterion that was not measured is neither passed nor failed.",
    ]
    columns = [Column("level"), Column("criterion"), Column("found"), Column("verdict")]
    return Table("", columns, groups, [Note(text) for text in notes], "verdict")


def _public() -> list[str]:
    """Return BEIR's public datasets without MS MARCO, which is not part of the zero-shot average."""
    return [name for name, one in datasets().items() if not one.nano and one.bring is None and name != "msmarco"]


def _missing(evidence: Evidence) -> list[str]:
    return [name for name in _public() if name not in evidence.beir]


def _average(evidence: Evidence, threshold: float) -> Judged:
    if evidence.ours is None:
        return "no model that was trained here has results", "not measured"
    scores = {name: row.score for name in evidence.beir if (row := evidence.row(evidence.ours, name)) is not None}
    if missing := _missing(evidence):
        there = ", ".join(f"{name} {100 * score:.1f}" for name, score in scores.items()) or "none"
        return f"{len(missing)} of {len(_public())} public datasets are missing; present: {there}", "not measured"
    mean = 100 * sum(scores[name] for name in _public()) / len(_public())
    trained_on = [n for n in _public() if (r := evidence.row(evidence.ours, n)) is not None and r.domain == "in-domain"]
    text = f"{mean:.2f} over the {len(_public())} public datasets without MS MARCO"
    text += f", of which it was trained on {', '.join(trained_on)}" if trained_on else ""
    return text, "pass" if mean > threshold else "fail"


def _gain(evidence: Evidence, threshold: float) -> Judged:
    if evidence.ours is None or evidence.base is None:
        return "the base has no results", "not measured"
    found: dict[str, float] = {}
    shown = []
    for name in evidence.beir:
        row = evidence.row(evidence.ours, name)
        if row is not None and row.against is not None and row.adjusted is not None:
            found[name] = 100 * row.against.difference
            shown.append(f"{name} {found[name]:+.1f} (p = {row.adjusted.p_value:.3f})")
    text = ", ".join(shown) or "none"
    if missing := [name for name in _public() if name not in found]:
        return f"{len(missing)} of {len(_public())} public datasets are missing; present: {text}", "not measured"
    mean = sum(found[name] for name in _public()) / len(_public())
    return f"{mean:+.2f} over the {len(_public())} public datasets: {text}", "pass" if mean > threshold else "fail"


def _isotropy(evidence: Evidence, measure: Measure, threshold: float) -> Judged:
    ours = [one for one in evidence.isotropy if one.model == evidence.ours and one.of == "documents"]
    values = {one.data: one.measures[measure.key] for one in ours if measure.key in one.measures}
    if not values and (of_ablation := _isotropy_of_ablation(evidence, measure, threshold)) is not None:
        return of_ablation
    if not values:
        return f"no isotropy.json has {measure.name} of the documents of {evidence.ours or 'a trained model'}", (
            "not measured"
        )
    beside = {one.model: one.measures[measure.key] for one in evidence.isotropy if one.of == "documents"}
    base = "" if evidence.base not in beside else f"; the base has {beside[evidence.base]:.2f}"
    worst = min(values.values()) if measure.better == "higher" else max(values.values())
    gaussian = next(one.gaussian.get(measure.key) for one in ours if measure.key in one.measures)
    text = f"{measure.name} {', '.join(f'{value:.2f} on {data}' for data, value in values.items())}{base}"
    text += "" if gaussian is None else f"; N(0, I) of the same size has {gaussian:.2f}"
    if measure.better != "higher":
        return f"{text}; lower is more isotropic, so the threshold does not apply", "not measured"
    return text, "pass" if worst > threshold else "fail"


def _isotropy_of_ablation(evidence: Evidence, measure: Measure, threshold: float) -> Judged | None:
    """Judge the isotropy of dev documents from an ablation that has `ours` as a row; None if there is none."""
    for ablation in evidence.ablations:
        row = next((row for row in ablation["rows"] if row["name"] == evidence.ours), None)
        if row is None or measure.better != "higher" or measure.key not in row.get("isotropy", {}):
            continue
        value, base = row["isotropy"][measure.key][0], ablation["base"]["isotropy"][measure.key][0]
        text = f"{measure.name} {value:.2f} on dev documents, mean over {row['seeds']} seeds; the base has {base:.2f}"
        return text, "pass" if value > threshold else "fail"
    return None


def _baselines(evidence: Evidence, wanted: int) -> Judged:
    if evidence.ours is None:
        return "no model that was trained here has results", "not measured"
    text = f"{len(evidence.others)} on the same datasets: {', '.join(evidence.others) or 'none'}"
    return text, "pass" if len(evidence.others) >= wanted else "fail"


def _time(evidence: Evidence) -> Judged:
    own = [one for one in evidence.manifests if evidence.ours and str(one.get("label")).startswith(evidence.ours)]
    found = own or (evidence.manifests if len(evidence.manifests) == 1 else [])
    if not found:
        return f"no manifest of the training of {evidence.ours or 'a model'}", "not measured"
    manifest = found[0]
    hardware = manifest["environment"]["hardware"]
    machine = ", ".join(hardware.get("accelerators", [])) or f"{hardware['cores']} cores of {hardware['processor']}"
    return f"{manifest['seconds']['total'] / 60:.1f} minutes on {machine}", "pass"


def _varied(evidence: Evidence) -> dict[str, set[str]]:
    varied: dict[str, set[str]] = {}
    for ablation in evidence.ablations:
        for row in ablation["rows"]:
            for name, value in row["values"].items():
                varied.setdefault(name.rpartition(".")[2], set()).add(str(value))
    return {name: values for name, values in varied.items() if len(values) > 1}


def _ablated(evidence: Evidence) -> Judged:
    if not evidence.ablations:
        return "no ablation.json", "not measured"
    varied = _varied(evidence)
    text = ", ".join(f"{name} in {len(values)} values" for name, values in varied.items())
    without = {"0", "0.0"} & varied.get("lambda_isotropy", set())
    if not varied:
        return "no setting varies in ablation.json", "fail"
    return f"{text}{'; with and without SIGReg' if without else ''}", "pass"


def _extensive(evidence: Evidence) -> Judged:
    if not evidence.ablations:
        return "no ablation.json", "not measured"
    varied = _varied(evidence)
    seeds = min(row["seeds"] for ablation in evidence.ablations for row in ablation["rows"])
    enough = len(varied) >= _EXTENSIVE and seeds >= _EXTENSIVE
    text = f"{len(varied)} settings varied, at least {seeds} seeds (extensive means at least {_EXTENSIVE} of each)"
    return text, "pass" if enough else "fail"


def _analysed(evidence: Evidence) -> Judged:
    found = [path for name in _ANALYSES for path in evidence.files(name)]
    if not found:
        return "no analysis of when it helps (`ragcun report paper` makes one)", "not measured"
    return f"{found[0].name} has an analysis of when; the text must explain why", "pass"


def _best(evidence: Evidence) -> Judged:
    if evidence.ours is None or not evidence.others:
        return "no other system has results on the same datasets", "not measured"
    best, shown = [], []
    for name in evidence.beir:
        ours = evidence.row(evidence.ours, name)
        scores = [row.score for label in evidence.others if (row := evidence.row(label, name)) is not None]
        scores += [one.score for one in published() if (one.dataset, one.measure) == (name, MEASURE)]
        if ours is not None and all(round(ours.score, 4) > round(score, 4) for score in scores):
            best.append(name)
            certain = ours.adjusted is not None and ours.adjusted.p_value < LEVEL
            shown.append(f"{name}{'' if certain else ' (not significant against the base)'}")
    among = f"best of {len(evidence.others) + 1} systems and of the published scores that ragcun knows"
    text = f"{among} on {', '.join(shown) or 'none'}"
    if len(best) < 3 and _missing(evidence):
        return f"{text}; {len(_missing(evidence))} public datasets are missing", "not measured"
    return f"{text} (not necessarily the state of the art)", "pass" if len(best) >= 3 else "fail"


def _released(evidence: Evidence) -> Judged:
    records = evidence.files("release.json")
    git = next((one["environment"].get("git") for one in evidence.manifests), None)
    code = f"commit {git['commit'][:12]}{', with local changes' if git['dirty'] else ''}" if git else "no commit known"
    if not records:
        return f"no release.json of `ragcun export --to hub`; code: {code}", "not measured"
    record = read_written(records[0], "url")
    if git is None or git["dirty"]:
        return f"checkpoint at {record['url']}; code: {code}, so others cannot get this code", "fail"
    return f"checkpoint at {record['url']}; code: {code}; no file can show whether the code is public", "not measured"
