"""Runtimes, which compute a base's vectors from tokens, in order of preference.

To add a runtime, write a class that follows `Runtime` in a file of its own, and add it to `RUNTIMES`. Nothing heavy is
imported here until a runtime loads a base, so names can be checked and completed without torch.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from ragcun.embedding.openvino_runtime import OpenVINORuntime
from ragcun.embedding.torch_runtime import TorchRuntime
from ragcun.errors import UserError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from ragcun.embedding.base import Precision
    from ragcun.embedding.store import Floats

AUTO = "auto"


class Engine(Protocol):
    """A base, loaded by a runtime.

    Attributes:
        threads: how many batches are computed at a time, each in a thread of its own.
        tokens: how many tokens a batch holds at most, padding included.
    """

    threads: int
    tokens: int

    def start_thread(self) -> None:
        """Prepare the calling thread, one of `threads`, for its calls of `encode`."""

    def encode(self, features: dict[str, Any]) -> "Floats":
        """The vectors of a batch, (n, dimension), from what the base's `preprocess` made of its n texts."""

    def stop_threads(self) -> None:
        """Undo what `start_thread` has changed for others; the threads have ended."""


class Runtime(Protocol):
    """A way to compute bases.

    Attributes:
        name: what `--runtime` calls it.
    """

    name: str

    def missing(self, device: str) -> str | None:
        """Why this runtime is unavailable on `device` (not installed, unsupported); None if it is available."""

    def refuses(self, architecture: str | None, precision: "Precision") -> str | None:
        """Why it cannot compute a base of this architecture (`model_files.architecture`) in this precision, else None.

        It reads names only, so that what computes a base is known before anything is loaded.
        """

    def determines(self) -> dict[str, Any]:
        """What determines the vectors of this runtime, apart from the precision; JSON.

        It stands in the store's key, so vectors of different runtimes never share a store.
        """

    def load(self, base: "SentenceTransformer", precision: "Precision") -> Engine:
        """The base, ready to encode. It is called once for a base, and only where texts are to be encoded."""


RUNTIMES: tuple[Runtime, ...] = (OpenVINORuntime(), TorchRuntime())


@dataclass(frozen=True)
class Choice:
    """The runtime for a base, and why one that goes before it does not compute this base; None where none refuses."""

    runtime: Runtime
    note: str | None = None


def choose_runtime(name: str, architecture: str | None, precision: "Precision", device: str | None) -> Choice:
    """The runtime called `name`; for "auto" the first of `RUNTIMES` that is there for the device and takes the base.

    Arguments are those of `Runtime`; a `device` of None is the one that sentence-transformers would take. Torch is
    imported only where the device is asked for and decides.

    Raises:
        UserError: there is no such runtime, or it cannot compute the base here.
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
    raise AssertionError("torch refuses nothing")


def check_runtime(name: str) -> str:
    """`name`, which is that of a runtime. Raises `UserError` where there is none of that name."""
    return name if name == AUTO else _find(name).name


def fastest_device() -> str:
    """The kind of device that sentence-transformers uses if none is given."""
    if version("torch").endswith("+cpu"):
        return "cpu"
    from sentence_transformers.util import get_device_name

    return str(get_device_name())


def _find(name: str) -> Runtime:
    for runtime in RUNTIMES:
        if runtime.name == name:
            return runtime
    names = ", ".join([AUTO, *(runtime.name for runtime in RUNTIMES)])
    raise UserError(f"--runtime {name}: no such runtime; choose one of {names}")
