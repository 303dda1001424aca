"""The section of a model card on when not to answer: thresholds, and how well they hold."""

from collections.abc import Sequence
from pathlib import Path

from ragcun.abstain.tables import Assessed, assess
from ragcun.embedding.resolve import ResolvedModel, parse_label
from ragcun.evaluation.results import Result, read_results
from ragcun.files import expanded

FOLDER = "cells-abstain"
_SCORE = "top"  # the only score that users can compute from the model's similarity alone


def card_thresholds(sources: Sequence[str], model: ResolvedModel) -> str:
    """Write the section on thresholds from the cells of `ragcun eval abstain` in `sources`; empty without cells."""
    results: dict[tuple[str, str], Result] = {}
    for source in sources:
        folder = Path(parse_label(source)[1])
        for cells in [folder] if folder.name == FOLDER else sorted(folder.rglob(FOLDER)):
            for result in read_results(cells):
                if _is(result, model):
                    results.setdefault((result.dataset, result.split), result)
    rows = [row for row in assess(list(results.values())) if row.key == _SCORE]
    return _section(rows) if rows else ""


def _is(result: Result, model: ResolvedModel) -> bool:
    path = expanded(parse_label(result.model)[1]).resolve()
    return result.label == model.label or path in {model.path, model.path.parent}


def _section(rows: Sequence[Assessed]) -> str:
    level = 100 * rows[0].level
    kind = "negative Euclidean distance" if rows[0].result.settings.get("similarity") == "euclidean" else "similarity"
    heading = ["collection", "split", "queries", "threshold", "lost", "detected", "lost, other collections", "AUROC"]
    lines = [heading, ["---"] * len(heading), *(_line(row) for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"""## When not to answer

{table}

If the {kind} of the best document is below the threshold, the collection probably has no answer. The \
threshold is set to lose {level:g}% of the answerable queries (split conformal prediction). "Lost" is the percentage \
of further answerable queries of the same collection that are below the threshold, with the 5th and 95th percentile of \
single thresholds. "Detected" is the percentage of queries below the threshold whose relevant documents were removed. \
A threshold holds only for queries and documents like those that it was fitted on: fit it again for your collection \
with `ragcun eval abstain`."""


def _line(row: Assessed) -> list[str]:
    same, found = row.found["same_collection"], row.found
    shares = [100 * share for share in row.other_collections.values()]
    return [
        row.result.dataset,
        row.result.split,
        f"{row.result.queries:,}",
        f"{found['threshold']:.4f}",
        f"{100 * same['false_alarms']:.1f} [{100 * same['low']:.1f}, {100 * same['high']:.1f}]",
        f"{100 * same['detected']:.1f}",
        f"{min(shares):.1f} to {max(shares):.1f}" if shares else "not measured",
        f"{found['auroc']:.3f}",
    ]
