"""Empirical characteristic functions at evenly spaced knots, and their gradient, without a tensor per knot.

With θ = x Δt, knot k needs the sums of cos kθ and sin kθ over the rows. Every k is m(2B+1) ± b with b <= B, so both
are sums and differences of products of a coarse function (1, cos, sin of m(2B+1)θ) and a fine one (1, cos, sin of bθ).
For 17 knots, this needs 12 functions per element instead of 34. Summing all products over the rows is one small matrix
product per slice, and so is the gradient.

Shapes: K slices, N rows, T knots, U coarse and V fine functions.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ragcun.errors import UserError

SEGMENT = 256  # rows summed in fp32 before fp64 takes over, so that rounding stays below the error of fp32's cos


@dataclass(frozen=True)
class Quadrature:
    """Knots t_k = kΔt of [0, t_max], the target φ(t) = exp(-t²/2), and the weights of the trapezoidal rule times φ.

    The integrand is even, so the weights are doubled and stand for [-t_max, t_max]. `coarse` and `fine` are the numbers
    of harmonics; `combine` maps the products of coarse and fine functions to cos kθ and sin kθ.
    """

    spacing: float
    coarse: int
    fine: int
    knots_T: Tensor
    targets_T: Tensor
    weights_T: Tensor
    combine_2TxUV: Tensor


@lru_cache(maxsize=8)
def quadrature(knots: int, t_max: float, device: torch.device) -> Quadrature:
    """Return the quadrature with `knots` evenly spaced knots from 0 to `t_max`.

    Raises `UserError` for fewer than 2 knots or t_max <= 0.
    """
    if knots < 2 or not t_max > 0:
        raise UserError(f"Epps-Pulley needs at least 2 knots and t_max > 0, not knots={knots}, t_max={t_max}")
    highest = knots - 1
    # Orders reached with B fine and A coarse harmonics: A(2B+1) + B. Take the pair with the fewest functions.
    fine = min(range(highest + 1), key=lambda b: (b + _coarse(highest, b), b))
    coarse = _coarse(highest, fine)
    combine = torch.zeros(2, knots, 2 * coarse + 1, 2 * fine + 1, dtype=torch.float64)
    for k in range(knots):
        m = (k + fine) // (2 * fine + 1)
        b = abs(k - m * (2 * fine + 1))
        sign = 1 if k >= m * (2 * fine + 1) else -1
        cos_m, cos_b = max(2 * m - 1, 0), max(2 * b - 1, 0)
        combine[0, k, cos_m, cos_b] = 1
        if m:
            combine[1, k, 2 * m, cos_b] = 1
        if b:
            combine[1, k, cos_m, 2 * b] = sign
        if m and b:
            combine[0, k, 2 * m, 2 * b] = -sign
    spacing = t_max / highest
    knots_T = torch.arange(knots, dtype=torch.float64) * spacing
    targets_T = torch.exp(-knots_T.square() / 2)
    weights_T = 2 * spacing * targets_T
    weights_T[[0, -1]] /= 2
    wide = wide_dtype(device)
    tensors = (part.to(device, wide) for part in (knots_T, targets_T, weights_T, combine.flatten(2).flatten(0, 1)))
    return Quadrature(spacing, coarse, fine, *tensors)


def _coarse(highest: int, fine: int) -> int:
    return -(-(highest - fine) // (2 * fine + 1))


def wide_dtype(device: torch.device) -> torch.dtype:
    """Return the precision of sums over rows: fp64, or fp32 on Apple's GPUs, which do not support fp64."""
    return torch.float32 if device.type == "mps" else torch.float64


