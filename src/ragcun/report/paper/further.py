"""Tables of results besides rankings: claims of the literature, and abstention."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ragcun.abstain.tables import assess, collections_table, summary_table
from ragcun.evaluation.results import Result, result_record
from ragcun.intact import read_written
from ragcun.report.paper.inputs import Inputs
from ragcun.report.paper.scores import with_sources
from ragcun.table import Cell, Column, Note, Table, decimals, significant


def claims_tables(inputs: Inputs) -> Iterator[Table]:
    """Return a table of verdicts for each claims.json."""
    for path in _found(inputs, "claims.json"):
        content = read_written(path, "claims")
        if content["claims"]:
            yield with_sources(_claims(content["claims"]), [inputs.source(path)])


def _claims(claims: list[Mapping[str, Any]]) -> Table:
    columns = [
        Column("Claim"),
        Column("Rule"),
        Column("Found", decimals(4, sign=True)),
        Column("p (Holm)", significant),
        Column("Power", decimals(2)),
        Column("Verdict"),
    ]
    rows = []
    for claim in claims:
        found = claim.get("found")
        low_high = None if found is None else (found["low"], found["high"])
        rows.append(
            [
                Cell(f"{claim['key']}: {claim['claimed']}"),
                Cell(f"{claim['rule']} {claim['margin']:g}"),
                Cell(None if found is None else found["mean"], interval=low_high),
                Cell(claim.get("p_adjusted")),
                Cell(None if found is None else found["power"]),
                Cell(claim.get("verdict") or "not tested"),
            ]
        )
    models = ", ".join(dict.fromkeys(str(claim["model"]) for claim in claims))
    datasets = ", ".join(dict.fromkeys(name for claim in claims for name in claim["dataset"]))
    title = f"Claims of the literature, tested with {models} on {datasets}, with 95% intervals."
    note = "Rules and margins were declared before anything was measured. Differences are of nDCG@10, 0 to 1."
    return Table(title, columns, [rows], [Note(note)], "claims")


def abstention_tables(inputs: Inputs) -> list[Table]:
    """Return a table of how well scores detect queries without an answer, over all collections."""
    results = []
    for path in _found(inputs, "result.json"):
        if any(part.startswith("cells-") for part in path.parts):
            content = result_record(path)
            if "abstention" in content:
                results.append(Result.from_json(content, path))
    if not results:
        return []
    rows = assess(results)
    several = len({result.dataset for result in results}) > 1
    table = summary_table(rows) if several else collections_table(rows)
    title = "Abstention: how well scores detect queries whose answer is missing."
    sources = [inputs.source(result.path) for result in results]
    return [with_sources(replace(table, title=title, label="abstention"), sources)]


def _found(inputs: Inputs, name: str) -> Iterator[Path]:
    return (path for folder in inputs.folders.values() for path in sorted(folder.rglob(name)))
