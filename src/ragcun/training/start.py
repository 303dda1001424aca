"""Initialisation of the encoder with its objective."""

from typing import Any

from ragcun.embedding.base import split
from ragcun.embedding.load import load_model
from ragcun.embedding.resolve import ResolvedModel
from ragcun.heads.spectrum import Spectrum
from ragcun.losses.retrieval import RetrievalObjective
from ragcun.losses.terms import TERMS
from ragcun.model.export import load_head_weights
from ragcun.model.freezing import freeze_early_layers
from ragcun.model.heads import build_head
from ragcun.settings.schema import Settings
from ragcun.training.encoder import EncoderWithObjective


def starting_encoder(
    settings: Settings, found: Spectrum, base: ResolvedModel, start: ResolvedModel | None
) -> EncoderWithObjective:
    """Build the head from the spectrum of the base's embeddings, and load the base if it is trained.

    `start`, if given, is an encoder from which the head and, if it is trained, the base are initialised.

    Raises:
        UserError: the head is impossible for this base, does not fit that of `start`, or layers cannot be frozen.
    """
    model, stage = settings.model, settings.training
    head = build_head(model, found, settings.seed)
    scale = found.scale(min(model.dimension, found.dimension))
    if start is not None:
        load_head_weights(str(start.path), head)
    if model.freeze_base:
        return EncoderWithObjective(head, _objective(settings, found), scale)
    of_head = 0 if start is None else len(head.layers())
    trained, _ = split(load_model(start or base, model.max_length, device="cpu"), most=of_head)
    freeze_early_layers(trained, model.freeze_early_layers, (start or base).label)
    if stage.gradient_checkpointing:
        trained[0].auto_model.gradient_checkpointing_enable({"use_reentrant": False})
    if stage.compile:
        trained[0].auto_model.compile()
    return EncoderWithObjective(head, _objective(settings, found), scale, trained)


def _objective(settings: Settings, found: Spectrum) -> RetrievalObjective:
    stage = settings.training
    weights: dict[str, Any] = stage.weights()
    if not settings.data.general:
        weights |= {term.weight: 0.0 for term in TERMS if term.needs_general}
    return RetrievalObjective(
        temperature=stage.temperature or settings.model.dimension / 10,
        learnable_temperature=stage.learnable_temperature,
        seed=settings.seed,
        dimension=settings.model.dimension,
        treat=stage.treat,
        target_D=found.target(settings.model.dimension, stage.target_power),
        nested=stage.nested_dims,
        **weights,
    )
