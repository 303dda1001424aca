"""A threshold below which a model should not answer, and what it is worth, for the model's card."""

from collections.abc import Sequence
from pathlib import Path

from ragcun.abstain.tables import Assessed, assess
from ragcun.embedding.resolve import ResolvedModel, parse_label
from ragcun.evaluation.results import Result, read_results

FOLDER = "cells-abstain"
_SCORE = "top"  # which needs nothing but the model's own similarity


def card_thresholds(sources: Sequence[str], model: ResolvedModel) -> str:
    """A section on thresholds, from the cells of `ragcun eval abstain` below `sources`; empty where there is none."""
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
    path = Path(parse_label(result.model)[1]).expanduser().resolve()
    return result.label == model.label or path in {model.path, model.path.parent}


def _section(rows: Sequence[Assessed]) -> str:
    level = 100 * rows[0].level
    kind = "negative Euclidean distance" if rows[0].result.settings.get("similarity") == "euclidean" else "similarity"
    heading = ["collection", "split", "queries", "threshold", "lost at home", "detected", "lost elsewhere", "AUROC"]
    lines = [heading, ["---"] * len(heading), *(_line(row) for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"""## When not to answer

{table}

If the {kind} of the best document is below the threshold, the collection probably has no answer. The \
threshold is set to lose {level:g}% of the queries that the collection answers (split conformal prediction). Lost at \
home: on further queries of the same collection, in percent, with the 5th and 95th percentile of what a single \
threshold does. Detected: of queries whose relevant documents were taken out. It holds for queries and documents like \
those it was fitted on, and not elsewhere: fit it anew for your collection with `ragcun eval abstain`."""


def _line(row: Assessed) -> list[str]:
    home, found = row.found["at_home"], row.found
    shares = [100 * share for share in row.abroad.values()]
    return [
        row.result.dataset,
        row.result.split,
        f"{row.result.queries:,}",
        f"{found['threshold']:.4f}",
        f"{100 * home['false_alarms']:.1f} [{100 * home['low']:.1f}, {100 * home['high']:.1f}]",
        f"{100 * home['detected']:.1f}",
        f"{min(shares):.1f} to {max(shares):.1f}" if shares else "not measured",
        f"{found['auroc']:.3f}",
    ]
