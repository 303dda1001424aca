"""Losses on unnormalised embeddings: pure torch, for any training loop."""

from ragcun.losses.infonce import EuclideanInfoNCE, pair_keys
from ragcun.losses.regularisers import distillation, scale
from ragcun.losses.retrieval import IsotropicRetrievalLoss, RetrievalObjective
from ragcun.losses.sigreg import SIGReg, draw_directions, epps_pulley

__all__ = [
    "EuclideanInfoNCE",
    "IsotropicRetrievalLoss",
    "RetrievalObjective",
    "SIGReg",
    "distillation",
    "draw_directions",
    "epps_pulley",
    "pair_keys",
    "scale",
]
