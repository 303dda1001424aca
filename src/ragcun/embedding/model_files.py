"""Checks of a model's files before the model is loaded, without heavy imports."""

import re
from pathlib import Path
from typing import Any

from ragcun.errors import UserError
from ragcun.files import read_json

_KINDS = {
    "CrossEncoder": "a cross-encoder, which scores pairs of texts and embeds none",
    "SparseEncoder": "a sparse encoder, whose vectors an inverted index searches",
    "MultiVectorEncoder": "a multi-vector (late-interaction) model, which gives a text several vectors",
}
_PICKLES = {"pytorch_model*.bin": "model", "adapter_model*.bin": "adapter_model"}
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.tiktoken", "vocab*")
_TEXT_ALONE = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
_ACTIVATION = re.compile(r"torch\.nn\.[\w.]+")


def check_model_files(folder: Path, source: str) -> None:
    """Refuse a model whose files show that it cannot be loaded completely or safely.

    Raises:
        UserError: the model is not a dense encoder with one vector per text; its weights would be unpickled; a shard
            index points out of the folder; a module is missing or has no weights; an activation is not torch's, which
            sentence-transformers would replace by Tanh; or a transformer has no vocabulary.
    """
    modules = _modules(folder, source)
    _refuse_kind(folder, source, modules)
    _refuse_pickles(folder, source)
    _refuse_stray_shards(folder, source)
    for module in modules:
        _check_module(folder, source, module)
    for config in sorted(folder.rglob("config.json")):
        _check_dense(config, folder, source)
    _refuse_lost_head(folder, source, modules)
    for config in (folder / "config.json", *folder.glob("*/config.json")):
        if _is_transformer(config) and not any(any(config.parent.glob(name)) for name in _VOCABULARIES):
            raise UserError(f"{source}: {_inside(config.parent, folder)} has no vocabulary (tokenizer.json, vocab.txt)")


def refuse_length(folder: Path, source: str, max_length: int | None) -> None:
    """Raise a `UserError` if the configuration of the transformer states fewer positions than `max_length`."""
    first = next(iter(_modules(folder, source)), {"type": "Transformer", "path": ""})
    positions = _config(folder / first["path"] / "config.json").get("max_position_embeddings")
    if max_length is not None and isinstance(positions, int) and max_length > positions:
        raise UserError(f"max_length {max_length}: {source} has only {positions} positions; give at most as many")


def architecture(folder: Path) -> str | None:
    """Return the `model_type` in the configuration of the transformer that computes the token embeddings.

    Returns None if the base begins with another module (a router, static embeddings), uses other inputs or outputs of
    the transformer, or has an adapter.
    """
    first = next(iter(_modules(folder, str(folder))), {"type": "Transformer", "path": ""})
    place = folder / first["path"]
    stated, config = _config(place / "sentence_bert_config.json"), _config(place / "config.json")
    usual = (
        first["type"].rpartition(".")[2] == "Transformer"
        and not (place / "adapter_config.json").is_file()
        and stated.get("transformer_task", "feature-extraction") == "feature-extraction"
        and stated.get("module_output_name", "token_embeddings") == "token_embeddings"
        and stated.get("modality_config", _TEXT_ALONE) == _TEXT_ALONE
        and not any(config.get(name) for name in ("is_decoder", "output_hidden_states"))
    )
    return str(config["model_type"]) if usual and "model_type" in config else None


def _modules(folder: Path, source: str) -> list[dict[str, str]]:
    path = folder / "modules.json"
    if not path.is_file():
        return []
    modules = read_json(path)
    known = isinstance(modules, list) and all(
        isinstance(one, dict) and isinstance(one.get("type"), str) and isinstance(one.get("path"), str)
        for one in modules
    )
    if not known or not modules:
        raise UserError(f"{source}: modules.json is not a list of modules with a type and a path each")
    return list(modules)


