"""The price of isotropy: in-domain and out-of-domain scores of heads by treatment, dimension and isotropy.

A head is one setting with all of its seeds. It is *isotropic* if held-out documents have at least `ISOTROPIC` times the
participation ratio of N(0, I), and at most `FLOOR` times its SIGReg statistic along principal axes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ragcun.analysis.treatment import CHECKED
from ragcun.console import warn
from ragcun.data.provenance import DOMAINS, Domain
from ragcun.errors import UserError
from ragcun.evaluation.compare import Sides, sides, spread_of
from ragcun.evaluation.results import Result
from ragcun.evaluation.seeds import Spread
from ragcun.evaluation.statistics import holm
from ragcun.evaluation.systems import LEVEL, System, read_systems, without_seed
from ragcun.heads.registry import HEADS
from ragcun.losses.terms import TERMS
from ragcun.manifest import read_manifest
from ragcun.table import Cell, Column, Note, Table, count, decimals

ISOTROPIC = 0.95
FLOOR = 2.0

UNTREATED = "no treatment"
AFTER_THE_FACT = "whitened after training"
WHITENED_START = "whitened start"

_Results = dict[tuple[str, str], list[Result]]  # the results of all seeds, by folder and dataset


@dataclass(frozen=True)
class Trained:
    """A head: one setting with all of its seeds, trained on one or more collections.

    Attributes:
        name: the setting, as the ablation calls it.
        route: the treatment that made it isotropic.
        dimension: d.
        ratio: the participation ratio of held-out documents relative to N(0, I), the mean over trainings.
        axes: the SIGReg statistic of shape along principal axes relative to N(0, I), the mean over trainings.
        ratio_deviation: the standard deviation of the ratio over trainings; None for one training.
        dev: nDCG@10 on dev, 0 to 1, the mean over trainings.
        seeds: the number of seeds.
        results: the results on the collections of each domain.
    """

    name: str
    route: str
    dimension: int
    ratio: float
    axes: float
    ratio_deviation: float | None
    dev: float
    seeds: int
    results: Mapping[Domain, _Results]

    @property
    def isotropic(self) -> bool:
        """Whether the head is isotropic."""
        return self.ratio >= ISOTROPIC and self.axes <= FLOOR

    def score(self, domain: Domain, metric: str) -> float | None:
        """Return the mean over the collections of a domain; None if there are none."""
        for one in (result for seeds in self.results[domain].values() for result in seeds):
            if metric not in one.metrics:
                raise UserError(f"--metric {metric!r}: {one.path} has only {', '.join(one.metrics)}")
        found = [np.mean([one.metrics[metric] for one in seeds]) for seeds in self.results[domain].values()]
        return float(np.mean(found)) if found else None


@dataclass(frozen=True)
class Against:
    """The difference between a head and the reference of its dimension on the collections of a domain."""

    domain: Domain
    spread: Spread
    margin: float
    collections: int

    @property
    def p_equivalent(self) -> float:
        """The p-value of equivalence within the margin, by two one-sided tests (Schuirmann, 1987)."""
        return self.spread.p_equivalent(self.margin)

    def verdict(self, p_different: float, p_equivalent: float) -> str:
        """Return the verdict at 5 percent, in words."""
        if p_equivalent < LEVEL:
            return f"equivalent within {100 * self.margin:g} points"
        if p_different < LEVEL:
            return "better" if self.spread.mean > 0 else "worse"
        return "undecided"


@dataclass(frozen=True)
class Verdict:
    """The comparison of the best isotropic head of a dimension with the best other head, both chosen on dev."""

    dimension: int
    isotropic: Trained
    reference: Trained
    against: tuple[tuple[Against, float, float], ...]  # with the p-values of difference and equivalence, after Holm

    @property
    def sentence(self) -> str:
        """Return the comparison as a sentence."""
        told = [
            f"{one.domain} {one.verdict(different, equivalent)} "
            f"({100 * one.spread.mean:+.2f} [{', '.join(f'{100 * end:+.2f}' for end in one.spread.interval())}] points "
            f"on {one.collections} test {'set' if one.collections == 1 else 'sets'}, p {_p_value(different)}; "
            f"of equivalence {_p_value(equivalent)})"
            for one, different, equivalent in self.against
        ]
        return (
            f"At d = {self.dimension}, the isotropic head {self.isotropic.name} (participation ratio "
            f"{self.isotropic.ratio:.2f}, axis statistic {self.isotropic.axes:.1f} times N(0, I)'s), compared with the "
            f"best other head on dev, {self.reference.name}, is {'; '.join(told)}."
        )


def _p_value(value: float) -> str:
    return f"{value:.4f}" if value >= 1e-4 else "< 0.0001"


def read_heads(folders: Sequence[Path]) -> list[Trained]:
    """Read the heads of ablations, or of other folders of experiments and their results.

    With several folders, which were trained on different collections, a head is one setting in all of them; a setting
    that a folder lacks is reported and left out.

    Raises:
        UserError: a folder has no training with its isotropy, or no results.
    """
    found: dict[str, dict[Path, tuple[list[dict[str, Any]], System]]] = {}
    for folder in folders:
        manifests = _manifests(folder)
        for system in read_systems([str(folder)]):
            if system.label in manifests:
                found.setdefault(system.label, {})[folder] = (manifests[system.label], system)
    heads = [_head(name, of) for name, of in found.items() if len(of) == len(set(folders))]
    if left_out := [name for name, of in found.items() if len(of) < len(set(folders))]:
        warn(f"left out, because not every folder has them: {', '.join(left_out)}")
    if not heads:
        raise UserError(f"{folders[0]}: no setting has trainings and results; give the folder of `ragcun ablate`")
    return heads


def _manifests(folder: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.rglob("manifest.json")):
        manifest = read_manifest(path)
        if manifest.get("isotropy"):
            found.setdefault(without_seed(manifest["label"]), []).append(manifest)
    return found


def _head(name: str, of: Mapping[Path, tuple[list[dict[str, Any]], System]]) -> Trained:
    manifests = [manifest for found, _ in of.values() for manifest in found]
    ratios, axes = (
        [one["isotropy"]["end"][key] / one["isotropy"]["gaussian"][key] for one in manifests] for key in CHECKED
    )
    results: dict[Domain, _Results] = {domain: {} for domain in DOMAINS}
    for folder, (_, system) in of.items():
        for (dataset, _), seeds in system.results.items():
            inside = any(result.domain == "in-domain" for result in seeds)
            results["in-domain" if inside else "out-of-domain"][str(folder), dataset] = seeds
    return Trained(
        name,
        route_of(manifests[0]["settings"]),
        manifests[0]["isotropy"]["dimension"],
        float(np.mean(ratios)),
        float(np.mean(axes)),
        float(np.std(ratios, ddof=1)) if len(ratios) > 1 else None,
        float(np.mean([one["dev"]["end"] for one in manifests])),
        max(len(found) for found, _ in of.values()),
        results,
    )


def route_of(settings: Mapping[str, Any]) -> str:
    """Return the treatment of a head, from the settings in its manifest."""
    model, training = settings["model"], settings["training"]
    if not HEADS[model["head"]].trainable:
        return AFTER_THE_FACT
    parts = [term.name for term in TERMS if term.isotropy and training.get(term.weight)]
    kind, _, power = str(model.get("init", "base")).partition(":")
    if kind == "whiten" and (power == "auto" or float(power) > 0):
        parts.insert(0, WHITENED_START)
    return ", ".join(parts) or UNTREATED


def against(head: Trained, reference: Trained, domain: Domain, margin: float, metric: str) -> Against | None:
    """Compare `head` with `reference` over queries; None if they share no collection of this domain."""
    ours, theirs = head.results[domain], reference.results[domain]
    scores: list[list[Sides]] = [
        [sides([one.scores for one in ours[place]], [one.scores for one in theirs[place]], metric)]
        for place in ours
        if place in theirs
    ]
    return Against(domain, spread_of(scores), margin, len(scores)) if scores else None


def references(heads: Sequence[Trained]) -> dict[int, Trained]:
    """Return for each dimension the best head on dev among those that are not isotropic."""
    others = [head for head in heads if not head.isotropic]
    return {d: max((h for h in others if h.dimension == d), key=lambda h: h.dev) for d in _dimensions(others)}


def _dimensions(heads: Iterable[Trained]) -> list[int]:
    return sorted({head.dimension for head in heads})


def verdicts(heads: Sequence[Trained], margin: float, metric: str) -> list[Verdict]:
    """Compare, for each dimension that has both, the best isotropic head on dev with the best other head.

    The p-values of difference are corrected together, and so are those of equivalence (Holm).
    """
    found = []
    for dimension, reference in references(heads).items():
        isotropic = [head for head in heads if head.dimension == dimension and head.isotropic]
        if isotropic:
            best = max(isotropic, key=lambda head: head.dev)
            compared = [against(best, reference, domain, margin, metric) for domain in DOMAINS]
            found.append((dimension, best, reference, [one for one in compared if one is not None]))
    tested = [one for *_, compared in found for one in compared]
    different, equivalent = holm([one.spread.p_value() for one in tested]), holm([one.p_equivalent for one in tested])
    adjusted = iter(zip(tested, different, equivalent, strict=True))
    return [Verdict(d, best, ref, tuple(next(adjusted) for _ in compared)) for d, best, ref, compared in found]


def frontier(heads: Sequence[Trained], domain: Domain, metric: str) -> set[str]:
    """Return the names of the heads on the Pareto frontier of isotropy and score of their dimension."""
    scored = [(head, score) for head in heads if (score := head.score(domain, metric)) is not None]

    def beaten(head: Trained, score: float) -> bool:
        return any(
            other.ratio >= head.ratio and better >= score and (other.ratio, better) != (head.ratio, score)
            for other, better in scored
            if other.dimension == head.dimension
        )

    return {head.name for head, score in scored if not beaten(head, score)}


def tradeoff_json(heads: Sequence[Trained], margin: float, metric: str) -> dict[str, Any]:
    """Return the content of tradeoff.json: every head with its differences from the reference, and the conclusions."""
    chosen = references(heads)
    edges = {domain: frontier(heads, domain, metric) for domain in DOMAINS}
    rows = []
    for head in sorted(heads, key=lambda head: (head.dimension, head.route, head.ratio)):
        reference = chosen.get(head.dimension)
        compared = {
            domain: None if reference is None else against(head, reference, domain, margin, metric)
            for domain in DOMAINS
        }
        rows.append(
            {
                "name": head.name,
                "route": head.route,
                "dimension": head.dimension,
                "seeds": head.seeds,
                "participation_ratio": head.ratio,
                "participation_ratio_deviation": head.ratio_deviation,
                "axes": head.axes,
                "isotropic": head.isotropic,
                "reference": reference is not None and head.name == reference.name,
                "dev": head.dev,
                "scores": {domain: head.score(domain, metric) for domain in DOMAINS},
                "frontier": [domain for domain in DOMAINS if head.name in edges[domain]],
                "against_reference": {
                    domain: None
                    if one is None
                    else {
                        "difference": one.spread.mean,
                        "interval": one.spread.interval(),
                        "p_value": one.spread.p_value(),
                        "p_equivalent": one.p_equivalent,
                        "collections": one.collections,
                    }
                    for domain, one in compared.items()
                },
            }
        )
    told = verdicts(heads, margin, metric)
    return {
        "metric": metric,
        "margin": margin,
        "isotropic": ISOTROPIC,
        "heads": rows,
        "sentences": [one.sentence for one in told] or [_no_test(heads)],
    }


def _no_test(heads: Sequence[Trained]) -> str:
    ratios = [head.ratio for head in heads]
    return (
        "No dimension has both an isotropic head and another one, so this is no test of isotropy: participation ratio "
        f"from {min(ratios):.2f} to {max(ratios):.2f} of N(0, I)'s."
    )


def tradeoff_table(found: Mapping[str, Any]) -> Table:
    """Make the table of the heads of tradeoff.json, with a group for each dimension, and the conclusions in notes."""
    difference, score, ratio = decimals(2, scale=100, sign=True), decimals(1, scale=100), decimals(2)
    columns = [
        Column("d", count),
        Column("route"),
        Column("setting"),
        Column("participation ratio", ratio, ratio),
        Column("axis statistic", decimals(1)),
    ]
    for domain in DOMAINS:
        columns += [Column(domain, score), Column(f"{domain}, difference", difference)]
    groups = []
    for dimension in dict.fromkeys(row["dimension"] for row in found["heads"]):
        groups.append([_row(row) for row in found["heads"] if row["dimension"] == dimension])
    metric, margin = found["metric"], 100 * found["margin"]
    return Table(
        f"The price of isotropy: {metric} (×100) by isotropy of held-out documents, relative to N(0, I).",
        columns,
        groups,
        [
            Note(
                "Differences are from the best head on dev of the same dimension among those that are not isotropic "
                "(r), with 95 percent intervals over queries and seeds. Bold scores are on the Pareto frontier of "
                f"isotropy and score of their dimension. Equivalence is tested within {margin:g} points."
            ),
            *(Note(sentence) for sentence in found["sentences"]),
        ],
        "tradeoff",
    )


def _row(row: Mapping[str, Any]) -> list[Cell]:
    shown = [
        Cell(row["dimension"]),
        Cell(row["route"]),
        Cell(row["name"], mark="r" if row["reference"] else ""),
        Cell(row["participation_ratio"], row["participation_ratio_deviation"]),
        Cell(row["axes"]),
    ]
    for domain in DOMAINS:
        one = row["against_reference"][domain]
        shown.append(Cell(row["scores"][domain], bold=domain in row["frontier"]))
        if one is None or row["reference"]:
            shown.append(Cell(None))
        else:
            low, high = one["interval"]
            shown.append(Cell(one["difference"], interval=(low, high)))
    return shown
