"""`ragcun train`: a training from settings to an experiment folder with an encoder.

A training has four steps: prepare (open the data, hash everything that determines the outcome), build (encode texts,
initialise the encoder), fit, and publish.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from ragcun.analysis.treatment import sentence
from ragcun.console import say, warn
from ragcun.data.jsonl import JsonlTexts
from ragcun.data.pairs import Pairs
from ragcun.data.provenance import Provenance
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.load import load_model
from ragcun.embedding.origin import Origin, origin_of
from ragcun.embedding.resolve import ResolvedModel, resolve_model
from ragcun.embedding.width import with_output_dim
from ragcun.errors import UserError
from ragcun.files import write_text
from ragcun.heads.registry import HEADS
from ragcun.heads.spectrum import spectrum
from ragcun.intact import DamagedError, check_files, write_record
from ragcun.machine import used, used_since
from ragcun.manifest import environment, read_manifest
from ragcun.model.card import Card
from ragcun.model.export import save_encoder
from ragcun.settings.load import to_toml
from ragcun.settings.schema import Settings
from ragcun.training.accelerator import make_accelerator
from ragcun.training.batches import PairSource, PairTexts, PairVectors, sample_vectors
from ragcun.training.data import (
    DevTexts,
    general_sources,
    general_texts,
    out_of_domain_texts,
    tell,
    training_data,
)
from ragcun.training.dev import MEASURE, Dev, EncodedDev, StoredDev
from ragcun.training.encoder import EncoderWithObjective
from ragcun.training.interpolation import choose_alpha, interpolated
from ragcun.training.loop import Job, Outcome, Training
from ragcun.training.start import starting_encoder

_SPECTRUM_ROWS = 50_000
_SPECTRUM_ROWS_TO_ENCODE = 10_000  # if they are encoded for the spectrum alone


def train(
    settings: Settings, experiment: Path, store: Path, load_checkpoint: str | None = None, label: str | None = None
) -> dict[str, Any]:
    """Train a head on stored base embeddings, or a whole encoder, and save it in `experiment`/model.

    `label` is the encoder's name in tables; None is the name of the experiment's folder. `load_checkpoint` is an
    encoder or experiment from which the head and, if it is trained, the base are initialised.

    An experiment that is complete with the same settings and data is left as it is; an interrupted one is resumed.

    Returns:
        The manifest, as written to `experiment`/manifest.json.

    Raises:
        UserError: a setting is not supported, or data is missing or malformed.
        RagcunError: the loss became NaN, or memory or disk space ran out.
    """
    began, before = time.perf_counter(), used()
    plan = _prepare(settings, load_checkpoint)
    done = _finished(experiment, plan.identity)
    if done is not None:
        say(f"{experiment}: is already trained with these settings")
        return done
    tell([plan.dev, *plan.out_of_domain.values()])
    accelerator = make_accelerator(settings, experiment)
    if accelerator.is_main_process:
        write_text(experiment / "settings.toml", to_toml(plan.settings))
    built = _build(plan, store)
    encoded = time.perf_counter()
    found = _fit(plan, built, experiment, accelerator)
    seconds = {"encode": encoded - began, "total": time.perf_counter() - began}
    manifest = _manifest(plan, built, label or experiment.resolve().name) | {
        **found,
        "processes": accelerator.num_processes,
        "seconds": seconds,
        "resources": used_since(before),
        "environment": environment(),
    }
    return _publish(built, manifest, experiment, accelerator)


@dataclass(frozen=True)
class _Plan:
    """The data and initial weights of a training. `identity` is a hash of everything that determines the result."""

    settings: Settings
    pairs: Pairs
    dev: DevTexts
    out_of_domain: dict[str, DevTexts]
    general: dict[str, list[JsonlTexts]]
    base: ResolvedModel
    start: ResolvedModel | None
    load_checkpoint: str | None
    identity: str


@dataclass(frozen=True)
class _Built:
    """The initial encoder, the sources of batches and dev scores, and the base's embedder."""

    encoder: EncoderWithObjective
    source: PairSource
    dev: Dev
    embedder: Embedder


