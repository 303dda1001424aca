"""`ragcun train`: settings in, an experiment folder with an encoder out."""

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from accelerate import Accelerator

from ragcun.console import say, warn
from ragcun.data.pairs import Pairs, load_pairs
from ragcun.embedding.base import load_model
from ragcun.embedding.embedder import Embedder
from ragcun.embedding.resolve import resolve_model
from ragcun.errors import UserError
from ragcun.files import read_json, write_json, write_text
from ragcun.losses.retrieval import RetrievalObjective
from ragcun.manifest import environment
from ragcun.model.export import load_head_weights, save_encoder
from ragcun.model.heads import TRAINABLE, AnyHead, build_head, interpolate
from ragcun.model.pca import spectrum
from ragcun.settings.load import to_toml
from ragcun.settings.schema import Settings
from ragcun.training.batches import PairVectors
from ragcun.training.checkpoint import Tensors
from ragcun.training.dev import MEASURE, Dev, DevTexts, dev_from_collection, dev_from_pairs
from ragcun.training.loop import HeadTraining, HeadWithObjective, Outcome

_SPECTRUM_ROWS = 50_000
_HELD_OUT = 0.05
_MOST_HELD_OUT = 1_000


def train(
    settings: Settings, experiment: Path, store: Path, load_checkpoint: str | None = None, label: str | None = None
) -> dict[str, Any]:
    """Train the head that `settings` describe on stored base embeddings, and save the encoder in `experiment`/model.

    `label` names the encoder in tables; the experiment's folder does, where it is None.

    An experiment that is complete with the same settings and data is left as it is; an interrupted one is resumed.

    Returns:
        The manifest, as written to `experiment`/manifest.json.

    Raises:
        UserError: a setting that cannot be served, or data that is missing or malformed.
        RagcunError: the loss became NaN.
    """
    began = time.perf_counter()
    pairs, dev_texts = _data(settings)
    base = resolve_model(settings.model.base, settings.model.revision)
    identity = _identity(settings, pairs, dev_texts, base.fingerprint, load_checkpoint)
    done = _finished(experiment, identity)
    if done is not None:
        say(f"{experiment}: already trained with these settings")
        return done
    embedder = Embedder(
        settings.model.base,
        store,
        precision=settings.model.precision,
        max_length=settings.model.max_length,
        revision=settings.model.revision,
    )
    accelerator = Accelerator(mixed_precision=_mixed_precision(settings))
    if accelerator.is_main_process:
        write_text(experiment / "settings.toml", to_toml(settings))
    vectors = PairVectors(pairs, embedder, "training")
    dev = Dev(dev_texts, embedder)
    encoded = time.perf_counter()
    found = spectrum(vectors.sample(_SPECTRUM_ROWS, settings.seed))
    head = build_head(settings.model, found, settings.seed)
    if load_checkpoint is not None:
        load_head_weights(load_checkpoint, head)
    result: dict[str, Any] = {}
    if settings.model.head in TRAINABLE:
        model = HeadWithObjective(
            head, _objective(settings), found.scale(min(settings.model.output_dim, len(found.mean)))
        )
        training = HeadTraining(
            model,
            vectors,
            dev,
            settings.training,
            experiment,
            accelerator,
            settings.seed,
            identity,
            settings.model.init == "base",
        )
        outcome = training.run()
        result = _finish(outcome, head, dev, settings.training.share)
    else:
        result = {"dev": {"end": dev.ndcg(head.eval())}}
    manifest = {
        "label": label or experiment.resolve().name,
        "identity": identity,
        "settings": settings.model_dump(mode="json"),
        "load_checkpoint": load_checkpoint,
        "data": {"train": pairs.source, "pairs": len(pairs), "dev": dev_texts.source},
        "base": embedder.describe() | {"fingerprint": embedder.fingerprint},
        "parameters": {"head": sum(p.numel() for p in head.parameters()), "base": embedder.parameters},
        **result,
        "processes": accelerator.num_processes,
        "seconds": {"encode": encoded - began, "total": time.perf_counter() - began},
        "environment": environment(),
    }
    if accelerator.is_main_process:
        fresh = load_model(embedder.resolved, settings.model.max_length, device="cpu")
        save_encoder(fresh, head.cpu().eval(), experiment / "model", embedder.resolved.source)
        write_json(experiment / "manifest.json", manifest)
    accelerator.wait_for_everyone()
    return manifest


