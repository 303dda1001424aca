"""The key of an embedding store: everything that determines a base's vectors."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch import nn

from ragcun.embedding.base import Precision, length_limit

# Entries that cannot change a vector: names, versions, and precisions that `load_model` overrides.
_VOLATILE = {"_name_or_path", "name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures"}
_ADAPTER_VOLATILE = {"base_model_name_or_path", "revision", "inference_mode", "peft_version", "lora_dropout"}
# A transformers tokenizer sets these at each call, from the length limit and the batch.
_SET_AT_EACH_CALL = {"truncation", "padding"}


def base_key(model: SentenceTransformer, precision: Precision) -> dict[str, Any]:
    """Return what determines a base's vectors, except for text, prompt and role. Equal keys share a store.

    The key covers all modules, including nested ones: type, configuration, architecture, tokenizer and weights.
    """
    modules = {name: _module_key(module) for name, module in model.named_modules() if _says_what_it_is(module)}
    return {
        "format": 2,
        "modules": modules,
        "weights": weights_sha256(model),
        "max_length": length_limit(model),
        "precision": precision,
    }


def weights_sha256(module: nn.Module) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of all parameters and buffers, for any file format."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _says_what_it_is(module: nn.Module) -> bool:
    """Return whether the module is one of sentence-transformers or has a configuration, which determines its parts."""
    return hasattr(module, "get_config_dict") or hasattr(getattr(module, "config", None), "to_dict")


def _module_key(module: Any) -> dict[str, Any]:
    key: dict[str, Any] = {"type": type(module).__name__}
    config: Any = getattr(module, "config", None)
    if hasattr(config, "to_dict"):
        key["architecture"] = {name: v for name, v in sorted(config.to_dict().items()) if name not in _VOLATILE}
    if adapters := getattr(module, "peft_config", None):
        key["adapters"] = {name: _adapter_key(adapter) for name, adapter in sorted(adapters.items())}
    if hasattr(module, "get_config_dict"):
        key["config"] = module.get_config_dict()
    if (tokenizer := vars(module).get("tokenizer") or getattr(module, "tokenizer", None)) is not None:
        key["tokenizer"] = _tokenizer_sha256(tokenizer)
    return json.loads(json.dumps(key, default=str))  # type: ignore[no-any-return]


def _adapter_key(adapter: Any) -> dict[str, Any]:
    """An adapter's configuration, which scales its weights; its sets have an order that is the same in each process."""
    stated = {name: v for name, v in sorted(adapter.to_dict().items()) if name not in _ADAPTER_VOLATILE}
    return {name: sorted(v) if isinstance(v, set) else v for name, v in stated.items()}


def _tokenizer_sha256(tokenizer: Any) -> str:
    """Return the SHA-256 of a saved tokenizer: vocabulary, rules, special tokens, sides of truncation and padding."""
    if isinstance(tokenizer, Tokenizer):
        return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()
    digest = hashlib.sha256(type(tokenizer).__name__.encode())
    with tempfile.TemporaryDirectory() as folder:
        save = getattr(tokenizer, "save_pretrained", None) or tokenizer.save
        save(folder)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(folder)}\n".encode() + _settled(path))
    return digest.hexdigest()


def _settled(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".json":
        return content
    value = json.loads(content)
    if isinstance(value, dict):
        left_out = _VOLATILE | (_SET_AT_EACH_CALL if path.name == "tokenizer.json" else set())
        value = {name: value[name] for name in value if name not in left_out}
    return json.dumps(value, sort_keys=True).encode()