def _prepare(settings: Settings, load_checkpoint: str | None) -> _Plan:
    data = settings.data
    pairs, dev = training_data(settings)
    base = resolve_model(settings.model.base, settings.model.revision)
    settings = with_output_dim(settings, base)
    out_of_domain = {Path(name).name: out_of_domain_texts(Path(name), data) for name in data.out_of_domain}
    general = general_texts(data)
    start = None if load_checkpoint is None else resolve_model(load_checkpoint)
    sources = [pairs.source, *(texts.source for texts in (dev, *out_of_domain.values())), *general_sources(general)]
    decides = {
        "seed": settings.seed,
        "model": settings.model.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json", exclude={"log_interval", "track"}),
        "data": sources,
        "sample": {"seed": data.sample_seed, "dev_rows": data.dev_rows},
        "base": base.fingerprint,
        "load_checkpoint": None if start is None else start.fingerprint,
    }
    identity = hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()
    return _Plan(settings, pairs, dev, out_of_domain, general, base, start, load_checkpoint, identity)


def _finished(experiment: Path, identity: str) -> dict[str, Any] | None:
    path = experiment / "manifest.json"
    if not path.is_file():
        return None
    manifest = read_manifest(path)
    if manifest["identity"] != identity:
        raise UserError(
            f"{experiment}: contains an encoder trained with other settings or data; choose another --output-dir"
        )
    try:
        check_files(path, manifest)
    except DamagedError as error:
        say(f"{error}; the encoder is saved again from the checkpoints")
        return None
    return manifest


def _build(plan: _Plan, store: Path) -> _Built:
    settings, pairs, model = plan.settings, plan.pairs, plan.settings.model
    embedder = Embedder(
        model.base,
        store,
        precision=model.precision,
        max_length=model.max_length,
        revision=model.revision,
        runtime=model.runtime,
    )
    if model.freeze_base:
        general = [part for parts in plan.general.values() for part in parts]
        vectors = PairVectors(pairs, embedder, "training", settings.training.random_documents, general)
        dev = StoredDev(plan.dev, embedder)
        found = spectrum(vectors.sample(_SPECTRUM_ROWS, settings.seed))
        encoder = starting_encoder(settings, found, plan.base, plan.start)
        return _Built(encoder, vectors, dev, embedder)
    found = spectrum(sample_vectors(pairs, embedder, _SPECTRUM_ROWS_TO_ENCODE, settings.seed))
    encoder = starting_encoder(settings, found, plan.base, plan.start)
    teacher = embedder if settings.training.needs_teacher else None
    return _Built(encoder, PairTexts(pairs, encoder.base, teacher), EncodedDev(plan.dev), embedder)


def _fit(plan: _Plan, built: _Built, experiment: Path, accelerator: Accelerator) -> dict[str, Any]:
    """Train the encoder and load the weights to save; return the manifest's entries on training and isotropy."""
    dev, encoder = built.dev, built.encoder
    start = dev.isotropy(encoder.eval())
    if HEADS[plan.settings.model.head].trainable:
        found = _train(plan, built, experiment, accelerator)
    else:
        found = {"dev": {"end": dev.ndcg(encoder)}}
    if start is None:
        return found
    isotropy = {**dev.gaussian(plan.settings.model.dimension), "start": start, "end": dev.isotropy(encoder.eval())}
    say(sentence(isotropy))
    return {**found, "isotropy": isotropy}


def _train(plan: _Plan, built: _Built, experiment: Path, accelerator: Accelerator) -> dict[str, Any]:
    settings, stage = plan.settings, plan.settings.training
    keep_start = settings.model.start_power is not None
    job = Job(built.encoder, built.source, built.dev, stage, settings.seed, keep_start, plan.identity)
    training = Training(job, experiment, accelerator)
    training.resume()
    outcome = training.run()
    alpha = stage.interpolate
    if alpha == "auto":
        devs = {name: StoredDev(texts, built.embedder) for name, texts in plan.out_of_domain.items()}
        curve = experiment / "interpolation.json" if accelerator.is_main_process else None
        tolerance, guard = stage.interpolate_tolerance, stage.interpolate_guard
        alpha = choose_alpha(outcome, built.encoder, built.dev, devs, tolerance, guard, curve)
    return _interpolate(outcome, built.encoder, built.dev, alpha, stage.checkpoint)


