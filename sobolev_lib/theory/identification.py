"""Propositions 2 and 3: how many points tell a function from all others of its family, with derivatives and without."""
import math
from typing import Callable

import torch
from torch import Tensor

from sobolev_lib.data import SobolevData
from sobolev_lib.derivatives import value_and_derivatives


def identify(features: Callable[[Tensor], Tensor], data: SobolevData) -> Tensor:
    """The only coefficients w for which sum_j w_j features_j has the values, and the derivatives, in ``data``.

    >>> powers = lambda x: x ** torch.arange(4)                                             # cubics: four coefficients
    >>> x = torch.tensor([[-1.0], [2.0]], dtype=torch.float64)
    >>> data = sobolev_lib.label(lambda x: 4 + 3 * x[:, 0] + 2 * x[:, 0] ** 2 + x[:, 0] ** 3, x)
    >>> identify(powers, data).round(decimals=6).tolist()
    [4.0, 3.0, 2.0, 1.0]

    ``features`` maps (N, d) to (N, p), smooth enough for automatic differentiation; ``data`` is scalar, with derivatives or
    without. Returns (p,). Raises ``ValueError`` if more than one function of the family fits, with how many directions
    are left open, or if none does. Source: section 3, the definition of K_reg and K_sob.
    """
    if data.values.shape[1:].numel() != 1:
        raise ValueError(f"data: expected a scalar function, got values of shape {tuple(data.values.shape)}")
    x, targets = data.inputs, [data.values.reshape(-1)]
    if data.jacobian is None:
        with torch.no_grad():
            parts = [features(x)]
    else:
        y, jacobian = value_and_derivatives(features, x)
        parts = [y.detach(), jacobian.detach().movedim(1, -1).reshape(-1, y.shape[1])]      # (N, p), (N d, p)
        targets.append(data.jacobian.reshape(-1))
    rows, target = torch.cat(parts), torch.cat(targets)
    known = ~target.isnan()                                # NaN marks a derivative that is missing
    rows, target = rows[known], target[known]
    size = rows.norm(dim=0)
    rows = rows / torch.where(size > 0, size, 1.0)         # so that no feature is lost for being small
    open_directions = rows.shape[1] - int(torch.linalg.matrix_rank(rows))
    if open_directions:
        raise ValueError(f"data: expected enough to fix all {rows.shape[1]} coefficients, got {len(rows)} numbers that leave "
                         f"{open_directions} open")
    scaled = torch.linalg.lstsq(rows, target).solution
    off = (rows @ scaled - target).abs().max()
    if off > torch.finfo(rows.dtype).eps ** 0.5 * target.abs().max():
        raise ValueError(f"data: expected a function of the family, got numbers that are off by {float(off):.3g} at best")
    return scaled / size


def gaussian_from_derivative(x: float, value: float, derivative: float) -> tuple[float, float]:
    """Mean and standard deviation of the only normal density with this value and derivative at one point.

    >>> density, slope = 0.24197072451914337, -0.24197072451914337                     # mean 4, deviation 1, at x = 5
    >>> [round(number, 6) for number in gaussian_from_derivative(5.0, density, slope)]
    [4.0, 1.0]

    With q = derivative / value = (mu - x) / sigma^2 the value says log sigma^2 + q^2 sigma^2 = -2 log(value sqrt(2 pi)), whose
    left side rises with sigma: one solution. Raises ``ValueError`` for a value that is not positive. Numbers, no
    shape. Source: Proposition 3.
    """
    x, value, derivative = float(x), float(value), float(derivative)
    if not (0 < value < math.inf and math.isfinite(derivative) and math.isfinite(x)):
        raise ValueError("expected a positive value and finite numbers, got "
                         f"x = {x}, value = {value}, derivative = {derivative}")
    q = derivative / value
    c = -2 * math.log(value) - math.log(2 * math.pi)
    # t = log sigma^2 solves t + q^2 exp(t) = c; the left side rises and is convex, so Newton's steps end at the solution
    t = min(c, math.log(max(c, 1.0)) - 2 * math.log(abs(q))) if q else c                   # where exp(t) is not too large
    for _ in range(200):
        grown = q ** 2 * math.exp(t)
        step = (t + grown - c) / (1 + grown)
        t -= step
        if abs(step) <= 1e-15 * max(1.0, abs(t)):
            break
    return x + q * math.exp(t), math.exp(t / 2)


def gaussians_through(x: tuple[float, float], values: tuple[float, float]) -> list[tuple[float, float]]:
    """All normal densities with the given values at two points, as (mean, standard deviation): none, one or two.

    >>> def density(x): return math.exp(-(x - 4) ** 2 / 2) / math.sqrt(2 * math.pi)
    >>> [(round(mu, 3), round(sigma, 3)) for mu, sigma in gaussians_through((4.5, 6.0), (density(4.5), density(6.0)))]
    [(4.0, 1.0), (5.065, 0.384)]

    Widest first. Raises ``ValueError`` for equal points or values that are not positive. Numbers, no shape. Source:
    Proposition 3: two values don't tell which of the two it is.
    """
    (x1, x2), (v1, v2) = (tuple(map(float, pair)) for pair in (x, values))
    if not (math.isfinite(x1) and math.isfinite(x2) and x1 != x2 and 0 < v1 < math.inf and 0 < v2 < math.inf):
        raise ValueError(f"expected two different points and positive values, got {x} and {values}")
    # log v1 - log v2 is linear in the mean, once the variance s is known
    middle, half, ratio = (x1 + x2) / 2, (x2 - x1) / 2, math.log(v1 / v2)
    constant = -math.log(v1 * v2) - math.log(2 * math.pi)

    def off(t):
        """Of the two equations' sum, at the variance exp(t): zero at a solution, convex in t."""
        s = math.exp(t)
        mean = -ratio * s / (2 * half)
        return t + (mean ** 2 + half ** 2) / s - constant

    # d off / dt = 1 + c s - half^2 / s with c = (ratio / (2 half))^2: falls, then rises
    c = (ratio / (2 * half)) ** 2
    lowest = 2 * half ** 2 / (1 + math.sqrt(1 + 4 * c * half ** 2))
    bottom = math.log(lowest)
    if off(bottom) > 0:
        return []
    found = [_root(off, bottom, 1.0), _root(off, bottom, -1.0)]
    pairs = [(middle - ratio * math.exp(t) / (2 * half), math.exp(t / 2)) for t in found]
    return pairs[:1] if abs(found[0] - found[1]) < 1e-7 else pairs


def _root(function: Callable[[float], float], inside: float, direction: float) -> float:
    """Where ``function``, not positive at ``inside`` and rising in the given direction, is zero; by bisection."""
    step = 1e-9
    while function(inside + direction * step) <= 0:
        step *= 2
    low, high = inside, inside + direction * step
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) <= 0 else (low, middle)
    return (low + high) / 2
