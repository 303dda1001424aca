"""The base: the part of an encoder whose output for a text does not change while a head is trained on it."""

from typing import Any, Literal

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer.modules import Dense
from torch import nn

from ragcun.console import warn

Precision = Literal["fp32", "bf16", "fp16"]
Role = Literal["query", "document"]

DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_SHADOWED = ("passage", "corpus")  # names of prompts that "document", which every model has, takes precedence over


def split(model: SentenceTransformer, most: int | None = None) -> tuple[SentenceTransformer, nn.Sequential | None]:
    """Split an encoder into its base and its head, which are the `Dense` modules at its end; None if there are none.

    `most` limits their number, because a base can end in `Dense` modules of its own.
    """
    modules = list(model)
    cut = len(modules)
    while cut > 1 and isinstance(modules[cut - 1], Dense) and (most is None or len(modules) - cut < most):
        cut -= 1
    if cut == len(modules):
        return model, None
    base = SentenceTransformer(
        modules=modules[:cut],
        device=str(model.device),
        prompts=model.prompts,
        default_prompt_name=model.default_prompt_name,
    )
    return base.eval(), nn.Sequential(*modules[cut:])


def prompt_of(model: SentenceTransformer, role: Role) -> str:
    """Return the prompt that `encode_query` or `encode_document` of sentence-transformers puts before a text."""
    names = ("query",) if role == "query" else ("document", *_SHADOWED)
    for name in names:
        if name in model.prompts:
            return str(model.prompts[name] or "")
    return str(model.prompts.get(model.default_prompt_name) or "") if model.default_prompt_name else ""


def warn_of_shadowed_prompts(model: SentenceTransformer, source: str) -> None:
    """Warn if a model has a prompt for passages that `encode_document` does not use.

    sentence-transformers gives every model a prompt "document", which may be empty and takes precedence.
    """
    shadowed = next((name for name in _SHADOWED if model.prompts.get(name)), None)
    if shadowed is not None and not prompt_of(model, "document"):
        prompt = str(model.prompts[shadowed])
        warn(
            f"{source}: its prompt {prompt!r} for the {shadowed} is not used, because encode_document of "
            f"sentence-transformers ignores it; use MODEL:document={prompt} to apply it"
        )


def features_of(model: SentenceTransformer, texts: list[str], role: Role, prompt: str) -> dict[str, Any]:
    """Preprocess texts as `encode_query` and `encode_document` do before the forward pass.

    A `Router` uses the route of the role or, without one, its default route.
    """
    features: dict[str, Any]
    if not has_routes(model):
        features = model.preprocess(texts, prompt=prompt or None)
        return features
    try:
        features = model.preprocess(texts, prompt=prompt or None, task=role)
    except ValueError:  # no route of this name
        features = model.preprocess(texts, prompt=prompt or None)
        return features
    features["task"] = role
    return features


def has_routes(model: nn.Module) -> bool:
    """Return whether the model may process queries and documents differently."""
    return any(isinstance(module, Router) for module in model.modules())


def length_limit(model: SentenceTransformer) -> int | None:
    """Return the maximum number of tokens of the model; None if there is no limit, or if it has no tokens."""
    limit = getattr(model, "max_seq_length", None)
    return None if limit is None or limit > 10**9 else int(limit)
