"""Products by oneDNN are torch's with their gradients; training in fp32 on a CPU takes them."""

from unittest import mock

import pytest
import torch

from ragcun import products
from ragcun.losses.distances import squared_distances
from ragcun.products import linear, product


def _drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (3, 8, 5), (64, 96, 33)])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_torch_with_gradients(rows: int, inputs: int, outputs: int, bias: bool) -> None:
    operands = [_drawn(rows, inputs), _drawn(outputs, inputs), *([_drawn(outputs)] if bias else [])]
    upstream = _drawn(rows, outputs)
    found = []
    for function in (linear, torch.nn.functional.linear):
        leaves = [operand.clone().requires_grad_() for operand in operands]
        output = function(*leaves)
        output.backward(upstream)
        found.append([output.detach(), *(leaf.grad for leaf in leaves)])
    assert "_Linear" in str(linear(*[operand.clone().requires_grad_() for operand in operands]).grad_fn)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(product(*operands[:2]), operands[0] @ operands[1].T, rtol=1e-5, atol=1e-5)


def test_a_gradient_that_repeats_one_number_is_taken() -> None:
    weights = _drawn(4, 6).requires_grad_()
    linear(_drawn(5, 6), weights).sum().backward()
    torch.testing.assert_close(weights.grad, _drawn(5, 6).sum(0).expand(4, 6))


def test_others_are_left_to_torch() -> None:
    wanted = _drawn(4, 6).requires_grad_()
    with mock.patch.object(products, "_product", side_effect=AssertionError):
        linear(_drawn(5, 6).double(), wanted.double())
        linear(_drawn(0, 6), wanted)
        with torch.autocast("cpu", torch.bfloat16):
            assert linear(_drawn(5, 6), wanted).dtype == torch.bfloat16
        linear(_drawn(5, 6), wanted.detach())
        with torch.no_grad(), pytest.raises(AssertionError):
            linear(_drawn(5, 6), wanted)  # as in the pass with a gradient, to the bit
        with pytest.raises(AssertionError):
            squared_distances(_drawn(5, 6).requires_grad_(), _drawn(4, 6))
