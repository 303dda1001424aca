"""Full precision for the losses, also if the training uses a lower one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Disable autocast and reduced-precision matrix products (TF32, bf16), and restore their state afterwards."""
    backends = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def full(tensor: Tensor) -> Tensor:
    """Return the tensor in fp32, or in fp64 if it is fp64. The gradient has the tensor's own dtype."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
