"""The machines of plans: published peak rates of GPUs, or the measured rates of this machine.

The fractions of a GPU's peak that are reached are assumptions for encoders of 100 to 300 million parameters, and stated
with every plan. They are the least certain part of a plan for a GPU. For this machine, they are measured.
"""

from dataclasses import dataclass

_GIB = 2**30


@dataclass(frozen=True)
class Machine:
    """The properties of a machine that a plan uses.

    Attributes:
        peak, peak_fp32: the FLOP/s in mixed precision and in fp32, which is the default for encoding.
        encoding, encoding_fp32, training: the fractions of these peaks that inference and training reach.
        step: the seconds per optimiser step in addition to its FLOPs (launches, data, optimiser).
        memory: the bytes that a training may use.
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
DOWNLOAD = 50e6  # bytes/s, an assumption that every plan states
