"""Losses on unnormalised embeddings: pure torch, for any training loop, and the terms of ragcun's objective.

Torch is imported only when a loss is used, because settings read the names and weights of the terms.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragcun.losses.axes import AxesSIGReg
    from ragcun.losses.infonce import EuclideanInfoNCE, pair_keys
    from ragcun.losses.moments import covariance, global_orthogonality
    from ragcun.losses.regularisers import distillation, drift, scale
    from ragcun.losses.retrieval import IsotropicRetrievalLoss, RetrievalObjective
    from ragcun.losses.sigreg import SIGReg, draw_directions, epps_pulley

__all__ = [
    "AxesSIGReg",
    "EuclideanInfoNCE",
    "IsotropicRetrievalLoss",
    "RetrievalObjective",
    "SIGReg",
    "covariance",
    "distillation",
    "draw_directions",
    "drift",
    "epps_pulley",
    "global_orthogonality",
    "pair_keys",
    "scale",
]

_MODULES = {
    "axes": ("AxesSIGReg",),
    "infonce": ("EuclideanInfoNCE", "pair_keys"),
    "moments": ("covariance", "global_orthogonality"),
    "regularisers": ("distillation", "drift", "scale"),
    "retrieval": ("IsotropicRetrievalLoss", "RetrievalObjective"),
    "sigreg": ("SIGReg", "draw_directions", "epps_pulley"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
