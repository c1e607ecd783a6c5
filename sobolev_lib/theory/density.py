"""Theorem 1: networks with one hidden layer of ReLUs come close to any smooth function and to its derivatives, built.

In one dimension the network interpolates between equidistant knots. In more, the function is continued to a periodic one,
its Fourier sum is cut off smoothly, and each wave is a function of one number, k^T x, so that one dimension is enough.
"""
import itertools
import math
from typing import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Function = Callable[[Tensor], Tensor]


def approximating_network(f: Function, domain: tuple[float, float], width: int, *, negative_slope: float = 0.0,
                          dtype: torch.dtype | None = None) -> nn.Sequential:
    """A network with ``width`` ReLUs in one hidden layer that is close to ``f`` in value and in derivative.

    >>> network = approximating_network(lambda x: x[:, 0].sin(), (0, 3), width=30)
    >>> network(torch.tensor([[1.5]])).shape
    torch.Size([1, 1])

    ``f`` maps (N, 1) to (N,) or (N, 1). The network equals it at ``width + 1`` equidistant knots, and is linear between
    them. With D the distance of two knots and w the modulus of continuity of f', its derivative is off by at most w(D),
    and its value by at most D w(D) / 4, all over ``domain``; outside they may be anything. ``negative_slope`` makes it a
    network of leaky ReLUs. Raises ``ValueError`` for an empty domain, no width, a slope outside [0, 1), or values that
    are not finite. Source: Theorem 1; the proof is this construction.
    """
    (low, high), = _checked_box([domain])
    _check_count("width", width)
    _check_slope(negative_slope)
    knots = torch.linspace(low, high, width + 1, dtype=torch.float64)
    values = _evaluated(f, knots.unsqueeze(1))
    hinges, changes, bias = _hinges(knots, values, negative_slope)
    return _network(torch.ones(width, 1), -hinges, changes, bias, negative_slope, dtype)


def ridge_network(f: Function, domain: Sequence[tuple[float, float]], degree: int, segments: int, *,
                  negative_slope: float = 0.0, dtype: torch.dtype | None = None) -> nn.Sequential:
    """A network with one hidden layer of ReLUs close to ``f`` on a box of any dimension, in value and in gradient.

    >>> network = ridge_network(sobolev_lib.functions.booth, sobolev_lib.functions.booth.domain, degree=3, segments=20)
    >>> network(torch.tensor([[1.0, 3.0]])).shape
    torch.Size([1, 1])

    ``f`` maps (N, d) to (N,) or (N, 1), and is asked within the box only. It becomes a sum of waves with frequencies up to
    ``2 * degree - 1`` in each direction. Waves of one direction share a piecewise linear function of ``segments`` pieces.
    Both errors go to zero as ``degree`` grows, and ``segments`` with it. The number of units grows as
    segments * degree^d. ``negative_slope`` makes it a network of leaky ReLUs. Raises ``ValueError`` for an empty box,
    counts below one, a slope outside [0, 1), or values that are not finite. Source: Theorem 1.
    """
    box = _checked_box(domain)
    _check_count("degree", degree)
    _check_count("segments", segments)
    _check_slope(negative_slope)
    waves = _waves(f, box, degree)
    directions: dict[tuple, list] = {}
    for frequency, coefficient in waves.items():
        divisor = math.gcd(*frequency)
        if divisor:                                        # all but the constant
            primitive = tuple(k // divisor for k in frequency)
            directions.setdefault(primitive, []).append((divisor, coefficient))
    rows, hinges, changes, total = [], [], [], waves[(0,) * len(box)].real
    for primitive, multiples in directions.items():
        low, high = sum(min(k, 0) for k in primitive), sum(max(k, 0) for k in primitive)
        knots = torch.linspace(low, high, segments + 1, dtype=torch.float64)
        values = sum(2 * (coefficient * torch.exp(1j * math.pi * j * knots)).real for j, coefficient in multiples)
        hinge, change, bias = _hinges(knots, values, negative_slope)
        total = total + bias
        rows.append(torch.tensor(primitive, dtype=torch.float64).expand(segments, -1))
        hinges.append(hinge)
        changes.append(change)
    # u = k^T t where t runs from 0 to 1 along each side of the box
    corner, side = (torch.tensor(v, dtype=torch.float64) for v in zip(*[(a, b - a) for a, b in box]))
    weight = torch.cat(rows) / side
    return _network(weight, -torch.cat(hinges) - weight @ corner, torch.cat(changes), total, negative_slope, dtype)


def modulus_of_continuity(g: Function, domain: tuple[float, float], distance: float, *, points: int = 10_001) -> float:
    """How much ``g`` changes at most over ``distance``: the largest |g(x) - g(y)| with |x - y| <= distance.

    >>> round(modulus_of_continuity(lambda x: x[:, 0] ** 2, (0, 2), 0.5), 4)                  # 2^2 - 1.5^2
    1.75

    ``g`` maps (N, 1) to (N,) or (N, 1). Found on a grid of ``points``, so it is a little low where g jumps. Raises
    ``ValueError`` for an empty domain, a distance that is not positive or finer than the grid.
    """
    (low, high), = _checked_box([domain])
    _check_count("points", points)
    step = (high - low) / max(points - 1, 1)               # of the grid
    if not step <= distance < math.inf:
        raise ValueError(f"distance: expected at least the grid's {step:.3g}, got {distance!r}")
    values = _evaluated(g, torch.linspace(low, high, points, dtype=torch.float64).unsqueeze(1))
    window = min(points, int(distance / step * (1 + 1e-12)) + 1)
    highest = F.max_pool1d(values[None, None], window, stride=1)
    lowest = -F.max_pool1d(-values[None, None], window, stride=1)
    return float((highest - lowest).max())


def _hinges(knots: Tensor, values: Tensor, negative_slope: float) -> tuple[Tensor, Tensor, Tensor]:
    """Where the slope of the interpolant changes, by how much, and the output's bias: (n,), (n,) and ()."""
    step = knots[1] - knots[0]
    slopes = values.diff() / step
    # the first hinge lies one step outside, so that the slope is right at the domain's very edge
    hinges, changes = torch.cat([knots[:1] - step, knots[1:-1]]), torch.cat([slopes[:1], slopes.diff()])
    # relu(z) = (leaky(z) - a z) / (1 - a); what is linear goes into the first unit, which is active on the whole domain
    share = negative_slope / (1 - negative_slope)
    later = changes[1:]
    first = changes[:1] - share * later.sum()
    bias = values[0] - slopes[0] * step + share * (later * (hinges[1:] - hinges[0])).sum()
    return hinges, torch.cat([first, later / (1 - negative_slope)]), bias


def _network(weight: Tensor, bias: Tensor, out: Tensor, out_bias: Tensor, negative_slope: float, dtype) -> nn.Sequential:
    first = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0], dtype=dtype)
    last = nn.utils.skip_init(nn.Linear, weight.shape[0], 1, dtype=dtype)
    with torch.no_grad():
        for parameter, value in ((first.weight, weight), (first.bias, bias), (last.weight, out), (last.bias, out_bias)):
            parameter.copy_(value.reshape(parameter.shape))
    return nn.Sequential(first, nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU(), last)


