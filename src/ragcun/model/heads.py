"""The head that settings ask for, as it starts."""

import torch

from ragcun.heads.layers import Head
from ragcun.heads.registry import HEADS
from ragcun.heads.spectrum import Spectrum
from ragcun.settings.schema import ModelSettings


def build_head(settings: ModelSettings, spectrum: Spectrum, seed: int) -> Head:
    """Build the head that `settings` asks for. Its random weights follow from `seed` alone.

    Raises:
        UserError: its output dimension is impossible for this base.
    """
    entry = HEADS[settings.head]
    own = {name: getattr(settings, name) for name in entry.settings}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = entry.build(spectrum, settings.dimension, **own)
    if entry.trainable and settings.start_power is not None:
        head.start_as(*spectrum.projection(settings.dimension, settings.start_power))
    return head
