"""The runtimes that compute a base's vectors from tokens, in order of preference.

To add a runtime, write a class with the methods of `Runtime` in a file of its own, and add it to `RUNTIMES`. Heavy
packages are imported only when a runtime loads a base, so that names can be checked and completed without torch.
"""

import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ragcun.embedding.openvino_runtime import OpenVINORuntime
from ragcun.embedding.torch_runtime import TorchRuntime
from ragcun.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from ragcun.embedding.base import Precision
    from ragcun.embedding.store import Floats

AUTO = "auto"


class Engine(Protocol):
    """A base, loaded by a runtime.

    Attributes:
        threads: the number of batches that are computed at a time, each in its own thread.
        tokens: the maximum number of tokens in a batch, including padding.
    """

    threads: int
    tokens: int

    def start_thread(self) -> None:
        """Prepare the calling thread, one of `threads`, for its calls of `encode`."""

    def encode(self, features: dict[str, Any]) -> "Floats":
        """Return the vectors of a batch, (n, dimension), from the output of the base's `preprocess` for n texts."""

    def stop_threads(self) -> None:
        """Revert global changes of `start_thread`, after the threads have ended."""


class Runtime(Protocol):
    """A way to compute bases.

    Attributes:
        name: the name for `--runtime`.
    """

    name: str

    def missing(self, device: str) -> str | None:
        """Return why this runtime is unavailable on `device` (not installed, unsupported); None if it is available."""

    def refuses(self, architecture: str | None, precision: "Precision") -> str | None:
        """Return why a base of this architecture (`model_files.architecture`) or precision is unsupported, or None.

        Only names are used, so that the runtime of a base is known before anything is loaded.
        """

    def determines(self) -> dict[str, Any]:
        """Return what determines the vectors of this runtime, except for the precision, as JSON.

        The result is part of the store's key, so that vectors of different runtimes never share a store.
        """

    def load(self, base: "SentenceTransformer", precision: "Precision") -> Engine:
        """Return the base, ready to encode. This is called once per base, and only if texts must be encoded."""


_DEVICES = Path("/dev")

RUNTIMES: tuple[Runtime, ...] = (OpenVINORuntime(), TorchRuntime())


@dataclass(frozen=True)
class Choice:
    """The runtime for a base, and the reason why a preferred runtime does not support it; None without a reason."""

    runtime: Runtime
    note: str | None = None


def choose_runtime(name: str, architecture: str | None, precision: "Precision", device: str | None) -> Choice:
    """Choose the runtime `name`; for "auto", the first of `RUNTIMES` that is available and supports the base.

    The arguments are those of `Runtime`; the `device` None is the default of sentence-transformers. Torch is imported
    only if the choice depends on this default.

    Raises:
        UserError: there is no such runtime, or it does not support the base here.
    """
    if name != AUTO:
        runtime = _find(name)
        if (reason := runtime.refuses(architecture, precision) or runtime.missing(device or fastest_device())) is None:
            return Choice(runtime)
        raise UserError(f"--runtime {name}: {reason}")
    notes: list[str] = []
    for runtime in RUNTIMES:
        reason = runtime.refuses(architecture, precision)
        if reason is None and runtime.missing(device or fastest_device()) is None:
            return Choice(runtime, notes[0] if notes else None)
        if reason is not None and runtime.missing(device or fastest_device()) is None:
            notes.append(f"{runtime.name} {reason}")
    raise AssertionError("torch supports every base")


def check_runtime(name: str) -> str:
    """Return `name` if it is the name of a runtime. Raises `UserError` otherwise."""
    return name if name == AUTO else _find(name).name


def fastest_device() -> str:
    """Return the kind of device that sentence-transformers uses by default.

    Torch, which takes seconds to import, is asked only if this machine may have a device that its build supports.
    """
    build = version("torch")
    if build.endswith("+cpu") or (sys.platform == "linux" and "+xpu" not in build and not _has_gpu()):
        return "cpu"
    from sentence_transformers.util import get_device_name

    return str(get_device_name())


def _has_gpu() -> bool:
    """Return whether the kernel has a device of a driver for CUDA (also Jetson's and WSL's) or ROCm."""
    return any(any(_DEVICES.glob(pattern)) for pattern in ("nvidia*", "nvhost*", "nvgpu*", "dxg", "kfd"))


def _find(name: str) -> Runtime:
    for runtime in RUNTIMES:
        if runtime.name == name:
            return runtime
    names = [AUTO, *(runtime.name for runtime in RUNTIMES)]
    raise UserError(f"--runtime {name}: no such runtime{did_you_mean(name, names)}; choose one of {', '.join(names)}")
