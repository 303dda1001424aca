"""MTEB's result files: writing of results for MTEB's `ResultCache`, and reading of published scores.

FOLDER/results/ORG__MODEL/REVISION/TASK.json and model_meta.json, as in https://github.com/embeddings-benchmark/results
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ragcun.data.benchmark import datasets
from ragcun.errors import UserError
from ragcun.evaluation.results import Result
from ragcun.files import read_json, write_json

_THEIRS = {"nDCG": "ndcg", "MRR": "mrr", "Recall": "recall", "MAP": "map", "P": "precision"}
_OURS = {theirs: ours for ours, theirs in _THEIRS.items()}
_MEASURE = re.compile(r"(ndcg|mrr|recall|map|precision)_at_(\d+)")
_META = "model_meta.json"
_SUBSET = "default"


@dataclass(frozen=True)
class MtebTask:
    """A task of MTEB: its name, the revision of its data, and its evaluation split."""

    name: str
    revision: str
    split: str


@dataclass(frozen=True)
class PublishedScores:
    """A model's scores in a file of MTEB: measure (ragcun's name) -> mean, 0 to 1.

    Attributes:
        model: the model's name, as ORG/MODEL.
        dataset: BEIR's name of the dataset.
        split: BEIR's name of the split.
        source: the file.
        mteb: the version of MTEB; None if the file does not state it.
    """

    model: str
    revision: str
    dataset: str
    split: str
    metrics: Mapping[str, float]
    source: Path
    mteb: str | None


@cache
def tasks() -> dict[str, MtebTask]:
    """Return MTEB's tasks by BEIR's names of the datasets, including CQADupStack's forums."""
    return {name: MtebTask(**facts) for name, facts in _declared()["tasks"].items()}


@cache
def _declared() -> dict[str, Any]:
    return tomllib.loads((files("ragcun.evaluation") / "mteb_tasks.toml").read_text(encoding="utf-8"))


def write_mteb(results: Sequence[Result], folder: Path, meta: Mapping[str, Any]) -> list[Path]:
    """Write the results of one model into `folder`, as MTEB's `ResultCache` reads them; return the files.

    Args:
        results: the results of one model; those on datasets without an MTEB task are left out.
        folder: the `cache_path` of `ResultCache`.
        meta: the content of model_meta.json; "name" is ORG/MODEL, and "revision" is the model's revision.

    Raises:
        UserError: the name is not ORG/MODEL, or no result is on a dataset of MTEB.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", meta["name"]):
        raise UserError(f"{meta['name']!r}: MTEB needs the model's name as ORG/MODEL")
    found = {result.dataset: result for result in results if _is_task(result)}
    if not found:
        there = ", ".join(sorted({f"{result.dataset} ({result.split})" for result in results})) or "none"
        raise UserError(f"MTEB has no task for any of these results: {there}")
    target = folder / "results" / meta["name"].replace("/", "__") / meta["revision"]
    written = []
    for dataset, result in found.items():
        path = target / f"{tasks()[dataset].name}.json"
        write_json(path, _task_result(result, tasks()[dataset]))
        written.append(path)
    write_json(target / _META, meta)
    return [*written, target / _META]


def _is_task(result: Result) -> bool:
    known = {one.name: one for dataset in datasets().values() for one in (dataset, *dataset.parts)}
    return result.dataset in tasks() and known[result.dataset].split == result.split


def _task_result(result: Result, task: MtebTask) -> dict[str, Any]:
    scores = {_their_name(name): value for name, value in result.metrics.items()}
    entry = {**scores, "main_score": scores["ndcg_at_10"], "hf_subset": _SUBSET, "languages": ["eng-Latn"]}
    return {
        "dataset_revision": task.revision,
        "task_name": task.name,
        "mteb_version": _declared()["mteb"],
        "scores": {task.split: [entry]},
        "evaluation_time": result.seconds,
        "kg_co2_emissions": None,
    }


def _their_name(measure: str) -> str:
    name, _, depth = measure.partition("@")
    return f"{_THEIRS[name]}_at_{depth}"


def read_mteb(folder: Path) -> list[PublishedScores]:
    """Read all results on BEIR's and NanoBEIR's datasets in `folder`, in the order of their paths.

    `folder` is that of a `ResultCache`, a clone of MTEB's repository of results, or the output of MTEB. Tasks on other
    datasets are left out. Raises `UserError` if nothing is left, or if a file is not a result of MTEB.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give a folder of MTEB's result files")
    found = [one for path in sorted(folder.rglob("*.json")) if path.name != _META for one in _read(path)]
    if not found:
        raise UserError(f"{folder}: has no result of MTEB's on a dataset of BEIR")
    return found


def _read(path: Path) -> Iterable[PublishedScores]:
    name = next((name for name, task in tasks().items() if task.name == path.stem), None)
    if name is None:
        return
    task, content, meta = tasks()[name], read_json(path), path.with_name(_META)
    try:
        model = read_json(meta)["name"] if meta.is_file() else path.parent.parent.name.replace("__", "/")
        scores = next(one for one in content["scores"][task.split] if one["hf_subset"] == _SUBSET)
        metrics = {_our_name(key): float(value) for key, value in scores.items() if _MEASURE.fullmatch(key)}
    except (KeyError, TypeError, ValueError, StopIteration):
        raise UserError(f"{path}: not a result of MTEB's on {task.name} (scores, {task.split})") from None
    whole = next(one for dataset in datasets().values() for one in (dataset, *dataset.parts) if one.name == name)
    yield PublishedScores(model, path.parent.name, name, whole.split, metrics, path, content.get("mteb_version"))


def _our_name(measure: str) -> str:
    name, _, depth = measure.partition("_at_")
    return f"{_OURS[name]}@{depth}"
