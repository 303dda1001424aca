"""Squared Euclidean distances by one matrix product.

Shapes: A and B vectors, D dimensions.
"""

import torch
from torch import Tensor

from ragcun.products import linear, product


def squared_distances(left_AD: Tensor, right_BD: Tensor) -> Tensor:
    """Return ||a - b||² of all pairs, A x B, never negative and differentiable; no square root is taken.

    The distances are computed as a² + b² - 2ab, after a common shift that does not change them and keeps the squares
    small, so that vectors far from the origin lose no digits.
    """
    centre_D = right_BD.detach().mean(0)
    left_AD, right_BD = left_AD - centre_D, right_BD - centre_D
    squares_AB = left_AD.square().sum(1, keepdim=True) + right_BD.square().sum(1)
    multiply = linear if left_AD.requires_grad or right_BD.requires_grad else product
    return torch.add(squares_AB, multiply(left_AD, right_BD), alpha=-2).clamp_min(0)
