"""The scale regulariser, and the divergence from the base's similarities."""

import pytest
import torch
from torch import Tensor

from ragcun.errors import UserError
from ragcun.losses import distillation, drift, scale


def sample(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_scale_is_zero_at_the_norm_of_a_standard_normal_and_grows_on_both_sides() -> None:
    x = sample(50, 8)
    x /= x.square().mean().sqrt()
    assert scale(x).item() == pytest.approx(0, abs=1e-20)
    assert scale(x * 2).item() == pytest.approx(9)
    assert scale(x / 2).item() == pytest.approx(0.5625)


def test_drift_is_the_mean_squared_distance_from_where_embeddings_were() -> None:
    before, shift = sample(9, 4), sample(9, 4, seed=1).requires_grad_()
    assert drift(before, before).item() == 0
    found = drift(before + shift, before)
    found.backward()
    assert found.item() == pytest.approx(shift.square().mean().item())
    torch.testing.assert_close(shift.grad, 2 * shift.detach() / shift.numel())


def test_scale_in_fp32_under_autocast() -> None:
    x = sample(50, 8).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = scale(x)
    assert torch.equal(found, scale(x.float()))


def test_distillation_equals_the_divergence_written_out() -> None:
    student, teacher = sample(6, 4).requires_grad_(), sample(6, 9, seed=1)
    expected = torch.zeros((), dtype=torch.float64)
    for i in range(6):
        others = [j for j in range(6) if j != i]
        p, q = (torch.softmax(-(x[i] - x[others]).square().sum(1) / 5.0, 0) for x in (teacher, student))
        expected = expected + (p * (p / q).log()).sum() / 6
    found = distillation(student, teacher, 5.0)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, student)[0] for loss in (found, expected)))


def test_distillation_is_zero_for_the_same_distances_and_positive_otherwise() -> None:
    teacher = sample(10, 6)
    rotation = torch.linalg.qr(sample(6, 6, seed=1)).Q
    assert distillation(teacher @ rotation + 3, teacher, 4.0).item() == pytest.approx(0, abs=1e-12)
    assert distillation(teacher * 1.1, teacher, 4.0) > 1e-4


def test_distillation_gives_the_teacher_and_the_temperature_no_gradient() -> None:
    student, teacher = sample(5, 4).requires_grad_(), sample(5, 4, seed=1).requires_grad_()
    temperature = torch.tensor(3.0, requires_grad=True)
    distillation(student, teacher, temperature).backward()
    assert student.grad is not None
    assert student.grad.abs().max() > 0
    assert teacher.grad is None
    assert temperature.grad is None


def test_distillation_of_one_row_is_zero_and_differentiable() -> None:
    student = sample(1, 4).requires_grad_()
    loss = distillation(student, sample(1, 4, seed=1), 3.0)
    loss.backward()
    assert loss == 0
    assert student.grad is not None
    assert not student.grad.any()


def test_distillation_needs_as_many_teacher_rows() -> None:
    with pytest.raises(UserError, match="5 student rows, not 4"):
        distillation(sample(5, 4), sample(4, 4), 3.0)
