"""`ragcun claims run`: measure claims, keep the measurements, and decide on all claims together.

OUTPUT/LABEL/measured/KEY.json       the measurements of a claim with their inputs; used again if the inputs are the
same OUTPUT/LABEL/measured/KEY.parquet    the difference of each query, or the value of each collection
OUTPUT/LABEL/heads/NAME-SEED-HASH    trained heads, which are experiments; the hash is over all that determines them
OUTPUT/LABEL/claims.json             all verdicts
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ragcun.analysis.treatment import MOVED
from ragcun.claims.bench import Bench
from ragcun.claims.registry import CHECK, CLAIMS, Claim, Measured
from ragcun.claims.verdict import Found, Verdict, of_collections, of_queries, settle
from ragcun.console import duration, say
from ragcun.evaluation.tasks import Task
from ragcun.files import atomic_path
from ragcun.intact import read_kept, write_record
from ragcun.lock import only_writer
from ragcun.manifest import environment
from ragcun.retrieval.retrievers import RetrieverOptions


@dataclass(frozen=True)
class Settled:
    """A claim with its result; `found` and `verdict` are None if it could not be tested, and `why` has the reason.

    `moved` is the change of isotropy by the treatment, for claims that name isotropy as the cause.
    """

    claim: Claim
    model: str
    datasets: tuple[str, ...]
    found: Found | None
    by_dataset: tuple[float, ...] = ()
    verdict: Verdict | None = None
    p_adjusted: float | None = None
    moved: float | None = None
    why: str = ""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        claim = self.claim.to_json()
        return claim | {
            "model": self.model,
            "dataset": list(self.datasets),
            "nDCG@10 differences": dict(zip(self.datasets, self.by_dataset, strict=False)),
            "found": None if self.found is None else asdict(self.found),
            "verdict": self.verdict,
            "p_adjusted": self.p_adjusted,
            "isotropy moved": self.moved,
            "why": self.why,
            "seconds": self.seconds,
        }


def run_claims(
    model: str,
    tasks: Sequence[Task],
    train: Path | None,
    output: Path,
    options: RetrieverOptions,
    claims: Sequence[Claim] = CLAIMS,
) -> list[Settled]:
    """Measure `claims` on a base and several collections, and decide on them as one family of tests.

    Claims that need heads are not tested if `train`, a collection with a train split, is None. Raises `UserError` if
    another process writes to the folder of the same base in `output`.
    """
    bench = Bench(model, tasks, train, output, options)
    with only_writer(bench.folder, "ragcun claims run"):
        return _run(bench, tasks, options, claims)


def _run(bench: Bench, tasks: Sequence[Task], options: RetrieverOptions, claims: Sequence[Claim]) -> list[Settled]:
    folder = bench.folder
    inputs = {
        "base": bench.fingerprint,
        "precision": options.precision,
        "data": [[task.collection.name, task.split, task.data] for task in tasks],
    }
    names = tuple(place.name for place in bench.places)
    settled = []
    for claim in claims:
        if claim.heads and not bench.trains:
            settled.append(
                Settled(claim, bench.label, names, None, why="no collection has a train split to train heads on")
            )
            continue
        settled.append(_measured(claim, bench, names, folder / "measured", inputs))
    tested = [one for one in settled if one.found is not None]
    verdicts = settle([(one.found, one.claim.rule, one.claim.margin) for one in tested if one.found is not None])
    by_key = {one.claim.key: verdict for one, verdict in zip(tested, verdicts, strict=True)}
    settled = [
        replace(one, verdict="undecided" if one.why else by_key[one.claim.key][0], p_adjusted=by_key[one.claim.key][1])
        if one.claim.key in by_key
        else one
        for one in settled
    ]
    write_record(
        folder / "claims.json",
        {"claims": [one.to_json() for one in settled], "inputs": inputs, "environment": environment()},
    )
    return settled


def _measured(claim: Claim, bench: Bench, names: tuple[str, ...], folder: Path, inputs: dict[str, Any]) -> Settled:
    path = folder / f"{claim.key}.json"
    inputs = inputs | {"operation": claim.operation, "rule": claim.rule, "margin": claim.margin}
    if claim.heads:
        inputs |= bench.training
    if claim.moved is not None:
        inputs |= {"check": CHECK}
    kept = read_kept(path)
    if kept is None or kept.get("inputs") != inputs:
        began = time.perf_counter()
        measured = claim.measure(bench)
        if len(measured) < 2 and np.ndim(measured[0]) == 0:
            return Settled(claim, bench.label, names, None, why="this claim needs at least two collections")
        moved = None if claim.moved is None else claim.moved(bench)
        seconds = time.perf_counter() - began
        say(f"{claim.key}: measured in {duration(seconds)}")
        path.unlink(missing_ok=True)
        values = path.with_suffix(".parquet")
        _write(values, names, measured)
        by_dataset = [float(np.mean(one)) for one in measured]
        found = _tested(claim, measured)
        content = {"inputs": inputs, "found": asdict(found), "by_dataset": by_dataset, "seconds": round(seconds, 2)}
        content["moved"] = moved
        kept = write_record(path, content, [values])
    found, moved = Found(**kept["found"]), kept["moved"]
    why = ""
    if moved is not None and moved < MOVED:
        why = f"the treatment had too little effect: it moved the participation ratio by {moved:.2f} of N(0, I)'s"
    means = tuple(kept["by_dataset"])
    return Settled(claim, bench.label, names, found, means, moved=moved, why=why, seconds=kept["seconds"])


def _tested(claim: Claim, measured: Measured) -> Found:
    if np.ndim(measured[0]) == 0:
        return of_collections([float(value) for value in measured], claim.rule, claim.margin)
    return of_queries([np.asarray(one) for one in measured], claim.rule, claim.margin)


def _write(path: Path, names: Sequence[str], measured: Measured) -> None:
    each = [np.atleast_1d(one) for one in measured]
    datasets = [name for name, one in zip(names, each, strict=True) for _ in range(len(one))]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        pq.write_table(pa.table({"dataset": datasets, "difference": np.concatenate(each)}), temporary)
