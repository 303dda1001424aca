"""What computes a base's vectors from its tokens: the runtimes for encoding, the preferred one first.

To add a runtime is to write a class that follows `Runtime` and to add it to `RUNTIMES`. Nothing heavy is imported here
until a runtime is asked for something, so names can be checked and completed without torch.
"""

from typing import TYPE_CHECKING, Any, Protocol

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

    def refuses(self, base: "SentenceTransformer", precision: "Precision") -> str | None:
        """Why this runtime cannot compute `base` here (what is not installed, what is not supported), else None."""

    def determines(self) -> dict[str, Any]:
        """What of this runtime determines vectors, apart from the precision; JSON.

        It stands in the store's key, so vectors of different runtimes never share a store.
        """

    def load(self, base: "SentenceTransformer", precision: "Precision") -> Engine:
        """The base, ready to encode. It is called once for a base, and only where texts are to be encoded."""


class TorchEngine:
    """A base that torch computes as it is: on a CPU one thread a core, each with its own batch; elsewhere one thread.

    One core a batch keeps each batch in that core's cache and makes the vectors independent of the number of cores.
    """

    def __init__(self, base: "SentenceTransformer") -> None:
        import torch

        self._base = base
        self._on_cpu = base.device.type == "cpu"
        self._threads_before = torch.get_num_threads()
        self.threads = self._threads_before if self._on_cpu else 1
        self.tokens = 512 if self._on_cpu else 32_768  # on a CPU a batch that stays in the cache is the fastest

    def start_thread(self) -> None:
        import torch

        if self._on_cpu:
            torch.set_num_threads(1)

    def encode(self, features: dict[str, Any]) -> "Floats":
        import torch

        device = self._base.device
        with torch.no_grad():
            moved = {name: v.to(device) if torch.is_tensor(v) else v for name, v in features.items()}
            vectors: Floats = self._base(moved)["sentence_embedding"].float().cpu().numpy()
        return vectors

    def stop_threads(self) -> None:
        import torch

        torch.set_num_threads(self._threads_before)


class TorchRuntime:
    """Torch, which computes every base on every device."""

    name = "torch"

    def refuses(self, base: "SentenceTransformer", precision: "Precision") -> str | None:
        return None

    def determines(self) -> dict[str, Any]:
        return {}  # torch was the only runtime when the first stores were made: their keys name none

    def load(self, base: "SentenceTransformer", precision: "Precision") -> Engine:
        from ragcun.embedding.base import DTYPES

        return TorchEngine(base.to(DTYPES[precision]))


RUNTIMES: tuple[Runtime, ...] = (TorchRuntime(),)


def choose_runtime(name: str, base: "SentenceTransformer", precision: "Precision") -> Runtime:
    """The runtime called `name`; for "auto" the first of `RUNTIMES` that can compute `base`.

    Raises:
        UserError: there is no such runtime, or it cannot compute the base here.
    """
    if name == AUTO:
        return next(runtime for runtime in RUNTIMES if runtime.refuses(base, precision) is None)
    for runtime in RUNTIMES:
        if runtime.name == name:
            if (reason := runtime.refuses(base, precision)) is not None:
                raise UserError(f"--runtime {name}: {reason}")
            return runtime
    names = ", ".join([AUTO, *(runtime.name for runtime in RUNTIMES)])
    raise UserError(f"--runtime {name}: there is no such runtime; choose one of {names}")
