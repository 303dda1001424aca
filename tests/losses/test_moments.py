"""The covariance term, global orthogonality, and SIGReg along axes."""

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import GlobalOrthogonalRegularizationLoss
from torch import Tensor, nn

from ragcun.errors import UserError
from ragcun.losses.axes import AxesSIGReg
from ragcun.losses.moments import covariance, global_orthogonality
from ragcun.losses.sigreg import SIGReg


def gaussian(rows: int, variances: Tensor, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, len(variances), generator=generator, dtype=torch.float64) * variances.sqrt()


def test_covariance_is_unbiased_where_the_plain_estimate_is_not() -> None:
    variances = torch.linspace(0.5, 1.5, 16, dtype=torch.float64)
    truth = float((variances - 1).square().mean())
    samples = [gaussian(24, variances, seed) for seed in range(400)]
    found = torch.stack([covariance(sample) for sample in samples])
    plain = torch.stack([(torch.cov(sample.T) - torch.eye(16)).square().sum() / 16 for sample in samples])
    assert abs(float(found.mean()) - truth) < 4 * float(found.std()) / 20
    assert float(plain.mean()) > truth + 0.3


def test_covariance_does_not_move_with_the_mean() -> None:
    sample = gaussian(4_000, torch.linspace(0.2, 2.0, 8, dtype=torch.float64))
    torch.testing.assert_close(covariance(sample + 7), covariance(sample))
    with pytest.raises(UserError, match="at least three"):
        covariance(sample[:2])


def test_descending_the_covariance_term_makes_a_map_whiten() -> None:
    variances = torch.linspace(0.05, 3.0, 12, dtype=torch.float64)
    sample = gaussian(2_000, variances)
    layer = nn.Linear(12, 12, dtype=torch.float64)
    nn.init.eye_(layer.weight)
    optimiser = torch.optim.Adam(layer.parameters(), 0.03)
    for _ in range(400):
        optimiser.zero_grad()
        covariance(layer(sample)).backward()
        optimiser.step()
    spectrum = torch.linalg.eigvalsh(torch.cov(layer(sample).T.detach()))
    assert float(spectrum.sum() ** 2 / spectrum.square().sum()) / 12 > 0.99


def test_global_orthogonality_equals_sentence_transformers() -> None:
    sample = gaussian(40, torch.linspace(0.1, 4.0, 6, dtype=torch.float64)) + 0.5
    mean, second = GlobalOrthogonalRegularizationLoss.compute_gor(
        GlobalOrthogonalRegularizationLoss(nn.Identity()),  # type: ignore[arg-type]
        sample,
    )
    torch.testing.assert_close(global_orthogonality(sample), mean + second)
    assert float(second) > 0 and float(mean) > 0
    assert float(global_orthogonality(sample[:1])) == 0


def test_axes_see_a_spectrum_that_random_slices_do_not() -> None:
    dimension = 96
    variances = torch.exp(-torch.arange(dimension) / 20).double()
    variances /= variances.mean()
    turned, flat = gaussian(6_000, variances), gaussian(6_000, torch.ones(dimension, dtype=torch.float64))
    rotation = torch.linalg.qr(gaussian(dimension, torch.ones(dimension, dtype=torch.float64), 3)).Q
    turned = turned @ rotation

    def ratio(loss: nn.Module) -> float:
        return float(loss(turned)) / float(loss(flat))

    assert ratio(AxesSIGReg(dimension, slices=0)) > 10 * ratio(SIGReg(1024))


def test_axes_are_those_of_past_batches_and_part_of_the_state() -> None:
    variances = torch.linspace(0.2, 2.0, 8, dtype=torch.float64)
    one, other = AxesSIGReg(8, slices=4), AxesSIGReg(8, slices=4)
    for step in range(12):
        one(gaussian(64, variances, step), step)
    other.load_state_dict(one.state_dict())
    for step in range(12, 25):
        batch = gaussian(64, variances, step)
        assert torch.equal(one(batch, step), other(batch, step))
    expected = torch.linalg.eigh(one.covariance_DD)
    assert float(expected.eigenvalues[-1]) == pytest.approx(2.0, rel=0.2)
    one.eval()
    before = one.covariance_DD.clone()
    one(gaussian(64, variances, 99), 3)
    assert torch.equal(one.covariance_DD, before)
    with pytest.raises(UserError, match="momentum"):
        AxesSIGReg(8, momentum=1.0)
