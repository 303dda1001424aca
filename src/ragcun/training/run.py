"""`ragcun train`: settings in, an experiment folder with an encoder out."""

import hashlib
import importlib.util
import json
import time
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.state import AcceleratorState

from ragcun.console import say, warn
from ragcun.distributed import join_processes
from ragcun.embedding.base import load_model, split
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.resolve import ResolvedModel, resolve_model
from ragcun.errors import UserError
from ragcun.files import read_json, write_json, write_text
from ragcun.heads.registry import HEADS
from ragcun.heads.spectrum import Spectrum, spectrum
from ragcun.losses.retrieval import RetrievalObjective
from ragcun.manifest import environment
from ragcun.model.export import load_head_weights, save_encoder
from ragcun.model.freezing import freeze_early_layers
from ragcun.model.heads import build_head
from ragcun.settings.load import to_toml
from ragcun.settings.schema import Settings
from ragcun.training.batches import PairSource, PairTexts, PairVectors, sample_vectors
from ragcun.training.data import training_data
from ragcun.training.dev import MEASURE, Dev, EncodedDev, StoredDev
from ragcun.training.interpolation import choose_alpha, interpolated, out_of_domain_texts
from ragcun.training.loop import Outcome, Training
from ragcun.training.trainee import Trainee

_SPECTRUM_ROWS = 50_000
_SPECTRUM_ROWS_TO_ENCODE = 10_000  # where nothing else needs them encoded


def train(
    settings: Settings, experiment: Path, store: Path, load_checkpoint: str | None = None, label: str | None = None
) -> dict[str, Any]:
    """Train what `settings` describe, a head on stored base embeddings or a whole encoder, in `experiment`/model.

    `label` names the encoder in tables; the experiment's folder does, where it is None. `load_checkpoint` is an encoder
    (or experiment) whose head, and whose base where it is trained, is started from.

    An experiment that is complete with the same settings and data is left as it is; an interrupted one is resumed.

    Returns:
        The manifest, as written to `experiment`/manifest.json.

    Raises:
        UserError: a setting that cannot be served, or data that is missing or malformed.
        RagcunError: the loss became NaN, or memory or disk do not suffice.
    """
    began = time.perf_counter()
    pairs, dev_texts = training_data(settings)
    base = resolve_model(settings.model.base, settings.model.revision)
    data = settings.data
    out_of_domain = {
        Path(name).name: out_of_domain_texts(Path(name), data.on_error, settings.seed) for name in data.out_of_domain
    }
    sources = [pairs.source, dev_texts.source, *(texts.source for texts in out_of_domain.values())]
    start = None if load_checkpoint is None else resolve_model(load_checkpoint)
    identity = _identity(settings, sources, base.fingerprint, None if start is None else start.fingerprint)
    done = _finished(experiment, identity)
    if done is not None:
        say(f"{experiment}: already trained with these settings")
        return done
    accelerator = _accelerator(settings, experiment)
    embedder = Embedder(
        settings.model.base,
        store,
        precision=settings.model.precision,
        max_length=settings.model.max_length,
        revision=settings.model.revision,
        runtime=settings.model.runtime,
    )
    if accelerator.is_main_process:
        write_text(experiment / "settings.toml", to_toml(settings))
    source: PairSource
    dev: Dev
    if settings.model.freeze_base:
        source, dev = PairVectors(pairs, embedder, "training"), StoredDev(dev_texts, embedder)
        encoded = time.perf_counter()
        found = spectrum(source.sample(_SPECTRUM_ROWS, settings.seed))
        trainee = _trainee(settings, found, base, start)
    else:
        found = spectrum(sample_vectors(pairs, embedder, _SPECTRUM_ROWS_TO_ENCODE, settings.seed))
        trainee = _trainee(settings, found, base, start)
        teacher = embedder if settings.training.needs_teacher else None
        source, dev = PairTexts(pairs, trainee.base, teacher), EncodedDev(dev_texts)
        encoded = time.perf_counter()
    result: dict[str, Any] = {}
    if HEADS[settings.model.head].trainable:
        training = Training(
            trainee,
            source,
            dev,
            settings.training,
            experiment,
            accelerator,
            settings.seed,
            identity,
            settings.model.init == "base",
        )
        outcome = training.run()
        alpha = settings.training.interpolate
        if alpha == "auto":
            devs = {name: StoredDev(texts, embedder) for name, texts in out_of_domain.items()}
            tolerance = settings.training.interpolate_tolerance
            curve = experiment / "interpolation.json" if accelerator.is_main_process else None
            alpha = choose_alpha(outcome, trainee, dev, devs, tolerance, curve)
        result = _finish(outcome, trainee, dev, alpha)
    else:
        result = {"dev": {"end": dev.ndcg(trainee.eval())}}
    manifest = {
        "label": label or experiment.resolve().name,
        "identity": identity,
        "settings": settings.model_dump(mode="json"),
        "load_checkpoint": None if start is None else {"path": load_checkpoint, "fingerprint": start.fingerprint},
        "data": {
            "train": pairs.source,
            "pairs": len(pairs),
            "dev": dev_texts.source,
            "out_of_domain": [texts.source for texts in out_of_domain.values()],
        },
        "base": embedder.describe() | {"fingerprint": embedder.fingerprint},
        "parameters": {
            "head": sum(p.numel() for p in trainee.head.parameters()),
            "base": embedder.parameters,
            "trained": sum(weights.numel() for weights in trainee.trained().values()),
        },
        **result,
        "processes": accelerator.num_processes,
        "seconds": {"encode": encoded - began, "total": time.perf_counter() - began},
        "environment": environment(),
    }
    if accelerator.is_main_process:
        fresh = trainee.base or load_model(embedder.resolved, settings.model.max_length, device="cpu")
        save_encoder(fresh.cpu().eval(), trainee.head.cpu().eval(), experiment / "model", embedder.resolved.source)
        write_json(experiment / "manifest.json", manifest)
    accelerator.wait_for_everyone()
    for tracker in accelerator.trackers:
        tracker.finish()
    return manifest


