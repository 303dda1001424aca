"""The weighted terms that the objective adds to the contrastive loss. To add a term, add one entry to `TERMS`.

The weight's setting and its flag, the objective, the history, the figures, ablations, plans and the manifest follow
from the entry. Reading the entries does not import torch; making a term does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragcun.losses.batch import EmbeddedBatch, Treated

if TYPE_CHECKING:
    from torch import Tensor

SLICES = 1024  # random directions of SIGReg at each step

TermFunction = Callable[[EmbeddedBatch], "Tensor"]


@dataclass(frozen=True)
class TermOptions:
    """Options shared by the terms of one objective.

    Attributes:
        slices: the number of random directions of SIGReg at each step.
        seed: the seed of these directions.
        dimension: the embeddings' dimension, for terms with buffers of this size; None if it is unknown.
        treat: the embeddings to which isotropy regularisers are applied; None is each term's default.
        target_D: the target variance of each dimension; None is 1 in each.
    """

    slices: int = SLICES
    seed: int = 0
    dimension: int | None = None
    treat: Treated | None = None
    target_D: "Tensor | None" = None


@dataclass(frozen=True)
class BatchShape:
    """The numbers of pairs and texts in a batch, and the dimensions of the embeddings and of the base."""

    pairs: int
    texts: int
    dimension: int
    base_dimension: int


@dataclass(frozen=True)
class Term:
    """One weighted term of the loss.

    Attributes:
        name: the term's name in the history, logs and figures.
        weight: the name of the setting of its weight. A term with weight 0 is not computed.
        default: the weight if no source gives another.
        help: a sentence for `--help`.
        symbol: the weight in LaTeX's maths mode.
        make: makes the function of a batch, which returns a scalar over the joined batch of all processes. The function
            may be a torch module; its parameters are then trained, and its buffers are saved in checkpoints.
        flops: approximate number of floating-point operations of the forward pass.
        needs_teacher: whether the term needs the base's embeddings of the positives.
        needs_general: whether the term needs general texts, which are not trained on.
        isotropy: whether the term is an isotropy regulariser.
    """

    name: str
    weight: str
    default: float
    help: str
    symbol: str
    make: Callable[[TermOptions], TermFunction]
    flops: Callable[[BatchShape], float]
    needs_teacher: bool = False
    needs_general: bool = False
    isotropy: bool = False


def _isotropy(options: TermOptions) -> TermFunction:
    from ragcun.losses.sigreg import SIGReg
    from ragcun.losses.treatment import Treatment

    return Treatment(SIGReg(options.slices, seed=options.seed), options.treat or "both", options.target_D)


def _axes(options: TermOptions) -> TermFunction:
    from ragcun.errors import UserError
    from ragcun.losses.axes import AxesSIGReg
    from ragcun.losses.treatment import Treatment

    if options.dimension is None:
        raise UserError("lambda_axes is above 0, so the dimension of the embeddings is needed")
    return Treatment(AxesSIGReg(options.dimension, seed=options.seed), options.treat or "both", options.target_D)


def _covariance(options: TermOptions) -> TermFunction:
    from ragcun.losses.moments import covariance
    from ragcun.losses.treatment import Treatment

    return Treatment(lambda x_ND, _: covariance(x_ND), options.treat or "documents", options.target_D)


def _orthogonality(options: TermOptions) -> TermFunction:
    from ragcun.losses.moments import global_orthogonality
    from ragcun.losses.treatment import Treatment

    return Treatment(lambda x_ND, _: global_orthogonality(x_ND), options.treat or "both", options.target_D)


def _scale(_: TermOptions) -> TermFunction:
    from ragcun.losses.regularisers import scale

    return lambda batch: scale(batch.embeddings_ND)


def _general(_: TermOptions) -> TermFunction:
    from ragcun.errors import UserError
    from ragcun.losses.regularisers import drift

    def kept(batch: EmbeddedBatch) -> "Tensor":
        if batch.general is None:
            raise UserError("lambda_general is above 0, so embeddings of general texts are needed")
        return drift(*batch.general)

    return kept


def _distillation(_: TermOptions) -> TermFunction:
    from ragcun.errors import UserError
    from ragcun.losses.regularisers import distillation

    def divergence(batch: EmbeddedBatch) -> "Tensor":
        if batch.teacher_BE is None:
            raise UserError("lambda_distill is above 0, so the base's embeddings of the positives are needed")
        return distillation(batch.positives_BD, batch.teacher_BE, batch.temperature)

    return divergence


TERMS = (
    Term(
        name="isotropy",
        weight="lambda_isotropy",
        default=1.0,
        help="Weight of SIGReg, whose statistic is divided by the size of the global batch.",
        symbol=r"\lambda_\mathrm{iso}",
        make=_isotropy,
        flops=lambda shape: 2 * shape.texts * shape.dimension * SLICES,
        isotropy=True,
    ),
    Term(
        name="axes",
        weight="lambda_axes",
        default=0.0,
        help="Weight of SIGReg along principal axes and random directions, divided by the size of the global batch.",
        symbol=r"\lambda_\mathrm{axes}",
        make=_axes,
        flops=lambda shape: 2 * shape.texts * shape.dimension * 2 * shape.dimension,
        isotropy=True,
    ),
    Term(
        name="covariance",
        weight="lambda_covariance",
        default=0.0,
        help="Weight of the covariance regulariser, ||Cov - I||² / d.",
        symbol=r"\lambda_\mathrm{cov}",
        make=_covariance,
        flops=lambda shape: 2 * shape.texts * shape.dimension**2,
        isotropy=True,
    ),
    Term(
        name="orthogonality",
        weight="lambda_gor",
        default=0.0,
        help="Weight of global orthogonal regularisation (GOR).",
        symbol=r"\lambda_\mathrm{gor}",
        make=_orthogonality,
        flops=lambda shape: 2 * shape.texts * shape.dimension**2,
        isotropy=True,
    ),
    Term(
        name="scale",
        weight="lambda_reg",
        default=0.1,
        help="Weight of the scale regulariser, (mean squared norm / d - 1)².",
        symbol=r"\lambda_\mathrm{reg}",
        make=_scale,
        flops=lambda shape: 2 * shape.texts * shape.dimension,
    ),
    Term(
        name="distillation",
        weight="lambda_distill",
        default=1.0,
        help="Weight of distillation from the base: the KL divergence between the similarities in a batch.",
        symbol=r"\lambda_\mathrm{dist}",
        make=_distillation,
        flops=lambda shape: 2 * shape.pairs**2 * (shape.dimension + shape.base_dimension),
        needs_teacher=True,
    ),
    Term(
        name="general",
        weight="lambda_general",
        default=10.0,
        help="Weight of the mean squared distance between the initial and the current embeddings of --general-data; "
        "unused without such data.",
        symbol=r"\lambda_\mathrm{gen}",
        make=_general,
        flops=lambda shape: 0,
        needs_general=True,
    ),
)
