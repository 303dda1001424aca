"""Tables of claims: the registry and the verdicts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragcun.analysis.treatment import MOVED
from ragcun.claims.registry import CHECK, Claim
from ragcun.table import Cell, Column, Note, Table, Tone, cells, count, decimals, significant

if TYPE_CHECKING:
    from ragcun.claims.run import Settled

_RULES = {
    "helps": "gains at least",
    "equal": "equal within",
    "above": "above",
    "below": "below",
}
_TONES: dict[str, Tone] = {"supported": "good", "refuted": "bad", "undecided": "caution"}


def registry_table(claims: Sequence[Claim]) -> Table:
    """Return a table of all claims; notes describe how each is measured."""
    columns = [Column("claim"), Column("claimed"), Column("source"), Column("heads"), Column("test")]
    rows = [
        cells(one.key, one.claimed, one.source, "trained" if one.heads else "", f"{_RULES[one.rule]} {one.margin:g}")
        for one in claims
    ]
    notes = [Note(f"{one.key}: {one.operation} Statement: {one.read}. Claimed for: {one.holds_for}.") for one in claims]
    return Table("Claims.", columns, [rows], notes, "claims-registry")


def verdicts_table(settled: Sequence["Settled"]) -> Table:
    """Return a table of verdicts: a group for each base."""
    columns = [
        Column("claim"),
        Column("source"),
        Column("model"),
        Column("test"),
        Column("found", decimals(4, sign=True)),
        Column("p (Holm)", significant),
        Column("verdict"),
        Column("power", decimals(2)),
        Column("sample", count),
        Column("needed", count),
        Column("isotropy moved", decimals(2, sign=True)),
    ]
    models = dict.fromkeys(one.model for one in settled)
    groups = [[_line(one) for one in settled if one.model == model] for model in models]
    datasets = ", ".join(settled[0].datasets)
    notes = [
        Note(
            f"Means over {datasets}, which have equal weight, with 95% intervals: of differences of nDCG@10 over "
            "queries (0.01 is one point), or of one value per collection. Supported: the effect is significant "
            "(p < .05) and at least as large as the margin; refuted: the interval excludes the claimed effect; "
            "undecided: neither, at this power. Needed is the sample size with 80% power for the margin. Rules and "
            "margins were fixed before anything was measured. Isotropy moved is the effect of the treatment on the "
            f"{CHECK}; below {MOVED:g} the claim is undecided."
        ),
        *[Note(f"{one.claim.key}, {one.model}: {one.why}.") for one in settled if one.why],
    ]
    return Table("Verdicts on the claims.", columns, groups, notes, "claims")


def _line(one: "Settled") -> list[Cell]:
    claim, found = one.claim, one.found
    named = cells(claim.key, claim.source, one.model, f"{_RULES[claim.rule]} {claim.margin:g}")
    if found is None or one.verdict is None:
        return [*named, *cells(None, None, "not tested", None, None, None, None)]
    return [
        *named,
        Cell(found.mean, interval=(found.low, found.high)),
        Cell(one.p_adjusted),
        Cell(one.verdict, tone=_TONES[one.verdict]),
        *cells(found.power, found.sample, found.needed, one.moved),
    ]