def _interpolate(
    outcome: Outcome, encoder: EncoderWithObjective, dev: Dev, alpha: float, chosen: str
) -> dict[str, Any]:
    """Load the weights to save, interpolated between the initial and the chosen ones, and report their score."""
    encoder.load_trained(interpolated(outcome.start, outcome.best, alpha))
    end = dev.ndcg(encoder.eval())
    say(
        f"dev {MEASURE}: {100 * outcome.start_ndcg:.2f} at the start, {100 * outcome.best_ndcg:.2f} at its {chosen} "
        f"(step {outcome.best_step} of {outcome.steps}), {100 * end:.2f} saved (interpolation {alpha:g})"
    )
    if outcome.best_step == 0:
        warn("no checkpoint was better on dev than the initial weights, which are saved")
    elif end < outcome.start_ndcg:
        warn("the saved weights score lower on dev than the initial ones")
    batch_size, accumulation, mini_batch = outcome.batch
    return {
        "dev": {
            "measure": MEASURE,
            "start": outcome.start_ndcg,
            "best": outcome.best_ndcg,
            "best_step": outcome.best_step,
            "end": end,
            "alpha": alpha,
        },
        "steps": outcome.steps,
        "batch": {"size": batch_size, "accumulation": accumulation, "mini_batch": mini_batch},
        "training_seconds": outcome.seconds,
    }


def _manifest(plan: _Plan, built: _Built, label: str) -> dict[str, Any]:
    start = plan.start
    embedder, encoder = built.embedder, built.encoder
    before = Provenance.of_all(model.provenance for model in (plan.base, start) if model is not None)
    return {
        "label": label,
        "identity": plan.identity,
        "settings": plan.settings.model_dump(mode="json"),
        "load_checkpoint": None if start is None else {"path": plan.load_checkpoint, "fingerprint": start.fingerprint},
        "data": {
            "train": plan.pairs.source,
            "pairs": len(plan.pairs),
            "dev": plan.dev.source,
            "out_of_domain": [texts.source for texts in plan.out_of_domain.values()],
            "general": general_sources(plan.general),
            "before": None if before is None else before.to_json(),
        },
        "base": embedder.describe() | {"fingerprint": embedder.fingerprint, "origin": asdict(origin_of(plan.base))},
        "parameters": {
            "head": sum(weights.numel() for weights in encoder.head.parameters()),
            "base": embedder.parameters,
            "trained": sum(weights.numel() for weights in encoder.trained().values()),
        },
    }


def _card(manifest: dict[str, Any], experiment: Path) -> str:
    folder = experiment / "model"
    loaded_as = f"{experiment.name}/model" if folder.is_absolute() else folder.as_posix()
    return Card(experiment.resolve().name, loaded_as, manifest, Origin(**manifest["base"]["origin"])).text()


def _publish(built: _Built, manifest: dict[str, Any], experiment: Path, accelerator: Accelerator) -> dict[str, Any]:
    """Save the encoder, then the manifest, which marks the experiment as complete; return the manifest."""
    if accelerator.is_main_process:
        embedder, encoder = built.embedder, built.encoder
        base = encoder.base or load_model(embedder.resolved, manifest["settings"]["model"]["max_length"], device="cpu")
        save_encoder(base.cpu().eval(), encoder.head.cpu().eval(), experiment / "model", _card(manifest, experiment))
        saved = [path for path in (experiment / "model").rglob("*") if path.is_file() and path.name != "README.md"]
        manifest = write_record(experiment / "manifest.json", manifest, sorted(saved))
    accelerator.wait_for_everyone()
    for tracker in accelerator.trackers:
        tracker.finish()
    return manifest
