"""SIGReg equals LeJEPA's formula, in value and gradient, and needs no tensor as large as all projections."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ragcun.errors import RagcunError, UserError
from ragcun.losses import SIGReg, draw_directions, epps_pulley

GOLDEN = Path(__file__).parent / "sigreg_golden.npz"


def plain(projections_NK: Tensor, knots: int = 17, t_max: float = 3.0) -> Tensor:
    """The statistic of each slice as in LeJEPA's reference implementation, by autograd."""
    t_T = torch.linspace(0, t_max, knots, dtype=projections_NK.dtype)
    weights_T = torch.full_like(t_T, 2 * t_max / (knots - 1))
    weights_T[[0, -1]] /= 2
    target_T = torch.exp(-t_T.square() / 2)
    angles_NKT = projections_NK.unsqueeze(-1) * t_T
    error_KT = (angles_NKT.cos().mean(0) - target_T).square() + angles_NKT.sin().mean(0).square()
    return error_KT @ (weights_T * target_T) * len(projections_NK)


def sample(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 1.3 + 0.2


@pytest.mark.parametrize("case", ["gaussian", "shifted", "scaled", "collapsed", "uniform"])
def test_equals_the_reference_values(case: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        x_ND, directions_DK, expected_K, expected_ND = (
            torch.from_numpy(golden[f"{case}_{name}"]) for name in ("x", "directions", "statistics", "grad_of_mean")
        )
    x_ND.requires_grad_()
    statistics_K = epps_pulley(x_ND @ directions_DK)
    statistics_K.mean().backward()
    torch.testing.assert_close(statistics_K.detach(), expected_K, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(x_ND.grad, expected_ND, rtol=0, atol=1e-8)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    rows=st.sampled_from([1, 2, 255, 256, 257, 600]),
    slices=st.sampled_from([1, 3, 127, 300]),
    knots=st.integers(2, 40),
    t_max=st.floats(0.5, 6),
)
def test_equals_autograd_on_the_plain_formula(rows: int, slices: int, knots: int, t_max: float) -> None:
    projections_NK = sample(rows, slices).requires_grad_()
    upstream_K = sample(slices, seed=1)
    expected_K = plain(projections_NK, knots, t_max)
    (expected_NK,) = torch.autograd.grad(expected_K, projections_NK, upstream_K)
    found_K = epps_pulley(projections_NK, knots, t_max)
    (found_NK,) = torch.autograd.grad(found_K, projections_NK, upstream_K)
    assert expected_NK.abs().max() > 0
    torch.testing.assert_close(found_K, expected_K, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(found_NK, expected_NK, rtol=0, atol=1e-11 * float(expected_NK.abs().max()))


def test_equals_quadrature_of_the_definition() -> None:
    x_N = sample(20).numpy()

    def integrand(t: float) -> float:
        target = np.exp(-(t**2) / 2)
        return float(abs(np.exp(1j * t * x_N).mean() - target) ** 2 * target)

    expected = len(x_N) * quad(integrand, -3, 3)[0]
    found = epps_pulley(torch.from_numpy(x_N)[:, None], knots=2001)
    assert expected > 0.1
    assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rows", [1024, 1500])
def test_fp32_gradient_is_exact_to_a_millionth(rows: int) -> None:
    x_ND = sample(rows, 32, dtype=torch.float32)
    loss = SIGReg(256)
    found, exact = x_ND.clone().requires_grad_(), x_ND.double().requires_grad_()
    loss(found, step=5).backward()
    (plain(exact @ draw_directions(256, 32, 0, 5).double().T).mean() / rows).backward()
    assert found.grad is not None
    assert exact.grad is not None
    assert exact.grad.abs().max() > 0
    assert (found.grad - exact.grad).abs().max() <= 1e-6 * exact.grad.abs().max()


@pytest.mark.parametrize("slices", [1, 300])
@pytest.mark.parametrize("per_sample", [True, False])
def test_module_is_the_mean_over_its_own_directions(slices: int, per_sample: bool) -> None:
    x_ND = sample(50, 8).requires_grad_()
    directions_KD = draw_directions(slices, 8, seed=3, step=2).double()
    expected = plain(x_ND @ directions_KD.T).mean() / (50 if per_sample else 1)
    found = SIGReg(slices, per_sample=per_sample, seed=3)(x_ND, step=2)
    (expected_ND,) = torch.autograd.grad(expected * 7, x_ND)
    (found_ND,) = torch.autograd.grad(found * 7, x_ND)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=0)
    torch.testing.assert_close(found_ND, expected_ND, rtol=0, atol=1e-7 * float(expected_ND.abs().max()))


def test_order_of_rows_does_not_matter_and_duplicating_the_batch_does_not_scale_the_loss() -> None:
    x_ND, loss = sample(300, 6), SIGReg(32)
    once = loss(x_ND, step=0)
    torch.testing.assert_close(loss(x_ND.flip(0), step=0), once)
    torch.testing.assert_close(loss(torch.cat([x_ND, x_ND]), step=0), once)
    assert loss(x_ND, step=1) != once


def test_lower_for_gaussian_than_for_anything_else() -> None:
    generator = torch.Generator().manual_seed(0)
    x_ND = torch.randn(2000, 16, generator=generator)
    loss = SIGReg(64)
    gaussian = loss(x_ND, step=0)
    for other in (x_ND * 1.2, x_ND + 0.2, x_ND * torch.tensor([2.0] * 8 + [0.1] * 8), torch.zeros_like(x_ND)):
        assert loss(other, step=0) > 3 * gaussian


def test_descending_it_makes_the_embeddings_standard_normal() -> None:
    x_ND = (sample(256, 4, dtype=torch.float32) * torch.tensor([0.5, 1, 1, 1.5])).requires_grad_()
    loss, optimiser = SIGReg(16, per_sample=False), torch.optim.Adam([x_ND], lr=0.1)

    def distance() -> float:
        return float((torch.cov(x_ND.detach().T) - torch.eye(4)).abs().max() + x_ND.detach().mean(0).abs().max())

    assert distance() > 1
    for _ in range(100):
        optimiser.zero_grad()
        loss(x_ND).backward()
        optimiser.step()
    assert distance() < 0.4


def test_directions_are_unit_vectors_set_by_seed_and_step() -> None:
    first = draw_directions(20, 7, seed=1, step=4)
    torch.testing.assert_close(first.norm(dim=1), torch.ones(20))
    assert torch.equal(first, draw_directions(20, 7, seed=1, step=4))
    assert not torch.equal(first, draw_directions(20, 7, seed=1, step=5))
    assert not torch.equal(first, draw_directions(20, 7, seed=2, step=4))
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    draw_directions(20, 7, seed=1)
    assert torch.equal(torch.rand(1), expected)  # the global generator is left alone


def test_step_counts_in_training_and_can_be_set() -> None:
    x_ND, loss = sample(10, 3), SIGReg(8)
    first, second = loss(x_ND), loss(x_ND)
    assert first != second
    assert loss(x_ND, step=0) == first
    assert loss(x_ND) == second
    loss.eval()
    assert loss(x_ND) == loss(x_ND)
    assert loss.state_dict() == {}


def test_no_tensor_is_as_large_as_the_projections() -> None:
    sizes: list[int] = []

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            sizes.extend(out.untyped_storage().nbytes() for out in [result] if isinstance(out, Tensor))
            return result

    rows, slices = 64, 4096
    x_ND = sample(rows, 8, dtype=torch.float32).requires_grad_()
    with Record():
        SIGReg(slices)(x_ND).backward()
    assert len(sizes) > 100
    assert x_ND.grad is not None
    assert max(sizes) < 4 * rows * slices // 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_computes_in_fp32_under_autocast_and_for_half_precision(dtype: torch.dtype) -> None:
    half_ND = sample(64, 16).to(dtype).requires_grad_()
    exact_ND = half_ND.detach().float().requires_grad_()
    loss = SIGReg(32)
    expected = loss(exact_ND, step=0)
    expected.backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(half_ND, step=0)
        assert (half_ND @ half_ND.T).dtype in (torch.bfloat16, dtype)
    found.backward()
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert half_ND.grad is not None
    assert half_ND.grad.dtype == dtype
    assert torch.equal(half_ND.grad, exact_ND.grad.to(dtype))  # type: ignore[union-attr]


def test_a_second_derivative_is_refused_and_a_first_one_that_keeps_its_graph_is_not() -> None:
    x_ND = sample(20, 4).requires_grad_()
    for loss in (SIGReg(8)(x_ND), SIGReg(8)(x_ND.tanh()), epps_pulley(x_ND.tanh()).sum()):
        (plain_ND,) = torch.autograd.grad(loss, x_ND, retain_graph=True)
        (found_ND,) = torch.autograd.grad(loss, x_ND, create_graph=True)
        assert torch.equal(found_ND, plain_ND)
        with pytest.raises(RagcunError, match="differentiable once"):
            torch.autograd.grad(found_ND.square().sum(), x_ND)


@pytest.mark.parametrize("scale", [1.0, 2.0**16])
def test_the_gradient_of_a_large_batch_in_fp16_is_told_where_it_underflows_and_whole_where_it_can_be(
    scale: float,
) -> None:
    half_ND = torch.randn(4096, 64, generator=torch.Generator().manual_seed(0)).half()
    exact_ND, kept_ND = half_ND.float().requires_grad_(), half_ND.clone().requires_grad_()
    half_ND.requires_grad_()
    kept_ND.grad_dtype = torch.float32
    loss = SIGReg(64)
    for x_ND in (exact_ND, kept_ND):
        (loss(x_ND, step=0) * scale).backward()
    if scale == 1:
        with pytest.warns(RuntimeWarning, match="underflows in fp16"):
            loss(half_ND, step=0).backward()
    else:
        (loss(half_ND, step=0) * scale).backward()
    assert exact_ND.grad is not None
    largest = float(exact_ND.grad.abs().max())
    for x_ND in (kept_ND,) if scale == 1 else (kept_ND, half_ND):
        assert x_ND.grad is not None
        torch.testing.assert_close(x_ND.grad.float(), exact_ND.grad, rtol=0.01, atol=0.01 * largest)


def test_reduced_matmul_precision_is_put_aside_and_restored() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        SIGReg(8)(sample(4, 4))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_without_gradient_nothing_is_kept() -> None:
    x_ND = sample(20, 4).requires_grad_()
    with torch.no_grad():
        assert not SIGReg(8)(x_ND).requires_grad
        assert not epps_pulley(x_ND).requires_grad
    assert not SIGReg(8)(x_ND.detach()).requires_grad


def test_nan_is_not_hidden() -> None:
    x_ND = sample(20, 4)
    x_ND[3, 1] = torch.nan
    assert SIGReg(8)(x_ND).isnan()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"slices": 0}, "slice"), ({"knots": 1}, "knots=1"), ({"t_max": 0.0}, "t_max=0.0")],
)
def test_impossible_settings_are_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        SIGReg(**arguments)


def test_impossible_inputs_are_refused() -> None:
    with pytest.raises(UserError, match=r"\(3,\)"):
        epps_pulley(torch.zeros(3))
    with pytest.raises(UserError, match="int64"):
        SIGReg(8)(torch.zeros(3, 4, dtype=torch.int64))
