"""Losses on unnormalised embeddings: pure torch, for any training loop."""

from ragcun.losses.infonce import EuclideanInfoNCE, pair_keys
from ragcun.losses.regularisers import keep_base, scale
from ragcun.losses.retrieval import IsotropicRetrievalLoss, RetrievalObjective
from ragcun.losses.sigreg import SIGReg, draw_directions, epps_pulley

__all__ = [
    "EuclideanInfoNCE",
    "IsotropicRetrievalLoss",
    "RetrievalObjective",
    "SIGReg",
    "draw_directions",
    "epps_pulley",
    "keep_base",
    "pair_keys",
    "scale",
]
