"""Explanation of the difference between two scores: differences in their records, and evaluations with single factors.

A factor is a setting: the model, its dtype, prompts, pooling, maximum length, runtime, or the split. Differences that
are not settings (versions, hardware) are listed, too, but can only be tested on the other machine.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ragcun.console import say
from ragcun.data.collection import Collection
from ragcun.errors import UserError
from ragcun.evaluation.metrics import Qrels, score
from ragcun.evaluation.results import Cell, Result, check_part, read_results, result_record
from ragcun.retrieval.registry import Encoder, Lexical, entry
from ragcun.retrieval.retrievers import Entry, RetrieverOptions
from ragcun.retrieval.runs import Run, ranked, read_run

_SAME = 5e-5  # scores are published with four decimals
_MISSING = "(not stated)"
# Entries that cannot be a cause: results, dates and times.
_LEFT_OUT = (
    "metrics",
    "seconds",
    "files",
    "environment.time",
    "environment.git",
    "label",
    "xxh3_128",
    "settings.vectors",
)
_KINDS = (
    ("dtype", ("precision",)),
    ("prompt", ("prompts", "recipe.query", "recipe.document")),
    ("length", ("max_length",)),
    ("split", ("split",)),
    ("data", ("inputs.data", "queries", "documents", "own_documents_excluded", "problems")),
    ("revision", ("files", "fingerprint", "settings.model", "inputs.retriever.run", "model", "settings.sha256")),
    ("similarity", ("similarity", "pooling", "truncate_dim", "modules")),
    ("runtime", ("runtime", "version", "device")),
    ("environment", ("environment",)),
)


@dataclass(frozen=True)
class Difference:
    """An entry that differs between two records; `kind` is its factor."""

    kind: str
    name: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Step:
    """An evaluation of A with `changed` set as in B: its score (0 to 1), and whether this is B's score."""

    changed: tuple[str, ...]
    score: float
    explains: bool