class Characteristic:
    """Statistics and gradients of up to `slices` slices of `rows` projections at a time, in memory allocated once.

    Write the projections into `projections_KN[:k]`, call `sums(k)`, add the sums of other processes if there are any,
    and call `statistic`. `gradient` then overwrites the projections with the derivative.
    """

    def __init__(self, slices: int, rows: int, rule: Quadrature, like: Tensor) -> None:
        self.rule = rule
        self.projections_KN = like.new_empty(slices, rows)
        self._coarse_KUN = like.new_empty(slices, 2 * rule.coarse + 1, rows)
        self._fine_KVN = like.new_empty(slices, 2 * rule.fine + 1, rows)
        self._product_KVN = torch.empty_like(self._fine_KVN)
        self._coarse_KUN[:, 0] = 1
        self._fine_KVN[:, 0] = 1

    def sums(self, slices: int) -> Tensor:
        """Return the row sums of all products of coarse and fine functions, K x U x V; entry (0, 0) counts the rows."""
        projections_KN, angles_KN = self.projections_KN[:slices], self._product_KVN[:slices, 0]
        coarse_KUN, fine_KVN = self._coarse_KUN[:slices], self._fine_KVN[:slices]
        torch.mul(projections_KN, self.rule.spacing, out=angles_KN)
        _harmonics(angles_KN, fine_KVN)
        torch.mul(projections_KN, self.rule.spacing * fine_KVN.shape[1], out=angles_KN)
        _harmonics(angles_KN, coarse_KUN)
        sums_KUV = coarse_KUN.new_zeros(
            slices, coarse_KUN.shape[1], fine_KVN.shape[1], dtype=wide_dtype(coarse_KUN.device)
        )
        for coarse_KUS, fine_KVS in zip(
            torch.split(coarse_KUN, SEGMENT, 2), torch.split(fine_KVN, SEGMENT, 2), strict=True
        ):
            sums_KUV += torch.bmm(coarse_KUS, fine_KVS.mT)
        return sums_KUV

    def statistic(self, sums_KUV: Tensor) -> tuple[Tensor, Tensor]:
        """Return each slice's statistic, (K,), and the real and imaginary residuals of its function, K x 2 x T."""
        count = sums_KUV[0, 0, 0]
        residuals_K2T = (sums_KUV.flatten(1) @ self.rule.combine_2TxUV.T / count).view(len(sums_KUV), 2, -1)
        residuals_K2T[:, 0] -= self.rule.targets_T
        return count * (residuals_K2T.square().sum(1) @ self.rule.weights_T), residuals_K2T

    def gradient(self, residuals_K2T: Tensor) -> Tensor:
        """Overwrite the projections with the derivatives of the statistics by them, K x N. Call `sums` before."""
        slices = len(residuals_K2T)
        cos_KT, sin_KT = residuals_K2T.unbind(1)
        # d/dx of weight * (Re² + Im²) is 2 * weight * t * (Im cos tx - Re sin tx)
        factors_K2T = torch.stack([sin_KT, -cos_KT], 1) * (2 * self.rule.weights_T * self.rule.knots_T)
        coarse_KUN, fine_KVN = self._coarse_KUN[:slices], self._fine_KVN[:slices]
        coefficients_KxUV = (factors_K2T.flatten(1) @ self.rule.combine_2TxUV).to(coarse_KUN.dtype)
        coefficients_KUV = coefficients_KxUV.view(slices, coarse_KUN.shape[1], -1)
        product_KVN = torch.bmm(coefficients_KUV.mT, coarse_KUN, out=self._product_KVN[:slices])
        return torch.sum(product_KVN.mul_(fine_KVN), 1, out=self.projections_KN[:slices])


def _harmonics(angles_KN: Tensor, functions_KPN: Tensor) -> None:
    """Fill functions 1, 2, 3, 4, ... with the cosines and sines of 1, 2, ... times the angle."""
    functions = functions_KPN.unbind(1)
    if len(functions) == 1:
        return
    cos, sin = functions[1:3]
    torch.cos(angles_KN, out=cos)
    torch.sin(angles_KN, out=sin)
    for index in range(3, len(functions), 2):
        before_cos, before_sin, next_cos, next_sin = functions[index - 2 : index + 2]
        torch.mul(before_cos, cos, out=next_cos).addcmul_(before_sin, sin, value=-1)
        torch.mul(before_sin, cos, out=next_sin).addcmul_(before_cos, sin)
