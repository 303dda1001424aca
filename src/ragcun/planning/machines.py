"""Machines as a plan sees them: published peak rates of GPUs, or what `measured` finds of this machine.

The shares of a GPU's peak are assumptions, stated with every plan: what well-fed encoders of 100 to 300 million
parameters reach. They are the weakest point of a plan for a GPU. For this machine, they are measured.
"""

from dataclasses import dataclass

_GIB = 2**30


@dataclass(frozen=True)
class Machine:
    """A machine as a plan sees it.

    Attributes:
        peak, peak_fp32: FLOP/s in mixed precision, and in fp32, in which a frozen base is computed by default.
        encoding, encoding_fp32, training: the shares of these peaks that inference and training reach.
        step: seconds that an optimiser step takes on top of its FLOPs (launches, data, optimiser).
        memory: bytes that a training may take.
        source: the source of the figures.
    """

    name: str
    peak: float
    peak_fp32: float
    encoding: float
    encoding_fp32: float
    training: float
    step: float
    memory: int
    source: str


_SHEET = "NVIDIA's data sheet"
MACHINES = {
    "t4": Machine("NVIDIA T4", 65e12, 8.1e12, 0.35, 0.6, 0.3, 0.03, 15 * _GIB, _SHEET),
    "v100": Machine("NVIDIA V100", 125e12, 15.7e12, 0.35, 0.7, 0.3, 0.02, 16 * _GIB, _SHEET),
    "a100": Machine("NVIDIA A100", 312e12, 19.5e12, 0.35, 0.7, 0.3, 0.015, 40 * _GIB, _SHEET),
    "h100": Machine("NVIDIA H100", 989e12, 67e12, 0.3, 0.6, 0.25, 0.01, 80 * _GIB, _SHEET),
}
HERE = "here"
DOWNLOAD = 50e6  # bytes/s, an assumption stated with every plan
