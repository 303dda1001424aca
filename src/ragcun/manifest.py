"""The environment of a result: package versions, hardware and git state."""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ragcun.intact import or_else, read_record
from ragcun.machine import cores

_PACKAGES = [
    "ragcun",
    "torch",
    "sentence-transformers",
    "transformers",
    "tokenizers",
    "accelerate",
    "datasets",
    "numpy",
    "scipy",
    "bm25s",
    "pystemmer",
    "ir-measures",
    "pytrec-eval-terrier",
    "faiss-cpu",
    "beir",
    "safetensors",
    "openvino",
]


def read_manifest(path: Path) -> dict[str, Any]:
    """Read an experiment's manifest. Raises a `RagcunError` if it is damaged."""
    with or_else("delete it and run the training's command again, which writes it again from the checkpoints"):
        return read_record(path, files=False)


def environment() -> dict[str, Any]:
    """Describe package versions, hardware and the working directory's git state, as JSON, without heavy imports."""
    return {
        "packages": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hardware": _hardware(),
        "git": _git_state(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that can influence a number."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _hardware() -> dict[str, Any]:
    import psutil

    hardware: dict[str, Any] = {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        hardware["accelerators"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return hardware


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git_state() -> dict[str, Any] | None:
    def git(*arguments: str) -> str:
        return subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