def _accelerator(settings: Settings, experiment: Path) -> Accelerator:
    trackers = list(settings.training.track)
    for name in trackers:
        if importlib.util.find_spec(name) is None:
            raise UserError(f"--track {name}: the package is not installed; pip install 'ragcun[{name}]'")
    AcceleratorState._reset_state()  # of an earlier training in this process, whose precision may be another
    accelerator = Accelerator(
        cpu=join_processes().device.type == "cpu",
        mixed_precision=_mixed_precision(settings),
        log_with=trackers or None,
        project_dir=experiment / "tracking",
    )
    if trackers:
        (experiment / "tracking").mkdir(parents=True, exist_ok=True)
        config = _flat(settings.model_dump(mode="json"))
        places = {"wandb": {"dir": str(experiment / "tracking")}}
        accelerator.init_trackers(experiment.resolve().name, config=config, init_kwargs=places)
    return accelerator


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, str | int | float]:
    """Settings by dotted names, as trackers take them."""
    flat: dict[str, str | int | float] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value if isinstance(value, str | int | float) else str(value)
    return flat


def _trainee(settings: Settings, found: Spectrum, resolved: ResolvedModel, start: ResolvedModel | None) -> Trainee:
    head = build_head(settings.model, found, settings.seed)
    scale = found.scale(min(settings.model.output_dim, len(found.mean)))
    if start is not None:
        load_head_weights(str(start.path), head)
    if settings.model.freeze_base:
        return Trainee(head, _objective(settings), scale)
    own = 0 if start is None else len(head.layers())
    base, _ = split(load_model(start or resolved, settings.model.max_length, device="cpu"), most=own)
    freeze_early_layers(base, settings.model.freeze_early_layers, (start or resolved).label)
    if settings.training.gradient_checkpointing:
        base[0].auto_model.gradient_checkpointing_enable({"use_reentrant": False})
    if settings.training.compile:
        base[0].auto_model.compile()
    return Trainee(head, _objective(settings), scale, base)


def _objective(settings: Settings) -> RetrievalObjective:
    stage = settings.training
    weights: dict[str, Any] = stage.weights()
    return RetrievalObjective(
        temperature=stage.temperature or settings.model.output_dim / 10,
        learnable_temperature=stage.learnable_temperature,
        seed=settings.seed,
        **weights,
    )


def _finish(outcome: Outcome, trainee: Trainee, dev: Dev, alpha: float) -> dict[str, Any]:
    """Load what is saved: `alpha` of the way from the start to the best checkpoint; say how it did."""
    trainee.load_trained(interpolated(outcome.start, outcome.best, alpha))
    end = dev.ndcg(trainee.eval())
    say(
        f"dev {MEASURE}: {100 * outcome.start_ndcg:.2f} at the start, {100 * outcome.best_ndcg:.2f} at its best "
        f"(step {outcome.best_step} of {outcome.steps}), {100 * end:.2f} saved (alpha {alpha:g})"
    )
    if outcome.best_step == 0:
        warn("no checkpoint was better on dev than the start; what is saved is the start")
    elif end < outcome.start_ndcg:
        warn("what is saved is worse on dev than its start")
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


def _identity(settings: Settings, sources: list[dict[str, Any]], base: str, start: str | None) -> str:
    decides = {
        "seed": settings.seed,
        "model": settings.model.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json", exclude={"log_interval", "track"}),
        "data": sources,
        "base": base,
        "load_checkpoint": start,
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()


def _finished(experiment: Path, identity: str) -> dict[str, Any] | None:
    path = experiment / "manifest.json"
    if not path.is_file():
        return None
    manifest: dict[str, Any] = read_json(path)
    if manifest["identity"] == identity and (experiment / "model" / "modules.json").is_file():
        return manifest
    raise UserError(f"{experiment}: holds an encoder trained with other settings or data; choose another --output-dir")


def _mixed_precision(settings: Settings) -> str:
    import torch

    wanted = settings.training.mixed_precision
    if wanted != "auto":
        return wanted
    if not torch.cuda.is_available():
        return "no"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
