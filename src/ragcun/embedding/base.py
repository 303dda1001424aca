"""The base: the part of an encoder whose output for a text never changes while a head is trained on it."""

import hashlib
import json
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Pooling
from torch import nn
from transformers.utils import logging as transformers_logging

from ragcun.console import say
from ragcun.embedding.recipe import Recipe
from ragcun.embedding.resolve import ResolvedModel
from ragcun.errors import UserError
from ragcun.files import read_json

Precision = Literal["fp32", "bf16", "fp16"]
Role = Literal["query", "document"]

DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_VOLATILE = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures"}
_PICKLE = "pytorch_model*.bin"
_ROLE_PROMPTS: dict[Role, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}


def load_model(
    resolved: ResolvedModel, max_length: int | None = None, device: str | None = None, recipe: Recipe | None = None
) -> SentenceTransformer:
    """Load a sentence-transformers model (or a transformers model) in fp32, in evaluation mode.

    `max_length`, where given, goes before the recipe's.

    Raises:
        UserError: the folder is no model, a module's weights are a pickle alone, `max_length` is more than its
            positions allow, or the recipe's pooling replaces none.
    """
    transformers_logging.disable_progress_bar()
    _refuse_pickles(resolved)
    recipe = recipe or Recipe()
    if not ((resolved.path / "modules.json").is_file() or (recipe.pooling and recipe.similarity)):
        defaults = f"{recipe.pooling or 'mean'} pooling and {recipe.similarity or 'cosine'} similarity"
        say(f"{resolved.source}: not a sentence-transformers model; {defaults} are taken, no normalisation")
    try:
        model = SentenceTransformer(
            str(resolved.path),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{resolved.source}: cannot be loaded as a model ({reason[:200]})") from error
    _follow(model, recipe, resolved.source)
    max_length = max_length or recipe.max_length
    if max_length is not None:
        positions = getattr(getattr(model[0], "config", None), "max_position_embeddings", None)
        if positions is not None and max_length > positions:
            raise UserError(f"max_length {max_length}: {resolved.source} has {positions} positions")
        model.max_seq_length = max_length
    return model.eval()


def _refuse_pickles(resolved: ResolvedModel) -> None:
    """Raise where sentence-transformers would unpickle: it is asked for safetensors, but only the Transformer obeys."""
    modules = resolved.path / "modules.json"
    inside = [module.get("path", "") for module in read_json(modules)] if modules.is_file() else []
    pickles = list(resolved.path.glob(_PICKLE))
    for name in filter(None, inside):
        pickles += (resolved.path / name).rglob(_PICKLE)
    for pickle in pickles:
        if not any(pickle.parent.glob("*.safetensors")):
            raise UserError(
                f"{resolved.source}: {pickle.relative_to(resolved.path)} would be unpickled, which ragcun never does; "
                "sentence-transformers' save_pretrained writes such a model anew, as safetensors"
            )


def _follow(model: SentenceTransformer, recipe: Recipe, source: str) -> None:
    if recipe.pooling is not None:
        places = [place for place, module in enumerate(model) if isinstance(module, Pooling)]
        if not places:
            raise UserError(f"{source}: has no pooling, so {recipe.pooling} cannot replace it")
        old = model[places[0]]
        model[places[0]] = Pooling(old.embedding_dimension, recipe.pooling, include_prompt=old.include_prompt)
    if recipe.similarity is not None:
        model.similarity_fn_name = recipe.similarity
    for role, prompt in (("query", recipe.query), ("document", recipe.document)):
        if prompt is not None:
            model.prompts[role] = prompt


def split(model: SentenceTransformer, most: int | None = None) -> tuple[SentenceTransformer, nn.Sequential | None]:
    """Split an encoder into its base and its head: the `Dense` modules at its end, None if there are none.

    `most` limits how many are taken, since a base can end in `Dense` modules of its own.
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
    """The prompt that sentence-transformers' `encode_query` or `encode_document` would put before a text."""
    for name in _ROLE_PROMPTS[role]:
        if name in model.prompts:
            return str(model.prompts[name] or "")
    return str(model.prompts.get(model.default_prompt_name) or "") if model.default_prompt_name else ""


def base_key(model: SentenceTransformer, precision: Precision) -> dict[str, Any]:
    """What determines the base's vectors, apart from text and prompt. Models with equal keys share a store."""
    return {
        "format": 1,
        "modules": [_module_key(module) for module in model],
        "weights": weights_sha256(model),
        "tokenizer": _tokenizer_sha256(model.tokenizer),
        "max_length": model.max_seq_length,
        "precision": precision,
    }


def weights_sha256(module: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and buffers, independent of how they are stored."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _module_key(module: nn.Module) -> dict[str, Any]:
    key: dict[str, Any] = {"type": type(module).__name__}
    config: Any = getattr(module, "config", None)
    if hasattr(config, "to_dict"):
        values = config.to_dict()
        key["architecture"] = {name: values[name] for name in sorted(values) if name not in _VOLATILE}
    saved: Any = getattr(module, "get_config_dict", None)
    if saved is not None:
        key["config"] = saved()
    return json.loads(json.dumps(key, default=str))  # type: ignore[no-any-return]


def _tokenizer_sha256(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None) or tokenizer
    if hasattr(backend, "to_str"):
        state = json.loads(backend.to_str())
        state.pop("truncation", None)
        state.pop("padding", None)
    else:
        state = {"class": type(tokenizer).__name__, "vocabulary": tokenizer.get_vocab()}
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