def _waves(f: Function, box, degree: int) -> dict[tuple[int, ...], Tensor]:
    """Coefficients c_k of the sum of c_k exp(i pi k^T t), one of each pair k, -k."""
    d, count = len(box), max(32, 16 * degree)              # samples a period, well beyond the frequencies in use
    grids = [torch.linspace(a, b, count + 1, dtype=torch.float64) for a, b in box]
    found = _evaluated(f, torch.cartesian_prod(*grids).reshape(-1, d)).reshape([count + 1] * d)
    continuation = _continuation(count)
    for axis in range(d):
        found = torch.tensordot(continuation, found, ([1], [axis])).movedim(0, axis)
    coefficients, damping = torch.fft.fftn(found) / count ** d, _damping(degree)
    waves, most = {}, 2 * degree - 1
    for frequency in itertools.product(range(-most, most + 1), repeat=d):
        if next((k for k in frequency if k), 1) > 0:
            waves[frequency] = coefficients[frequency] * math.prod(damping[abs(k)] for k in frequency)
    return waves


def _continuation(count: int) -> Tensor:
    """The matrix that makes of a function's values at 0, 1/count, ..., 1 the values of one of period 2, with one derivative.

    On [0, 1] it is the function itself. From 1 to 2 it goes over from one reflection of it to another. At 1 + s these are
    4 f(1 - s/2) - 3 f(1 - s), which has the value and the slope of f at 1, and, at -s, 4 f(s/2) - 3 f(s), which has those at 0.
    """
    step, matrix = 2 / count, torch.zeros(count, count + 1, dtype=torch.float64)
    half = count // 2
    for j in range(half + 1):
        matrix[j, 2 * j] = 1
    for j in range(1, half):
        right = math.cos(math.pi * j * step / 2) ** 2
        matrix[half + j, count - j] += 4 * right
        matrix[half + j, count - 2 * j] -= 3 * right
        matrix[half + j, half - j] += 4 * (1 - right)
        matrix[half + j, 2 * (half - j)] -= 3 * (1 - right)
    return matrix


def _damping(degree: int) -> list[float]:
    """de la Vallée Poussin: 1 up to the degree, then falling to 0 at twice of it."""
    return [min(1.0, (2 * degree - k) / degree) for k in range(2 * degree)]


def _evaluated(f: Function, x: Tensor) -> Tensor:
    with torch.no_grad():
        values = f(x)
    if values.shape not in ((len(x),), (len(x), 1)):
        raise ValueError(f"f: expected values of shape ({len(x)},) or ({len(x)}, 1), got {tuple(values.shape)}")
    if not values.isfinite().all():
        raise ValueError("f: expected finite values on the domain, got some that are not")
    return values.reshape(-1).double()


def _checked_box(domain) -> list[tuple[float, float]]:
    box = []
    for side in domain:
        low, high = (float(v) for v in side)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"domain: expected finite bounds (low, high) with low < high, got {side!r}")
        box.append((low, high))
    if not box:
        raise ValueError("domain: expected one side at least, got none")
    return box


def _check_count(name: str, count: int) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError(f"{name}: expected a positive whole number, got {count!r}")


def _check_slope(negative_slope: float) -> None:
    if not 0 <= negative_slope < 1:
        raise ValueError(f"negative_slope: expected a number in [0, 1), got {negative_slope!r}")