def _data(settings: Settings) -> tuple[Pairs, DevTexts]:
    data = settings.data
    if not settings.model.freeze_base:
        raise UserError("train: only frozen bases can be trained on so far (--preset demo or hybrid, or --freeze-base)")
    if data.train is None:
        raise UserError("train: no training data; give --train-data a pairs file or a collection's folder")
    path = Path(data.train)
    pairs = load_pairs(path, "train", on_error=data.on_error)
    if settings.training.rows is not None:
        pairs = pairs.take(settings.training.rows, settings.seed)
    if data.val is not None:
        val = Path(data.val)
        if val.is_dir():
            return pairs, dev_from_collection(val, "dev", data.on_error, settings.seed)
        return pairs, dev_from_pairs(load_pairs(val, "dev", on_error=data.on_error))
    if path.is_dir() and (path / "qrels" / "dev.tsv").is_file():
        return pairs, dev_from_collection(path, "dev", data.on_error, settings.seed)
    return _hold_out(pairs, settings.seed)


def _hold_out(pairs: Pairs, seed: int) -> tuple[Pairs, DevTexts]:
    queries = np.unique(pairs.anchor)
    count = min(_MOST_HELD_OUT, max(2, int(_HELD_OUT * len(queries))))
    if len(queries) < 2 * count:
        raise UserError(f"train: {len(queries)} queries are too few to hold some out; give --val-data")
    held = np.isin(pairs.anchor, np.random.default_rng(seed).permutation(queries)[:count])
    say(f"no validation data given: {count:,} of {len(queries):,} training queries are held out for it")
    return _where(pairs, ~held), dev_from_pairs(_where(pairs, held))


def _where(pairs: Pairs, chosen: npt.NDArray[np.bool_]) -> Pairs:
    source = {**pairs.source, "kept": int(chosen.sum())}
    return replace(
        pairs,
        anchor=pairs.anchor[chosen],
        positive=pairs.positive[chosen],
        negatives=pairs.negatives[chosen],
        source=source,
    )


def _objective(settings: Settings) -> RetrievalObjective:
    stage = settings.training
    return RetrievalObjective(
        lambda_isotropy=stage.lambda_isotropy,
        lambda_reg=stage.lambda_reg,
        keep_base=stage.keep_base,
        temperature=stage.temperature or settings.model.output_dim / 10,
        learnable_temperature=stage.learnable_temperature,
        seed=settings.seed,
    )


def _finish(outcome: Outcome, head: AnyHead, dev: Dev, share: float) -> dict[str, Any]:
    """Load the head that is saved: `share` of the way from the start to the best checkpoint; say how it did."""
    _load(head, interpolate(outcome.start, outcome.best, share))
    head.cpu().eval()
    end = dev.ndcg(head)
    say(
        f"dev {MEASURE}: {100 * outcome.start_ndcg:.2f} at the start, {100 * outcome.best_ndcg:.2f} at its best "
        f"(step {outcome.best_step} of {outcome.steps}), {100 * end:.2f} saved (share {share:g})"
    )
    if outcome.best_step == 0:
        warn("no checkpoint was better on dev than the start; the saved head is the start")
    elif end < outcome.start_ndcg:
        warn("the saved head is worse on dev than its start")
    return {
        "dev": {
            "measure": MEASURE,
            "start": outcome.start_ndcg,
            "best": outcome.best_ndcg,
            "best_step": outcome.best_step,
            "end": end,
        },
        "steps": outcome.steps,
        "training_seconds": outcome.seconds,
    }


def _load(head: AnyHead, weights: Tensors) -> None:
    head.load_state_dict({name: tensor.to(next(head.parameters()).device) for name, tensor in weights.items()})


def _identity(settings: Settings, pairs: Pairs, dev: DevTexts, base: str, load_checkpoint: str | None) -> str:
    decides = {
        "seed": settings.seed,
        "model": settings.model.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json", exclude={"log_interval"}),
        "data": [pairs.source, dev.source],
        "base": base,
        "load_checkpoint": load_checkpoint,
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
