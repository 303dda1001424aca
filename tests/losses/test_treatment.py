"""Regularisers of isotropy as terms: which embeddings they act on, what they aim for, and that they take."""

import pytest
import torch
from torch import Tensor, nn

from ragcun.errors import UserError
from ragcun.losses import RetrievalObjective
from ragcun.losses.batch import Treated
from ragcun.losses.terms import TERMS

REGULARISERS = ("lambda_isotropy", "lambda_axes", "lambda_covariance", "lambda_gor")
DIMENSION = 12
VARIANCES = torch.linspace(0.1, 3.0, DIMENSION)
VARIANCES /= VARIANCES.mean()


def gaussian(rows: int, variances: Tensor, seed: int = 0) -> Tensor:
    return torch.randn(rows, len(variances), generator=torch.Generator().manual_seed(seed)) * variances.sqrt()


def objective(
    weight: str, value: float = 1.0, treat: Treated | None = None, target: Tensor | None = None
) -> RetrievalObjective:
    off = {term.weight: 0.0 for term in TERMS}
    return RetrievalObjective(
        temperature=2.0, slices=64, dimension=DIMENSION, treat=treat, target_D=target, **{**off, weight: value}
    )


def penalty(made: RetrievalObjective, queries: Tensor, documents: Tensor, random: Tensor | None = None) -> float:
    _, value = made(queries, documents, step=3, random_RD=random).values()
    return float(value)


@pytest.mark.parametrize("weight", REGULARISERS)
def test_a_regulariser_sees_what_it_is_told_to_treat(weight: str) -> None:
    queries, documents, others = (gaussian(64, VARIANCES, seed) + seed for seed in (1, 2, 3))

    def of(treat: Treated, queries: Tensor, documents: Tensor, random: Tensor | None = None) -> float:
        return penalty(objective(weight, treat=treat), queries, documents, random)

    alone = of("documents", queries, documents)
    assert alone == of("documents", others, documents) != of("documents", queries, others)
    assert of("queries", queries, documents) == of("queries", queries, others) != of("queries", others, documents)
    both = of("both", queries, documents)
    assert len({both, of("both", others, documents), of("both", queries, others)}) == 3
    assert of("documents", queries, documents, random=others) == of("documents", queries, others)
    assert of("queries", queries, documents, random=others) == of("queries", queries, documents)


@pytest.mark.parametrize("weight", REGULARISERS[:3])
def test_the_target_is_where_a_regulariser_is_least(weight: str) -> None:
    queries, documents = gaussian(2_000, VARIANCES, 1), gaussian(2_000, VARIANCES, 2)
    aimed = objective(weight, target=VARIANCES)
    found = penalty(aimed, queries, documents)
    assert abs(found) < 0.2 * penalty(objective(weight), queries, documents)
    flat = [gaussian(2_000, torch.ones(DIMENSION), seed) for seed in (1, 2)]
    assert penalty(objective(weight), *flat) == pytest.approx(found, abs=1e-5)
    assert not aimed.state_dict().keys() & {f"{term.name}.target_D" for term in TERMS}


@pytest.mark.parametrize(("weight", "value"), [("lambda_covariance", 10.0), ("lambda_axes", 300.0)])
def test_a_treatment_takes_within_a_few_steps(weight: str, value: float) -> None:
    def ratio(embeddings: Tensor) -> float:
        spectrum = torch.linalg.eigvalsh(torch.cov(embeddings.T.detach()))
        return float(spectrum.sum() ** 2 / spectrum.square().sum()) / DIMENSION

    queries, documents, held_out = (gaussian(512, VARIANCES, seed) for seed in (1, 2, 3))
    made = objective(weight, value)
    layer = nn.Linear(DIMENSION, DIMENSION)
    nn.init.eye_(layer.weight)
    before = ratio(layer(held_out))
    optimiser = torch.optim.Adam(layer.parameters(), 0.03)
    for step in range(60):
        optimiser.zero_grad()
        torch.stack(list(made(layer(queries), layer(documents), step=step).values())).sum().backward()
        optimiser.step()
    assert before < 0.8
    assert ratio(layer(held_out)) > 0.9


def test_what_cannot_be_treated_is_refused() -> None:
    queries = gaussian(8, VARIANCES)
    with pytest.raises(UserError, match="lambda_axes is above 0, so the dimension"):
        RetrievalObjective(lambda_axes=1.0)
    with pytest.raises(UserError, match="target has 3 dimensions, the embeddings have 12"):
        objective("lambda_covariance", target=torch.ones(3))(queries, queries)
    with pytest.raises(UserError, match="variance above 0"):
        objective("lambda_gor", target=torch.zeros(DIMENSION))
