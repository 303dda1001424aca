"""Loading of models, which are loaded completely or refused."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn
from transformers import modeling_utils
from transformers.integrations import peft
from transformers.utils import logging as transformers_logging

from ragcun.console import say
from ragcun.embedding.base import warn_of_shadowed_prompts
from ragcun.embedding.model_files import check_model_files
from ragcun.embedding.recipe import Recipe
from ragcun.embedding.resolve import ResolvedModel
from ragcun.errors import UserError

_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.\d+\.")
_POSITIONS = re.compile(r"(?:^|\.)(?:position_embeddings|wpe)$")
_POOLER = re.compile(r"(?:^|\.)pooler\.")
_OTHER_TASKS = re.compile(  # heads of other tasks, and buffers that are computed
    r"(?:^|\.)(?:cls|(?:\w+_)?head|\w*classifier|qa_outputs|score|decoder|vocab_(?:transform|layer_norm|projector)"
    r"|\w*_?predictions|embed_out|seq_relationship|shared|pooler|pred_layer|lm_loss|(?:sequence_)?summary|logits_proj)\."
    r"|(?:position_ids|inv_freq|masked_bias|attn\.bias|logit_scale|final_logits_bias)$"
)


def load_model(
    resolved: ResolvedModel, max_length: int | None = None, device: str | None = None, recipe: Recipe | None = None
) -> SentenceTransformer:
    """Load a sentence-transformers model (or a transformers model) in fp32, in evaluation mode.

    `max_length`, if given, takes precedence over the recipe's.

    Raises:
        UserError: as `check_model_files` does; there is no such device; weights are missing, unused or have another
            shape than in the configuration; a package is missing; `max_length` is larger than the number of positions;
            the recipe's pooling cannot be applied; or there is no pooling at all.
    """
    if device is not None:
        _check_device(device)
    transformers_logging.disable_progress_bar()
    check_model_files(resolved.path, resolved.source)
    recipe = recipe or Recipe()
    if not ((resolved.path / "modules.json").is_file() or (recipe.pooling and recipe.similarity)):
        defaults = f"{recipe.pooling or 'mean'} pooling and {recipe.similarity or 'cosine'} similarity"
        say(f"{resolved.source}: not a sentence-transformers model; using {defaults}, without normalisation")
    try:
        with _loaded_whole(resolved.source):
            model = SentenceTransformer(
                str(resolved.path),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": torch.float32, "use_safetensors": True},
            )
    except ImportError as error:
        if "peft" not in str(error):
            raise UserError(f"{resolved.source}: needs a package that is not installed ({one_line(error)})") from error
        raise UserError(f"{resolved.source}: has a LoRA adapter; run pip install 'ragcun[peft]' to load it") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{resolved.source}: cannot be loaded as a model ({one_line(error)})") from error
    _follow(model, recipe, resolved.source)
    if isinstance(model[0], Transformer) and not any(isinstance(module, Pooling) for module in model.modules()):
        raise UserError(f"{resolved.source}: has no pooling, so a text has no vector; add Pooling to modules.json")
    warn_of_shadowed_prompts(model, resolved.source)
    _keep_to_positions(model, resolved.source)
    max_length = max_length or recipe.max_length
    if max_length is not None:
        positions = _positions(model[0]) or getattr(getattr(model[0], "config", None), "max_position_embeddings", None)
        if positions is not None and max_length > positions:
            raise UserError(
                f"max_length {max_length}: {resolved.source} has only {positions} positions; give at most as many"
            )
        model.max_seq_length = max_length
    if recipe.truncate_dim is not None:
        model.truncate_dim = recipe.truncate_dim
    if model.truncate_dim is not None and model.truncate_dim < 1:
        raise UserError(f"{resolved.source}: its truncate_dim is {model.truncate_dim}, but a vector needs a dimension")
    return model.eval()


def _keep_to_positions(model: SentenceTransformer, source: str) -> None:
    """Cut texts to the positions that a transformer has, where its files allow longer ones."""
    for module in model.modules():
        if isinstance(module, Transformer) and (positions := _positions(module)) is not None:
            stated = module.max_seq_length
            if stated is None or stated > positions:
                say(f"{source}: has {positions:,} positions, so texts are cut to as many tokens")
                module.max_seq_length = positions


def _positions(module: nn.Module) -> int | None:
    """The positions of a transformer that has a vector for each; None where it has none, or other ones."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Embedding) and _POSITIONS.search(name):
            return part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1)
    return None


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"--device {device}: torch cannot use it here ({one_line(error)[:80]})") from None


@contextmanager
def _loaded_whole(source: str) -> Iterator[None]:
    """Raise if transformers reports weights that it initialised at random, or layers that it did not use.

    transformers only warns of them; its report is intercepted here. A pooler may be missing or unused, because no
    pooling reads it. Heads of other tasks may be unused.
    """
    reports: list[Any] = []

    def keep(*arguments: Any, loading_info: Any, **named: Any) -> None:
        reports.append(loading_info)
        if loading_info.error_msgs or loading_info.conversion_errors:
            report(*arguments, loading_info=loading_info, **named)

    report = modeling_utils.log_state_dict_report
    reporting = (modeling_utils, peft)  # of a model's weights, and of an adapter's
    for module in reporting:
        module.log_state_dict_report = keep
    try:
        yield
    finally:
        for module in reporting:
            module.log_state_dict_report = report
    for found in reports:
        kinds = {
            "missing": [name for name in found.missing_keys if not _POOLER.search(name)],
            "of another shape than in the configuration": [str(one[0]) for one in found.mismatched_keys],
            "in the file but not in the configuration": [
                name for name in found.unexpected_keys if _LAYER.search(name) or not _OTHER_TASKS.search(name)
            ],
        }
        for kind, names in kinds.items():
            if names:
                raise UserError(
                    f"{source}: could not be loaded completely: {len(names)} weights are {kind}, such as "
                    f"{sorted(names)[0]}; download or save the model again"
                )


def one_line(error: Exception) -> str:
    """The error's message in one line, cut to 200 characters."""
    return " ".join(str(error).split())[:200]


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
