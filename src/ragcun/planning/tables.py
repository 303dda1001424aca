"""Tables of plans and of the findings of `ragcun doctor`."""

from collections.abc import Sequence
from dataclasses import replace

from ragcun.console import duration
from ragcun.planning.doctor import Finding
from ragcun.planning.plan import Plan
from ragcun.table import Cell, Column, Note, Table, Tone, cells, decimals

_TONES: dict[str, Tone] = {"good": "good", "limited": "caution", "bad": "bad"}
_GIB = decimals(1, scale=1 / 2**30)


def plan_table(plan: Plan, price: float | None = None) -> Table:
    """Make the table of a plan's steps with their sum, and its assumptions in notes; `price` is per machine-hour."""
    columns = [
        Column("step"),
        Column("work"),
        Column("time", duration),
        Column("memory (GiB)", _GIB),
        Column("disk (GiB)", _GIB),
        *([] if price is None else [Column("cost", decimals(2, scale=price / 3600))]),
    ]
    most = max((step.memory for step in plan.steps), default=0.0)
    rows = [(step.name, step.work, step.seconds, step.memory, step.disk, step.seconds) for step in plan.steps]
    steps = [cells(*row[: len(columns)]) for row in rows]
    total = cells(*("all", "", plan.seconds, most, plan.disk, plan.seconds)[: len(columns)])
    notes = []
    if plan.second_training is not None:
        notes.append(
            f"With the embedding store, a second training on the same pairs takes {duration(plan.second_training)}; "
            f"without it, all this would take {duration(plan.without_store)}."
        )
    if plan.main_memory > 2**30:
        notes.append(
            f"The largest corpus takes {plan.main_memory / 2**30:.0f} GiB of main memory, in addition to the --memory "
            "of its search. Launched processes divide its encoding and search."
        )
    if most > plan.machine.memory:
        notes.append(
            f"The memory is more than the {plan.machine.memory / 2**30:.0f} GiB of the machine; "
            "a smaller batch with gradient accumulation fits."
        )
    return Table(
        f"Plan for {plan.machine.name}",
        columns,
        [steps, [[replace(cell, bold=True) for cell in total]]],
        [Note(text) for text in [*notes, *plan.assumptions]],
        "plan",
    )


def findings_table(findings: Sequence[Finding]) -> Table:
    """Make the table of what works on this machine, with advice on problems."""
    rows = [
        [Cell(one.subject), Cell(one.verdict, tone=_TONES[one.verdict]), *cells(one.found, one.advice)]
        for one in findings
    ]
    return Table("", [Column(name) for name in ("subject", "verdict", "found", "advice")], [rows], label="doctor")
