"""Building of the head that the settings describe."""

import torch

from ragcun.heads.layers import Head
from ragcun.heads.registry import HEADS
from ragcun.heads.spectrum import Spectrum
from ragcun.settings.schema import ModelSettings


def build_head(settings: ModelSettings, spectrum: Spectrum, seed: int) -> Head:
    """Build the head that `settings` describes. Its random weights depend only on `seed`.

    Raises:
        UserError: the output dimension is impossible for this base.
    """
    entry = HEADS[settings.head]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = entry.build(spectrum, settings.dimension, **entry.own(settings))
    power = settings.start_power
    if entry.trainable and power is not None:
        power = spectrum.auto_power(settings.dimension) if power == "auto" else power
        head.start_as(*spectrum.projection(settings.dimension, power))
    return head