def _refuse_kind(folder: Path, source: str, modules: list[dict[str, str]]) -> None:
    stated = folder / "config_sentence_transformers.json"
    content = read_json(stated) if stated.is_file() else {}
    kind = content.get("model_type") if isinstance(content, dict) else None
    types = " ".join(module["type"] for module in modules)
    if ".sparse_encoder." in types:
        kind = "SparseEncoder"
    elif ".multi_vector_encoder." in types or types.startswith("pylate.") or " pylate." in types:
        kind = "MultiVectorEncoder"
    architectures = _config(folder / "config.json").get("architectures") or []
    if "HF_ColBERT" in architectures:
        kind = "MultiVectorEncoder"
    elif not modules and any(str(name).endswith("ForSequenceClassification") for name in architectures):
        kind = "CrossEncoder"
    if kind in _KINDS:
        raise UserError(f"{source}: {_KINDS[kind]}; ragcun evaluates encoders with one dense vector per text")


def _refuse_pickles(folder: Path, source: str) -> None:
    """Raise if sentence-transformers would unpickle, as its option for safetensors affects only the Transformer."""
    for pattern, stem in _PICKLES.items():
        for pickle in folder.rglob(pattern):
            safe = (f"{stem}.safetensors", f"{stem}.safetensors.index.json")
            if not any((pickle.parent / name).is_file() for name in safe):
                raise UserError(
                    f"{source}: {_inside(pickle, folder)} would have to be unpickled, which ragcun never does; "
                    "save the model again with sentence-transformers' save_pretrained, which writes safetensors"
                )


def _refuse_stray_shards(folder: Path, source: str) -> None:
    for index in folder.rglob("*.safetensors.index.json"):
        content = read_json(index)
        shards = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(shards, dict):
            raise UserError(f"{source}: {_inside(index, folder)} has no weight_map")
        for name in sorted(set(map(str, shards.values()))):
            if not name.endswith(".safetensors"):
                raise UserError(
                    f"{source}: {_inside(index, folder)} names {name!r}, which would have to be unpickled; "
                    "ragcun never does that"
                )
            if name != Path(name).name:
                raise UserError(f"{source}: {_inside(index, folder)} points out of its folder ({name!r})")
            if not (index.parent / name).is_file():
                raise UserError(f"{source}: {name} is missing, although {_inside(index, folder)} names it")


def _check_module(folder: Path, source: str, module: dict[str, str]) -> None:
    place = folder / module["path"]
    if not place.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{source}: modules.json points out of the folder ({module['path']!r})")


def _check_dense(config: Path, folder: Path, source: str) -> None:
    """Raise where a `Dense` module, also one within a router, has no weights or an activation of its own."""
    stated, place = _config(config), config.parent
    if not {"in_features", "out_features"} <= stated.keys():
        return
    activation = stated.get("activation_function", "torch.nn.Tanh")
    if not _ACTIVATION.fullmatch(str(activation)):
        raise UserError(
            f"{source}: {_inside(place, folder)} has the activation {activation!r}, which is not one of torch's"
        )
    if not any(place.glob("model.safetensors")) and not any(place.glob("pytorch_model.bin")):
        raise UserError(f"{source}: {_inside(place, folder)} has no weights (model.safetensors)")


def _refuse_lost_head(folder: Path, source: str, modules: list[dict[str, str]]) -> None:
    """Raise if the model's experiment has trained a head, but the model does not end in one."""
    manifest = _config(folder.parent / "manifest.json")
    trained = isinstance(manifest.get("parameters"), dict) and manifest["parameters"].get("head")
    if trained and "identity" in manifest and not (modules and modules[-1]["type"].endswith(".Dense")):
        raise UserError(f"{source}: its head is missing in modules.json; train it again with the same command")


def _is_transformer(config: Path) -> bool:
    return "model_type" in _config(config)


def _config(path: Path) -> dict[str, Any]:
    content = read_json(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def _inside(path: Path, folder: Path) -> str:
    return "its folder" if path == folder else path.relative_to(folder).as_posix()
