"""Isotropic Gaussian embeddings for dense retrieval: train, evaluate on BEIR, analyse, report."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragcun.losses.infonce import EuclideanInfoNCE
    from ragcun.losses.retrieval import IsotropicRetrievalLoss
    from ragcun.losses.sigreg import SIGReg

    __version__: str

__all__ = ["EuclideanInfoNCE", "IsotropicRetrievalLoss", "SIGReg", "__version__"]

_LAZY = {
    "EuclideanInfoNCE": "ragcun.losses.infonce",
    "IsotropicRetrievalLoss": "ragcun.losses.retrieval",
    "SIGReg": "ragcun.losses.sigreg",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("ragcun")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
