"""Evaluation of codecs: nDCG@10 and bytes per vector, with tests against full precision."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ragcun.embedding.resolve import parse_label
from ragcun.errors import Failure, UserError
from ragcun.evaluation.beir import evaluate_tasks, identify_all
from ragcun.evaluation.results import Result
from ragcun.evaluation.systems import Method, Row, System, compare_systems
from ragcun.evaluation.tasks import Task
from ragcun.evaluation.ties import Range, tie_range
from ragcun.retrieval.codecs.spec import CodecSpec
from ragcun.retrieval.registry import ApiModel, Encoder, entry
from ragcun.retrieval.retrievers import RetrieverOptions

MEASURE = "nDCG@10"
FULL = CodecSpec("fp32")


@dataclass(frozen=True)
class Compressed:
    """A model with a codec, on a dataset or over several.

    Attributes:
        model: the model's name in tables.
        codec: the codec; fp32 is full precision.
        settings: the codec's parameters, as JSON.
        bytes: the bytes per vector.
        shared: the bytes that all vectors share; the mean over datasets.
        row: the score, compared with that at full precision.
        ties: the lowest and the highest score over all orders of tied documents.
    """

    model: str
    codec: CodecSpec
    settings: Mapping[str, Any]
    bytes: int
    shared: float
    row: Row
    ties: Range

    def to_json(self) -> dict[str, Any]:
        """Return a flat row for `--json`."""
        against, adjusted = self.row.against, self.row.adjusted
        return {
            "model": self.model,
            "dataset": self.row.dataset,
            "over": list(self.row.over),
            "split": self.row.split,
            "domain": self.row.domain,
            "codec": str(self.codec),
            **self.codec.to_json(),
            "whiten_power_used": self.settings.get("whiten_power", 0.0),
            "bytes": self.bytes,
            "shared_bytes": self.shared,
            MEASURE: self.row.score,
            "ties": list(self.ties),
            "difference": None if against is None else against.difference,
            "interval": None if against is None else [against.low, against.high],
            "p_value": None if against is None else against.p_value,
            "p_adjusted": None if adjusted is None else adjusted.p_value,
            "verdict": self.row.verdict,
        }


def codec_specs(
    codes: Sequence[str],
    dims: Sequence[int | None] = (None,),
    rotate: bool | None = None,
    power: Any = 0.0,
    rescore: int | None = None,
) -> list[CodecSpec]:
    """Combine every codec with every number of dimensions.

    A codec with parameters in its name (2bit/192) is used as it is. Codecs with a given number of bytes choose the
    dimensions themselves, and fp32, which is always included, keeps the vectors as they are. Raises `UserError` if
    there is no such codec.
    """
    found: dict[CodecSpec, None] = {}
    for code in codes:
        spec = CodecSpec.parse(code)
        if "/" in code:
            found[spec] = None
            continue
        if rotate is not None and rotate != spec.rotated:
            spec = replace(spec, rotate=rotate)
        spec = replace(spec, whiten_power=power, rescore=rescore)
        several = (None,) if spec.size is not None else dims
        found |= dict.fromkeys(replace(spec, dims=one) for one in several)
    return [spec for spec in found if spec != FULL]


def compress(
    models: Sequence[str],
    tasks: Sequence[Task],
    specs: Sequence[CodecSpec],
    output: Path,
    options: RetrieverOptions,
    failures: list[Failure] | None = None,
) -> list[Compressed]:
    """Score each model at full precision and with each codec on each task; see `evaluate_tasks`.

    Raises:
        UserError: a model has no vectors, or its name already has a codec.
    """
    qrels = {(task.collection.name, task.split): task.collection.qrels(task.split) for task in tasks}
    ranges: dict[tuple[str, str, str], Range] = {}
    found: list[Compressed] = []
    codecs = {model: {with_codec(model, spec): spec for spec in specs} for model in models}
    known = identify_all(models, options, failures)
    coded = {model: identify_all(list(codecs[model]), options) for model in known}
    for model, named in coded.items():
        identities = {model: known[model], **named}
        results = evaluate_tasks(identities, tasks, output, options, failures)
        specs_of = {identity.label: codecs[model].get(name, FULL) for name, identity in identities.items()}
        for one in results:
            ranges[one.label, one.dataset, one.split] = tie_range(one, qrels[one.dataset, one.split])
        by_label = {label: [one for one in results if one.label == label] for label in specs_of}
        systems = [
            System(label, {(one.dataset, one.split): [one] for one in mine}) for label, mine in by_label.items() if mine
        ]
        base = identities[model].label
        if not by_label[base]:
            continue
        for row in compare_systems(systems, base, Method(MEASURE)):
            mine = [one for one in by_label[row.label] if one.dataset in row.over]
            found.append(_compressed(base, specs_of[row.label], row, mine, ranges))
    return found


def pareto(rows: Iterable[Compressed]) -> list[Compressed]:
    """Return the Pareto front of rows over the same datasets (fewest bytes, highest score), by bytes."""
    front: list[Compressed] = []
    for one in sorted(rows, key=lambda row: (row.bytes, -row.row.score)):
        if not front or one.row.score > front[-1].row.score:
            front.append(one)
    return front


def _compressed(
    model: str,
    spec: CodecSpec,
    row: Row,
    results: Sequence[Result],
    ranges: Mapping[tuple[str, str, str], Range],
) -> Compressed:
    settings = results[0].settings.get("codec") or {}
    shared = [(one.settings.get("codec") or {}).get("shared_bytes", 0) for one in results]
    ends = [ranges[one.label, one.dataset, one.split] for one in results]
    low, high = (sum(end[side] for end in ends) / len(ends) for side in (0, 1))
    size = settings.get("bytes") or 4 * int(results[0].settings.get("dimension") or 0)
    return Compressed(model, spec, settings, int(size), sum(shared) / len(shared), row, (low, high))


def with_codec(model: str, spec: CodecSpec) -> str:
    """Return the name of the model with the codec. Raises `UserError` if the model cannot have a codec."""
    found = entry(model)
    if not isinstance(found, Encoder | ApiModel):
        raise UserError(f"{model}: has no vectors to compress; give an encoder or openai:MODEL")
    if found.codec is not None:
        raise UserError(f"{model}: already has a codec; give the model alone, and codecs with --codes")
    label, plain = parse_label(model)
    named = f"{plain}{',' if found.note else ':'}codec={spec}"
    return named if label is None else f"{label} ({str(spec).replace('=', ' ')})={named}"
