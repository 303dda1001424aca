"""The publication guide's checklists (before, during and after training, submission), ticked by existing files."""

import importlib.util
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ragcun.data.benchmark import datasets
from ragcun.report.evidence import Evidence
from ragcun.report.verdict import judge
from ragcun.table import Cell, Column, Note, Table

_SPACE = 200 * 10**9
_SHARE = 5  # the loss of the first and of the last fifth of the steps


@dataclass(frozen=True)
class Item:
    """An item of a list; `done` is None if no file can show it."""

    list: str
    item: str
    done: bool | None
    found: str

    def to_json(self) -> dict[str, Any]:
        """Return the item as JSON values."""
        return asdict(self)


def checklist(evidence: Evidence) -> list[Item]:
    """Return the items of the guide's lists, each with what was found."""
    return [*_before(evidence), *_during(evidence), *_after(evidence), *_submission(evidence)]


def checklist_table(items: Sequence[Item]) -> Table:
    """Return the lists as a table, a group for each."""
    lists = dict.fromkeys(one.list for one in items)
    ticks = {True: Cell("[x]", tone="good"), False: Cell("[ ]", tone="bad"), None: Cell("[?]", tone="muted")}
    groups = [
        [[Cell(one.list), ticks[one.done], Cell(one.item), Cell(one.found)] for one in items if one.list == name]
        for name in lists
    ]
    columns = [Column("list"), Column(""), Column("item"), Column("found")]
    return Table("", columns, groups, [Note("[?]: no file can show this item.")], "checklist")


def _before(evidence: Evidence) -> list[Item]:
    from huggingface_hub import get_token

    manifest = next(iter(evidence.manifests), None)
    gpus = [] if manifest is None else manifest["environment"]["hardware"].get("accelerators", [])
    free = shutil.disk_usage(evidence.folders[0]).free
    beir = importlib.util.find_spec("beir") is not None
    preset = None if manifest is None else manifest["settings"].get("preset")
    trained = "no manifest of a training" if manifest is None else f"trained on {', '.join(gpus) or 'a CPU'}"
    return [
        Item("before", "GPU access confirmed", None if manifest is None else bool(gpus), trained),
        Item("before", "200 GB of storage", free >= _SPACE, f"{free / 10**9:,.0f} GB are free here now"),
        Item("before", "HuggingFace account", True if get_token() else None, "a token is set" if get_token() else ""),
        Item("before", "BEIR installed", beir, ""),
        Item("before", "strategy chosen", True if preset else None, f"preset {preset}" if preset else ""),
    ]


def _during(evidence: Evidence) -> list[Item]:
    losses = [row["loss"] for row in evidence.history if "loss" in row]
    part = max(1, len(losses) // _SHARE)
    first, last = (sum(some) / len(some) if some else 0.0 for some in (losses[:part], losses[-part:]))
    decreasing = last < first if len(losses) > 1 else None
    checkpoints = evidence.files("checkpoints/*.safetensors")
    isotropy = [one for one in evidence.manifests if one.get("isotropy")]
    shown = f"{first:.3f} in the first {part} of {len(losses)} records, {last:.3f} in the last" if losses else ""
    return [
        Item("during", "GPU utilisation monitored", None, ""),
        Item("during", "training logs", bool(evidence.history), f"{len(evidence.history)} lines of history.jsonl"),
        Item("during", "loss is decreasing", decreasing, shown),
        Item("during", "checkpoints saved", bool(checkpoints), f"{len(checkpoints)} checkpoints"),
        Item(
            "during", "isotropy tracked", bool(isotropy), f"{len(isotropy)} manifests have it before and after training"
        ),
    ]


def _after(evidence: Evidence) -> list[Item]:
    every = [name for name, one in datasets().items() if not one.nano and name != "msmarco"]
    there = [name for name in every if name in evidence.beir]
    tables = [path for path in evidence.files("*.tex") if path.parent.name in {"tables", "paper"}]
    figures = [*evidence.files("figures/*.pdf"), *evidence.files("figures/*.png")]
    reports = {(one.model, one.data) for one in evidence.isotropy}
    return [
        Item("after", f"BEIR, all {len(every)} datasets", len(there) == len(every), f"{len(there)} of {len(every)}"),
        Item("after", "compared with baselines", len(evidence.others) >= 1, ", ".join(evidence.others)),
        Item("after", "isotropy analysed", bool(reports), f"{len(reports)} reports"),
        Item("after", "tables of results", bool(tables), f"{len(tables)} tables in LaTeX"),
        Item("after", "loss curves and metrics plotted", bool(figures), f"{len(figures)} figures"),
    ]


def _submission(evidence: Evidence) -> list[Item]:
    criteria = {one.criterion: one for one in judge(evidence)}
    released, ablated = criteria["code and checkpoints released"], criteria["ablation studies"]
    with_and_without = "with and without SIGReg" in ablated.found
    plots = _named(evidence, ("isotropy", "spectr", "norm", "plane", "trade"))
    curves = _named(evidence, ("training", "curves", "history"))
    examples = [*evidence.files("examples*.tex"), *evidence.files("examples*.json"), *evidence.files("examples*.md")]
    tables = [path for path in evidence.files("*.tex") if path.stem in {"beir", "main"}]
    return [
        Item("submission", "results table with baselines", bool(tables and evidence.others), _listed(tables)),
        Item("submission", "ablations with and without SIGReg", with_and_without, ablated.found),
        Item("submission", "plots of isotropy", bool(plots), _listed(plots)),
        Item("submission", "training curves", bool(curves), _listed(curves)),
        Item("submission", "qualitative examples", bool(examples), _listed(examples)),
        Item("submission", "code and checkpoints released", _done(released.finding), released.found),
    ]


def _done(finding: str) -> bool | None:
    return {"pass": True, "fail": False}.get(finding)


def _named(evidence: Evidence, parts: Sequence[str]) -> list[Path]:
    found = [*evidence.files("figures/*.pdf"), *evidence.files("figures/*.png")]
    return [path for path in found if any(part in path.stem for part in parts)]


def _listed(paths: Sequence[Path]) -> str:
    names = sorted({path.name for path in paths})
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
