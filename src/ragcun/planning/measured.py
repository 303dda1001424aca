"""A short measurement of this machine: matrix products, transformer layers, and encoding with the base."""

import time
from collections.abc import Callable

import psutil
import torch
from torch import nn

from ragcun.console import warn
from ragcun.embedding.model_files import architecture
from ragcun.embedding.resolve import resolve_model
from ragcun.embedding.runtimes import choose_runtime
from ragcun.errors import RagcunError
from ragcun.planning.architecture import Architecture
from ragcun.planning.machines import HERE, Machine
from ragcun.products import product
from ragcun.settings.schema import ModelSettings

_TOKENS = 128  # the length of the texts of the measurement
_BATCHES = 4  # the number of batches per thread of a runtime
_LAYERS = 2
_BUSY = 0.1  # the share of the cores in use by other processes above which a measurement is unreliable


def measure_here(base: Architecture, model: ModelSettings) -> Machine:
    """Measure matrix products, training of transformer layers as wide as the base's, and encoding with the base.

    If the base of `model` is on disk, it encodes texts by the runtime and in the precision of the settings. Otherwise,
    and for the other precision, transformer layers are measured instead. Warns if other processes are busy during the
    measurement, because the result is then too low.
    """
    _tell_if_busy()
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    rate, source = _encoding(base, model, device)
    full = model.precision == "fp32"
    if cuda:
        properties = torch.cuda.get_device_properties(device)
        peak, peak_fp32 = (_products(device, dtype, 16_384) for dtype in (torch.bfloat16, torch.float32))
        shares = (
            (rate if rate and not full else _layers(base, device, torch.bfloat16, 256, backward=False)) / peak,
            (rate if rate and full else _layers(base, device, torch.float32, 256, backward=False)) / peak_fp32,
            _layers(base, device, torch.bfloat16, 32, backward=True) / peak,
        )
        return Machine(properties.name, peak, peak_fp32, *shares, 0.01, properties.total_memory, source)
    peak = _products(device, torch.float32, 512)
    encoding = (rate or _layers(base, device, torch.float32, 4, backward=False)) / peak
    training = _layers(base, device, torch.float32, 4, backward=True) / peak
    name = f"this CPU, {torch.get_num_threads()} threads"
    memory = psutil.virtual_memory().available
    return Machine(name, peak, peak, encoding, encoding, training, 0.005, memory, source)


def _encoding(base: Architecture, model: ModelSettings, device: torch.device) -> tuple[float | None, str]:
    """Return the FLOP/s of the base itself by its runtime, or None if it is not on disk, and a note."""
    from ragcun.embedding.base import split
    from ragcun.embedding.encode import encode_now
    from ragcun.embedding.load import load_model
    from ragcun.embedding.tokens import token_ids

    try:
        resolved = resolve_model(model.base, model.revision, offline=True)
    except RagcunError:
        return None, f"measured with torch layers instead of {model.base}, which is not on disk"
    runtime = choose_runtime(model.runtime, architecture(resolved.path), model.precision, str(device)).runtime
    whole, _ = split(load_model(resolved, model.max_length, str(device)))
    engine = runtime.load(whole, model.precision)
    texts = [f"{number} {'the ' * _TOKENS}" for number in range(_BATCHES * engine.threads * engine.tokens // _TOKENS)]
    ids = token_ids(whole, texts)
    if ids is None:
        return None, f"measured with torch layers instead of {model.base}"
    flops = sum(base.forward(len(each)) for each in ids)
    taken = _seconds(lambda: encode_now(whole, texts, "document", engine), device)
    return flops / taken, f"measured with {runtime.name} for encoding"


def _tell_if_busy() -> None:
    busy = psutil.cpu_percent(interval=0.5) / 100
    if busy > _BUSY:
        warn(
            f"--gpu {HERE}: other processes use {busy:.0%} of this machine's cores, so the estimate is too "
            "high; plan again when the machine is idle"
        )


def _products(device: torch.device, dtype: torch.dtype, rows: int, width: int = 768) -> float:
    """Return the FLOP/s of products of (rows, width) and (width, 4 width), by the fastest library."""
    left = torch.randn(rows, width, device=device, dtype=dtype)
    right = torch.randn(4 * width, width, device=device, dtype=dtype)
    return 8 * rows * width**2 / _seconds(lambda: product(left, right), device)


def _layers(base: Architecture, device: torch.device, dtype: torch.dtype, texts: int, backward: bool) -> float:
    """Return the FLOP/s of transformer layers as wide as the base's; a backward pass counts as two forward passes."""
    layer = nn.TransformerEncoderLayer(
        base.hidden, base.heads, 4 * base.hidden, activation="gelu", batch_first=True, device=device, dtype=dtype
    )
    stack = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)
    states = torch.randn(texts, _TOKENS, base.hidden, device=device, dtype=dtype)
    flops = texts * _TOKENS * _LAYERS * (24 * base.hidden**2 + 4 * _TOKENS * base.hidden)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.set_grad_enabled(backward):
            seconds = _seconds(lambda: stack(states).sum().backward() if backward else stack(states), device)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return (3 if backward else 1) * flops / seconds


def _seconds(work: Callable[[], object], device: torch.device, least: float = 0.7) -> float:
    """Return the median seconds of `work`, repeated for `least` seconds after one run that is not counted."""
    work()
    taken: list[float] = []
    while sum(taken) < least:
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[len(taken) // 2]
