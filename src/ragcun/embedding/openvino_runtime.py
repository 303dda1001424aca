"""OpenVINO as a runtime: on a CPU, OpenVINO computes the transformer, and torch the modules after it.

The transformer is converted once and cached by everything that determines the conversion. It is computed in fp32 unless
bf16 is requested; by itself, OpenVINO would use bf16 on processors that support it.
"""

import hashlib
import importlib.util
import json
import shutil
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragcun.embedding.torch_runtime import TorchEngine
from ragcun.errors import RagcunError
from ragcun.files import atomic_folder, ragcun_cache
from ragcun.intact import read_kept, write_record

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

    from ragcun.embedding.base import Precision
    from ragcun.embedding.store import Floats

ARCHITECTURES = ("bert", "distilbert", "electra", "modernbert", "mpnet", "roberta", "xlm-roberta")
_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_GRAPH = ("base.xml", "base.bin")
_COMPLETE = "complete.json"


class OpenVINORuntime:
    """OpenVINO on a CPU, for the architectures whose exact conversion is tested."""

    name = "openvino"

    def missing(self, device: str) -> str | None:
        if importlib.util.find_spec("openvino") is None:
            return "is not installed; run pip install 'ragcun[openvino]'"
        kind = device.partition(":")[0]
        return None if kind == "cpu" else f"computes on a CPU, not on {kind}"

    def refuses(self, architecture: str | None, precision: "Precision") -> str | None:
        if architecture not in ARCHITECTURES:
            what = (
                "bases that are not plain transformers" if architecture is None else f"the architecture {architecture}"
            )
            return f"does not compute {what}"
        return None if precision in _PRECISIONS else f"does not compute in {precision}"

    def determines(self) -> dict[str, Any]:
        return {"runtime": self.name, "version": version("openvino")}

    def load(self, base: "SentenceTransformer", precision: "Precision") -> TorchEngine:
        return OpenVINOEngine(base, precision)


class OpenVINOEngine(TorchEngine):
    """A base whose transformer OpenVINO computes, with one stream of one thread per core, as in `TorchEngine`."""

    def __init__(self, base: "SentenceTransformer", precision: "Precision") -> None:
        super().__init__(base)
        self._transformer, *self._behind = base
        self._window = getattr(self._transformer.config, "local_attention", None)  # ModernBERT's, in tokens
        options = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
            "NUM_STREAMS": self.threads,
            "INFERENCE_NUM_THREADS": self.threads,
            "ENABLE_CPU_PINNING": False,  # with pinning, two processes would choose the same core
        }
        self._compiled = _openvino().Core().compile_model(_graph(self._transformer), "CPU", options)
        self._inputs = [each.get_any_name() for each in self._compiled.inputs]
        self._of_thread = threading.local()

    def start_thread(self) -> None:
        super().start_thread()
        self._of_thread.request = self._compiled.create_infer_request()

    def encode(self, features: dict[str, Any]) -> "Floats":
        import torch

        if self._window is not None and _padding(features) > self._window // 2:
            return super().encode(features)  # here padding that sees no token becomes NaN, which spreads
        given = {name: features[name].numpy() for name in self._inputs}
        computed = self._of_thread.request.infer(given, share_inputs=True, share_outputs=True)[0]
        with torch.inference_mode():
            features = {**features, self._transformer.module_output_name: torch.from_numpy(computed)}
            for module in self._behind:
                features = module(features)
            vectors: Floats = features["sentence_embedding"].numpy()
        return vectors


def _padding(features: dict[str, Any]) -> int:
    """The most tokens of padding beside a text of the batch."""
    mask = features["attention_mask"]
    return int(mask.shape[1] - mask.sum(1).min())


def _openvino() -> Any:
    # OpenVINO reports imports and conversions to Intel through this package, and works without it.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _graph(transformer: Any) -> Any:
    """Return the converted transformer from the cache; convert and cache it if it is missing or damaged."""
    from filelock import FileLock

    folder = ragcun_cache() / "openvino" / _key(transformer)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if read_kept(folder / _COMPLETE) is None:
            shutil.rmtree(folder, ignore_errors=True)
            graph = _converted(transformer)
            with atomic_folder(folder) as new:
                _save(graph, new / _GRAPH[0])
                write_record(new / _COMPLETE, {}, [new / name for name in _GRAPH])
    return _openvino().Core().read_model(folder / _GRAPH[0])


def _save(graph: Any, path: Path) -> None:
    try:
        _openvino().save_model(graph, path, compress_to_fp16=False)
    except RuntimeError as error:  # such as a full disk, for which OpenVINO has no error of its own
        reason = " ".join(str(error).split())[:200]
        raise RagcunError(
            f"{path.parent.parent}: cannot be written ({reason}); free some space, or choose --runtime torch"
        ) from error


def _key(transformer: Any) -> str:
    from ragcun.embedding.identity import weights_sha256

    determining = {
        "weights": weights_sha256(transformer.model),
        "architecture": transformer.config.to_dict(),
        "versions": {name: version(name) for name in ("openvino", "torch", "transformers")},
    }
    return hashlib.sha256(json.dumps(determining, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _converted(transformer: Any) -> Any:
    """Convert by tracing two texts of different lengths, so that padding and its mask are part of the graph."""
    import torch

    features = transformer.preprocess(["a", "a longer text, beside which the first is padded"])
    taken = features.keys() & signature(transformer.model.forward).parameters.keys()
    example = {name: features[name] for name in _INPUTS if name in taken}
    try:
        with torch.no_grad(), _silenced():
            return _openvino().convert_model(_token_embeddings(transformer.model), example_input=example)
    except (RuntimeError, _openvino().OpConversionFailure) as error:
        reason = " ".join(str(error).split())[:200]
        raise RagcunError(f"OpenVINO cannot convert this base ({reason}); choose --runtime torch") from error


def _token_embeddings(model: "torch.nn.Module") -> "torch.nn.Module":
    import torch

    class TokenEmbeddings(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            return self.model(input_ids=input_ids, attention_mask=attention_mask, **types).last_hidden_state

    return TokenEmbeddings().eval()


@contextmanager
def _silenced() -> Iterator[None]:
    """Hide warnings of tracing about deprecated properties and about values that are constants here."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
