"""Torch as a runtime: it computes every base on every device."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from ragcun.embedding.base import Precision
    from ragcun.embedding.store import Floats


class TorchEngine:
    """A base that torch computes: on a CPU with one thread per core, each with its own batch; elsewhere in one thread.

    One core per batch keeps the batch in the core's cache, and makes vectors independent of the number of cores.
    """

    def __init__(self, base: "SentenceTransformer") -> None:
        import torch

        self._base = base
        self._on_cpu = base.device.type == "cpu"
        self._threads_before = torch.get_num_threads()
        self.threads = self._threads_before if self._on_cpu else 1
        self.tokens = 1_024 if self._on_cpu else 32_768  # on a CPU, a batch that fits into the cache is the fastest

    def start_thread(self) -> None:
        import torch

        if self._on_cpu:
            torch.set_num_threads(1)

    def encode(self, features: dict[str, Any]) -> "Floats":
        import torch

        device = self._base.device
        with torch.inference_mode():
            moved = {name: v.to(device) if torch.is_tensor(v) else v for name, v in features.items()}
            vectors: Floats = self._base(moved)["sentence_embedding"].float().cpu().numpy()
        return vectors

    def stop_threads(self) -> None:
        import torch

        torch.set_num_threads(self._threads_before)


class TorchRuntime:
    """Torch, which computes every base on every device."""

    name = "torch"

    def missing(self, device: str) -> str | None:
        return None

    def refuses(self, architecture: str | None, precision: "Precision") -> str | None:
        return None

    def determines(self) -> dict[str, Any]:
        return {}  # the keys of the first stores, when torch was the only runtime, have no runtime

    def load(self, base: "SentenceTransformer", precision: "Precision") -> TorchEngine:
        from ragcun.embedding.base import DTYPES
        from ragcun.embedding.packed_linear import packed

        base = base.to(DTYPES[precision])
        return TorchEngine(packed(base) if base.device.type == "cpu" else base)