@dataclass(frozen=True)
class Explained:
    """Two scores on one dataset, and their difference.

    Attributes:
        ours, theirs: the scores of A and B, 0 to 1.
        queries: the number of queries with different scores, and of queries that both have; None without scores.
        ties: the lowest and highest scores of A and of B over all orders of tied documents.
        steps: the evaluations of A, first unchanged.
    """

    measure: str
    ours: float
    theirs: float
    differences: tuple[Difference, ...]
    queries: tuple[int, int] | None
    ties: tuple[tuple[float, float], tuple[float, float]] | None = None
    steps: tuple[Step, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the scores agree to four decimals."""
        return abs(self.ours - self.theirs) <= _SAME

    @property
    def cause(self) -> str:
        """The explanation of the difference, in a sentence."""
        if self.same:
            return "The scores agree to four decimals."
        found = next((step for step in self.steps[1:] if step.explains), None)
        if found is not None:
            return (
                f"The cause is {' and '.join(found.changed)}: set as in B, A scores {100 * found.score:.2f}, as B does."
            )
        if self.steps and not abs(self.steps[0].score - self.ours) <= _SAME:
            return (
                f"A's own settings give {100 * self.steps[0].score:.2f} here, not {100 * self.ours:.2f}: the cause is "
                "something that is not a setting (data, versions or hardware)."
            )
        if self.ties is not None and _overlap(*self.ties):
            return "Another order of tied documents can explain it: the ranges of the two scores over ties overlap."
        if self.steps:
            return "No setting explains it, alone or together with the others."
        kinds = ", ".join(dict.fromkeys(one.kind for one in self.differences)) or "nothing that is recorded"
        return f"They differ in {kinds}; --rerun finds the cause."

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as `--json` prints it."""
        return asdict(self) | {"same": self.same, "cause": self.cause}


def find_result(where: Path, dataset: str | None, split: str | None) -> Result:
    """Find the result at `where`: a result.json, or a folder with exactly one for the dataset and split.

    Raises `UserError` if there is none or more than one.
    """
    if where.is_file():
        if where.name != "result.json":
            raise UserError(f"{where}: not a result.json; give one, or a folder of results")
        return Result.from_json(result_record(where), where)
    if not where.is_dir():
        raise UserError(f"{where}: no such file or folder; give a result.json or a folder of results")
    every = read_results(where)
    found = [r for r in every if dataset in {None, r.dataset} and split in {None, r.split}]
    if len(found) != 1:
        asked = "".join(f" on --{key} {value!r}" for key, value in (("dataset", dataset), ("split", split)) if value)
        there = ", ".join(f"{r.label} on {r.dataset} ({r.split})" for r in (found or every)[:6]) or "none"
        raise UserError(
            f"{where}: has {len(found)} results{asked} ({there}); choose with --dataset, or give the folder of one cell"
        )
    return found[0]


def explain(a: Result, b: Result, measure: str = "nDCG@10", collection: Collection | None = None) -> Explained:
    """Compare the records of two results on one dataset and, with the `collection`, their scores over ties.

    Raises `UserError` if they are of different datasets, or lack the measure.
    """
    if a.dataset != b.dataset:
        raise UserError(f"A is of {a.dataset}, and B is of {b.dataset}; give results on the same dataset")
    for result in (a, b):
        if measure not in result.metrics:
            raise UserError(f"{result.path}: has no metric {measure!r}, only {', '.join(result.metrics)}")
    ties = None
    if collection is not None and a.run.is_file() and b.run.is_file():
        ties = (_tie_range(a, collection, measure), _tie_range(b, collection, measure))
    found = differences(result_record(a.path), result_record(b.path))
    return Explained(measure, a.metrics[measure], b.metrics[measure], tuple(found), _queries(a, b, measure), ties)


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """List the entries that differ between two records, settings first."""
    flat_a, flat_b = _flat(a), _flat(b)
    found = [
        Difference(_kind(name), name, flat_a.get(name, _MISSING), flat_b.get(name, _MISSING))
        for name in dict.fromkeys([*flat_a, *flat_b])
        if flat_a.get(name, _MISSING) != flat_b.get(name, _MISSING) and not name.startswith(_LEFT_OUT)
    ]
    order = [kind for kind, _ in _KINDS]
    return sorted(found, key=lambda one: order.index(one.kind) if one.kind in order else len(order))


def _flat(record: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return flat


def _kind(name: str) -> str:
    if name.startswith("environment."):
        return "environment"
    return next((kind for kind, parts in _KINDS if any(part in f".{name}" for part in parts)), "other")


def _queries(a: Result, b: Result, measure: str) -> tuple[int, int] | None:
    for result in (a, b):
        check_part(result.scores)
    if not a.scores.is_file() or not b.scores.is_file():
        return None
    sides = []
    for result in (a, b):
        table = pq.read_table(result.scores, columns=["query_id", measure])
        sides.append(dict(zip(table["query_id"].to_pylist(), table[measure].to_pylist(), strict=True)))
    both = sides[0].keys() & sides[1].keys()
    return sum(abs(sides[0][query] - sides[1][query]) > 1e-9 for query in both), len(both)


def _tie_range(result: Result, collection: Collection, measure: str) -> tuple[float, float]:
    """Return the scores of a run with tied documents in the worst and in the best order."""
    check_part(result.run)
    qrels, run = collection.qrels(result.split), read_run(result.run)
    ends = [score(qrels, _ordered(run, qrels, best), [measure]).means()[measure] for best in (False, True)]
    return ends[0], ends[1]


def _ordered(run: Run, qrels: Qrels, best: bool) -> dict[str, dict[str, float]]:
    ordered = {}
    for query, scores in run.items():
        grades = qrels.get(query, {})
        placed = sorted(
            ranked(scores), key=lambda pair: (-pair[1], -grades.get(pair[0], 0) if best else grades.get(pair[0], 0))
        )
        ordered[query] = {document: float(-rank) for rank, (document, _) in enumerate(placed)}
    return ordered


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a != b and max(a[0], b[0]) <= min(a[1], b[1]) + _SAME and (a[0] < a[1] or b[0] < b[1])


@dataclass(frozen=True)
class _Way:
    """The settings of a result, with which it can be evaluated again."""

    entry: Entry
    options: RetrieverOptions
    split: str


def rerun(found: Explained, a: Result, b: Result, collection: Collection, options: RetrieverOptions) -> Explained:
    """Evaluate A again, unchanged, then with one factor of B at a time, then with several, until it has B's score.

    `options` gives the store and device; precision, maximum length, runtime and index are those of the results.

    Raises `UserError` if a result is not of a retriever, or the two are of different kinds.
    """
    ours, theirs = _way(a, options), _way(b, options)
    if type(ours.entry) is not type(theirs.entry):
        raise UserError(
            f"{a.label} and {b.label} are different kinds of systems, so that no setting can explain the difference"
        )
    factors = _factors(ours, theirs)
    say(f"factors that differ and can be set: {', '.join(factors) or 'none'}")
    steps = [_step((), ours, found, collection)]
    for name, change in factors.items():
        steps.append(_step((name,), change(ours), found, collection))
    if len(factors) > 1 and not any(step.explains for step in steps[1:]):
        alone = steps[0].score  # factors without an effect of their own are tried last
        by_gap = sorted(steps[1:], key=lambda step: (step.score == alone, abs(step.score - found.theirs)))
        way, names = ours, []
        for step in by_gap:
            names.append(step.changed[0])
            way = factors[names[-1]](way)
            if len(names) > 1:
                steps.append(_step(tuple(names), way, found, collection))
                if steps[-1].explains:
                    break
    return replace(found, steps=tuple(steps))


def _way(result: Result, options: RetrieverOptions) -> _Way:
    record = result_record(result.path)
    inputs = record.get("inputs", {}).get("retriever", {})
    parsed = entry(result.model)
    if not isinstance(parsed, Encoder | Lexical):
        raise UserError(f"{result.model}: only BM25 and encoders can be evaluated again")
    chosen = replace(
        options,
        precision=inputs.get("precision", options.precision),
        max_length=inputs.get("max_length"),
        runtime=inputs.get("runtime", options.runtime),
        index=inputs.get("index", "exact"),
    )
    return _Way(replace(parsed, label=None), chosen, result.split)


def _factors(a: _Way, b: _Way) -> dict[str, Any]:
    """Return for each factor that differs a function that sets it as in B."""
    factors: dict[str, Any] = {}
    for name, shown in (("precision", "dtype"), ("max_length", "length"), ("runtime", "runtime"), ("index", "index")):
        if getattr(a.options, name) != (value := getattr(b.options, name)):
            factors[shown] = lambda way, name=name, value=value: replace(
                way, options=replace(way.options, **{name: value})
            )
    if a.split != b.split:
        factors["split"] = lambda way: replace(way, split=b.split)
    if isinstance(a.entry, Encoder) and isinstance(b.entry, Encoder):
        if a.entry.model != b.entry.model:
            model = b.entry.model
            factors["revision"] = lambda way: replace(way, entry=replace(way.entry, model=model))
        for field in fields(a.entry.recipe):
            if getattr(a.entry.recipe, field.name) != (value := getattr(b.entry.recipe, field.name)):
                shown = f"prompt ({field.name})" if field.name in {"query", "document"} else field.name
                factors[shown] = lambda way, name=field.name, value=value: replace(
                    way, entry=replace(way.entry, recipe=replace(way.entry.recipe, **{name: value}))
                )
    if isinstance(a.entry, Lexical) and isinstance(b.entry, Lexical):
        for name in ("k1", "b", "language"):
            if getattr(a.entry, name) != (value := getattr(b.entry, name)):
                factors[name] = lambda way, name=name, value=value: replace(
                    way, entry=replace(way.entry, **{name: value})
                )
    return factors


def _step(changed: Sequence[str], way: _Way, found: Explained, collection: Collection) -> Step:
    from ragcun.evaluation.compute import compute

    shown = " and ".join(changed)
    say(f"A again{f', with {shown} of B' if shown else ''}")
    with tempfile.TemporaryDirectory() as scratch:
        retriever = way.entry.load(way.options)
        cell = Cell(Path(scratch), "again", collection.name, way.split)
        result = compute("again", retriever, collection, way.split, cell, {"domain": None})
    value = result.metrics[found.measure]
    return Step(tuple(changed), value, bool(changed) and bool(np.abs(value - found.theirs) <= _SAME))
