"""Theorem 2: how well a function can follow the values of f and, at the same time, foreign derivatives g."""
import math
from dataclasses import dataclass
from typing import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Tradeoff:
    """What nearness to the values costs in derivatives: bounds for every C^1 function h; see ``tradeoff``.

    >>> found = Tradeoff(gaps=torch.tensor([3.0]), lengths=torch.tensor([1.0]))
    >>> found.eta, found.derivative_bound(0.5)
    (1.0, 2.0)

    Each entry of ``gaps`` (P,) is by how much g, integrated along a segment, misses the change of f; ``lengths`` (P,) are
    the segments' lengths.
    """

    gaps: Tensor
    lengths: Tensor

    @property
    def eta(self) -> float:
        """No h is closer than this to f and to g at once (suprema). Zero only where g is a derivative of f."""
        return float((self.gaps / (2 + self.lengths)).max())

    def derivative_bound(self, value_error: float) -> float:
        """How far h' is from g at least, if h is never farther than ``value_error`` from f."""
        if not value_error >= 0:
            raise ValueError(f"value_error: expected a number >= 0, got {value_error!r}")
        return max(0.0, float(((self.gaps - 2 * value_error) / self.lengths).max()))


def tradeoff(f: Function, g: Function, domain: Sequence, *, nodes: int = 401, chords: int = 200,
             generator: torch.Generator | None = None) -> Tradeoff:
    """The bounds that hold for any C^1 function h between the values ``f`` and the derivatives ``g``.

    >>> found = tradeoff(lambda x: 0 * x[:, 0], lambda x: torch.ones_like(x), (0, 2))       # flat, yet with slope 1
    >>> round(found.eta, 6), round(found.derivative_bound(0.25), 6)
    (0.5, 0.75)

    ``f`` maps (N, d) to (N,), ``g`` (N, d) to (N, d), its derivative as claimed. ``domain`` is (low, high) for d = 1, or a
    pair a side. With G the integral of g along a segment from x to y, h(y) - h(x) - G is at most |h' - g| times the length,
    and differs from f(y) - f(x) - G by at most 2 |h - f|. So |h' - g| >= (gap - 2 |h - f|) / length. In one dimension all
    pairs of ``nodes`` are tried, and in the limit no better bound exists (``compromise`` reaches it). In more dimensions
    it is all pairs on random ``chords``, so the bounds hold but may be low. Raises ``ValueError`` for wrong shapes.
    Source: Theorem 2.
    """
    x, d = _chords(domain, nodes, chords, generator)
    rise = _integrals(g, x)
    values = _values(f, x)
    excess = values - torch.cat([torch.zeros(len(x), 1, dtype=x.dtype), rise.cumsum(1)], dim=1)
    place = torch.linspace(0, 1, x.shape[1], dtype=x.dtype) * (x[:, -1] - x[:, 0]).norm(dim=1, keepdim=True)
    i, j = torch.triu_indices(x.shape[1], x.shape[1], offset=1)
    return Tradeoff((excess[:, j] - excess[:, i]).abs().flatten(), (place[:, j] - place[:, i]).flatten())


def compromise(f: Function, g: Function, domain: tuple[float, float], value_error: float, *,
               nodes: int = 401) -> tuple[Tensor, Tensor]:
    """A function in one dimension that stays within ``value_error`` of ``f`` and comes as close to ``g`` as any can.

    >>> x, h = compromise(lambda x: 0 * x[:, 0], lambda x: torch.ones_like(x), (0, 2), value_error=0.25)
    >>> round(float(h.abs().max()), 6), round(float((h.diff() / x.diff()).min()), 6)
    (0.25, 0.25)

    Returns the ``nodes`` (n,) and the values there (n,). With e(x) = f(x) - G(x) it is G plus the lowest of the cones
    e(y) + value_error + L |x - y|, where L is the bound of ``tradeoff``: a Lipschitz function, which C^1 functions approach.
    Arguments as there. Source: Theorem 2; the cones are McShane's extension.
    """
    steepest = tradeoff(f, g, domain, nodes=nodes).derivative_bound(value_error)
    x, d = _chords(domain, nodes, 1, None)
    if d != 1:
        raise ValueError(f"domain: expected one dimension, (low, high), got {domain!r}")
    rise = torch.cat([torch.zeros(1, dtype=x.dtype), _integrals(g, x)[0].cumsum(0)])
    place = x[0, :, 0]
    cones = (_values(f, x)[0] - rise + value_error) + steepest * (place[:, None] - place).abs()
    return place, cones.min(1).values + rise


def _chords(domain, nodes: int, chords: int, generator) -> tuple[Tensor, int]:
    """Points along straight lines, (C, nodes, d): the whole interval in one dimension, random lines in more."""
    if not isinstance(nodes, int) or nodes < 2:
        raise ValueError(f"nodes: expected 2 at least, got {nodes!r}")
    box = torch.as_tensor(domain, dtype=torch.float64)
    box = box[None] if box.ndim == 1 else box
    if box.ndim != 2 or box.shape[1] != 2 or not (box[:, 0] < box[:, 1]).all() or not box.isfinite().all():
        raise ValueError(f"domain: expected (low, high) with low < high, a pair a side, got {domain!r}")
    d, t = len(box), torch.linspace(0, 1, nodes, dtype=torch.float64)[:, None]
    if d == 1:
        ends = box.T[:, None]                              # (2, 1, 1)
    else:
        ends = box[:, 0] + torch.rand(2, chords, d, generator=generator, dtype=torch.float64) * (box[:, 1] - box[:, 0])
    return ends[0][:, None] * (1 - t) + ends[1][:, None] * t, d


def _integrals(g: Function, x: Tensor) -> Tensor:
    """Of g along each piece of each line, by four Gauss points a piece: (C, nodes - 1)."""
    at, weight = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(4))
    start, step = x[:, :-1, None], x.diff(dim=1)[:, :, None]
    points = start + step * (at[:, None] + 1) / 2          # (C, nodes - 1, 4, d)
    field = g(points.flatten(0, 2))
    if field.shape != (points.shape[:3].numel(), x.shape[-1]):
        raise ValueError(f"g: expected shape (N, {x.shape[-1]}), got {tuple(field.shape)} for N = {points.shape[:3].numel()}")
    return ((field.detach().reshape(points.shape) * step).sum(-1) * weight / 2).sum(-1)


def _values(f: Function, x: Tensor) -> Tensor:
    count = math.prod(x.shape[:-1])
    values = f(x.flatten(0, 1))
    if values.shape not in ((count,), (count, 1)):
        raise ValueError(f"f: expected shape (N,) or (N, 1), got {tuple(values.shape)} for N = {count}")
    return values.detach().reshape(x.shape[:-1])
