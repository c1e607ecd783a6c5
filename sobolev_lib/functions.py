"""The seven 2-D benchmark functions of section 4.1, with derivatives that are finite everywhere.

Autodiff of the textbook formulas gives NaN for Ackley at the origin and for Bukin on its ridge, where the true
derivative does not exist. Here a distance too small to resolve in the input's precision counts as zero, and the
derivative there is the mean of the derivatives on both sides (zero).
"""
from dataclasses import dataclass, field
from typing import Callable

import torch
from torch import Tensor


@dataclass(frozen=True)
class Benchmark:
    """A benchmark function R^2 -> R with its usual domain and known minimisers.

    >>> f = sobolev_lib.functions.booth
    >>> x = f.sample(5, generator=torch.Generator().manual_seed(0))   # (5, 2), uniform in f.domain
    >>> f(x).shape
    torch.Size([5])

    ``name`` is the identifier, ``title`` the printed name, ``domain`` holds one ``(low, high)`` pair per input,
    ``minimizers`` is a float64 tensor (k, 2) of all global minimisers in the domain, ``minimum`` the value there.
    Source: section 4.1 and figure 2 of the paper; formulas as in the optimisation literature.
    """

    name: str
    title: str
    domain: tuple[tuple[float, float], tuple[float, float]]
    minimum: float
    _minimizers: tuple[tuple[float, float], ...] = field(repr=False)
    _formula: Callable[[Tensor, Tensor], Tensor] = field(repr=False)

    @property
    def minimizers(self) -> Tensor:
        return torch.tensor(self._minimizers, dtype=torch.float64)

    def __call__(self, x: Tensor) -> Tensor:
        """Values at ``x``: (..., 2) -> (...). Any floating dtype, any device."""
        if not isinstance(x, Tensor):
            raise TypeError(f"{self.name}: expected a torch.Tensor of shape (..., 2), got {type(x).__name__}")
        if not x.is_floating_point():
            raise TypeError(f"{self.name}: expected a floating-point tensor, got {x.dtype}; use x.float()")
        if x.ndim == 0 or x.shape[-1] != 2:
            raise ValueError(f"{self.name}: expected inputs of shape (..., 2), got {tuple(x.shape)}")
        return self._formula(x[..., 0], x[..., 1])

    def sample(self, n: int, *, generator: torch.Generator | None = None, dtype: torch.dtype | None = None,
               device: torch.device | str | None = None) -> Tensor:
        """``n`` points drawn uniformly from the domain, shape (n, 2); repeatable through ``generator``.

        >>> sobolev_lib.functions.ackley.sample(3).shape
        torch.Size([3, 2])
        """
        if not isinstance(n, int) or n < 1:
            raise ValueError(f"{self.name}.sample: expected a positive number of points, got {n!r}")
        # drawn where the generator lives, so that a CPU seed gives the same points on a GPU
        source = generator.device if generator is not None else device
        unit = torch.rand(n, 2, generator=generator, dtype=dtype, device=source).to(device)
        low, high = torch.tensor(self.domain, dtype=unit.dtype, device=unit.device).T
        return low + (high - low) * unit


def _safe_sqrt(squared: Tensor, smallest: float) -> Tensor:
    """sqrt with value 0 and derivatives 0 below ``smallest``, where sqrt's own derivatives overflow."""
    resolved = squared > smallest
    # the inner `where` keeps sqrt away from 0: an infinite derivative times a zero mask would be NaN
    return torch.where(resolved, torch.where(resolved, squared, 1.0).sqrt(), 0.0)


def _ackley(x: Tensor, y: Tensor) -> Tensor:
    distance = _safe_sqrt(0.5 * (x * x + y * y), torch.finfo(x.dtype).eps ** 2)
    waves = 0.5 * (torch.cos(2 * torch.pi * x) + torch.cos(2 * torch.pi * y))
    return -20 * torch.exp(-0.2 * distance) - torch.exp(waves) + torch.e + 20


def _beale(x: Tensor, y: Tensor) -> Tensor:
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _booth(x: Tensor, y: Tensor) -> Tensor:
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


def _bukin(x: Tensor, y: Tensor) -> Tensor:
    # y - 0.01 x^2 is a difference of numbers up to 3: below 4 eps its sign is rounding noise
    height = (y - 0.01 * x * x).abs()
    return 100 * _safe_sqrt(height, 4 * torch.finfo(x.dtype).eps) + 0.01 * (x + 10).abs()


def _mccormick(x: Tensor, y: Tensor) -> Tensor:
    return torch.sin(x + y) + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1


def _rosenbrock(x: Tensor, y: Tensor) -> Tensor:
    return 100 * (y - x * x) ** 2 + (1 - x) ** 2


def _styblinski_tang(x: Tensor, y: Tensor) -> Tensor:
    return 0.5 * (x**4 - 16 * x**2 + 5 * x + y**4 - 16 * y**2 + 5 * y)


# stationary point of x^4 - 16 x^2 + 5 x, a root of 4 x^3 - 32 x + 5
_STYBLINSKI_TANG_ROOT = -2.9035340277711771
# x = 1/2 - pi/3, y = x - 1
_MCCORMICK_ROOT = -0.54719755119659775

ackley = Benchmark("ackley", "Ackley", ((-5.0, 5.0), (-5.0, 5.0)), 0.0, ((0.0, 0.0),), _ackley)
beale = Benchmark("beale", "Beale", ((-4.5, 4.5), (-4.5, 4.5)), 0.0, ((3.0, 0.5),), _beale)
booth = Benchmark("booth", "Booth", ((-10.0, 10.0), (-10.0, 10.0)), 0.0, ((1.0, 3.0),), _booth)
bukin = Benchmark("bukin", "Bukin N.6", ((-15.0, -5.0), (-3.0, 3.0)), 0.0, ((-10.0, 1.0),), _bukin)
mccormick = Benchmark("mccormick", "McCormick", ((-1.5, 4.0), (-3.0, 4.0)), -1.9132229549810362,
                      ((_MCCORMICK_ROOT, _MCCORMICK_ROOT - 1),), _mccormick)
rosenbrock = Benchmark("rosenbrock", "Rosenbrock", ((-2.0, 2.0), (-2.0, 2.0)), 0.0, ((1.0, 1.0),), _rosenbrock)
styblinski_tang = Benchmark("styblinski_tang", "Styblinski-Tang", ((-5.0, 5.0), (-5.0, 5.0)), -78.33233140754282,
                            ((_STYBLINSKI_TANG_ROOT, _STYBLINSKI_TANG_ROOT),), _styblinski_tang)

BENCHMARKS = (ackley, beale, booth, bukin, mccormick, rosenbrock, styblinski_tang)
