"""Proposition 4: how far a vector field is from being the gradient of anything, by its Jacobian and by loops."""
import math

import numpy as np
import torch
from torch import Tensor

from sobolev_lib._arguments import integer
from sobolev_lib._rows import INDEPENDENT, Model, check_output
from sobolev_lib.derivatives import value_and_derivatives


def jacobian_asymmetry(vector_field: Model, h: Tensor, *, probes: int | None = None,
                       generator: torch.Generator | None = None) -> Tensor:
    """How far a field is from being a gradient: the size of its Jacobian's antisymmetric part, between 0 and 1.

    >>> jacobian_asymmetry(lambda h: h.cos(), torch.rand(4, 3))                 # the gradient of the sum of sin(h)
    tensor([0., 0., 0., 0.])
    >>> jacobian_asymmetry(lambda h: h @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.rand(1, 2))        # a rotation
    tensor([1.])

    ``vector_field`` maps (N, *shape) to (N, *shape), rows independent. Returns (N,): ||J - J^T|| / (2 ||J||) in Frobenius
    norms, where J is the field's Jacobian at a row of ``h``; 0 where J vanishes. A gradient field has 0 wherever
    it is differentiable. If the n x n entries of a Jacobian are independent, of mean zero and of one variance, the ratio of the
    mean squares is (n - 1) / (2 n): about 0.5 for n = 2, and 0.71 for large n. With ``probes`` the norms are estimated from that many
    random directions, and J is never formed. Raises ``ValueError`` if the field's shape is not that of ``h``, ``TypeError``
    if ``h`` is no floating tensor. Source: Proposition 4.
    """
    _check_floating(h, "h")
    if h.ndim < 2 or not h.numel():
        raise ValueError(f"h: expected a batch of shape (N, ...) with one entry at least, got {tuple(h.shape)}")
    if probes is not None:
        probes = integer(probes, "probes", "a positive number or None")
    with torch.no_grad():
        field = check_output(vector_field(h.clone()), h)
    if field.shape != h.shape:
        raise ValueError(f"vector_field: expected outputs of the inputs' shape {tuple(h.shape)}, got {tuple(field.shape)}")
    n, size = len(h), math.prod(h.shape[1:])
    if probes is None:
        try:
            jacobian = value_and_derivatives(vector_field, h)[1].detach().reshape(n, size, size)
        except ValueError as error:
            if str(error) != INDEPENDENT:
                raise
            return h.new_zeros(n)                          # a field that is the same everywhere
        largest = jacobian.abs().amax((1, 2), keepdim=True)    # else squares of small or large entries are lost
        jacobian = jacobian / torch.where(largest != 0, largest, 1.0)
        total, odd = jacobian.square().sum((1, 2)), (jacobian - jacobian.mT).square().sum((1, 2))
    else:
        total, odd = h.new_zeros(n, dtype=torch.float64), h.new_zeros(n, dtype=torch.float64)
        source = "cpu" if generator is None else generator.device
        with torch.jit.optimized_execution(False):         # see traced_or_not
            # J v is the pullback of the pullback, which is linear
            pull = torch.func.vjp(vector_field, h)[1]
            push = torch.func.vjp(lambda u: pull(u)[0], torch.zeros_like(h))[1]
        for _ in range(probes):
            # drawn where the generator lives, so that a CPU seed gives the same probes on a GPU
            v = torch.randn(h.shape, generator=generator, dtype=h.dtype, device=source).to(h.device)
            # E ||A v||^2 = ||A||^2 for any matrix A
            with torch.jit.optimized_execution(False):
                back, ahead = (function(v)[0].detach().double() for function in (pull, push))
            total += (ahead.square() + back.square()).flatten(1).sum(1) / 2
            odd += (ahead - back).square().flatten(1).sum(1)
    return torch.where(total != 0, (odd / torch.where(total != 0, total, 1.0)).sqrt() / 2, 0.0).to(h.dtype)


def loop_bound(vector_field: Model, corners: Tensor, *, nodes: int = 64) -> float:
    """How far a field is from every gradient, at least: its integral around a closed polygon, over the polygon's length.

    >>> square = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    >>> round(loop_bound(lambda x: torch.stack([-x[:, 1], x[:, 0]], 1), square), 6)            # a rotation
    1.0
    >>> round(loop_bound(lambda x: torch.stack([x[:, 1], x[:, 0]], 1), square), 6)             # the gradient of x1 x2
    0.0

    ``vector_field`` maps (N, d) to (N, d), rows independent; ``corners`` (n, d) are joined by straight sides, the last to the
    first. The integral of any gradient around the loop is zero. So whatever function u is taken, the length of
    g - grad u reaches the returned number somewhere on the loop, however wrong the values of u may be. Each side is integrated with
    2 ``nodes`` of Gauss and Legendre, and once more with ``nodes``: by how much the two differ is taken off the bound, as an
    estimate of the integral's error. It is one for smooth fields; for others take more nodes. Sums are in float64, the
    field is asked in the corners' dtype. Raises ``ValueError`` for wrong shapes, a loop of length zero, or a field that is
    not finite; ``TypeError`` for corners that are no floating tensor, or a complex field. Source: this book; for continuous
    fields it sharpens Theorem 2 and holds where Proposition 4 needs a derivative.
    """
    _check_floating(corners, "corners")
    if corners.ndim != 2 or len(corners) < 2:
        raise ValueError(f"corners: expected shape (n, d) with n >= 2, got {tuple(corners.shape)}")
    nodes = integer(nodes, "nodes", "a positive number")
    ends = corners.detach().double()
    sides = ends.roll(-1, 0) - ends                                            # (n, d)
    length = float(sides.norm(dim=1).sum())
    if not 0 < length < math.inf:
        raise ValueError(f"corners: expected a loop of some finite length, got {length:g}")

    def integral(nodes: int) -> float:
        places, weights = (torch.as_tensor(a).to(ends) for a in np.polynomial.legendre.leggauss(nodes))
        on = ends[:, None] + (places[:, None] + 1) / 2 * sides[:, None]        # (n, nodes, d)
        asked = on.flatten(0, 1).to(corners.dtype)
        with torch.no_grad():
            field = check_output(vector_field(asked.clone()), asked)           # a copy: the field may work in place
        if field.shape != asked.shape:
            raise ValueError(f"vector_field: expected outputs of the inputs' shape {tuple(asked.shape)}, "
                             f"got {tuple(field.shape)}")
        if field.is_complex():
            raise TypeError(f"vector_field: expected real numbers, got {field.dtype}")
        if not field.isfinite().all():
            raise ValueError("vector_field: expected finite numbers along the loop, got some that are not")
        along = (field.double().reshape(on.shape) * sides[:, None]).sum(2)     # (n, nodes)
        return float((along * weights).sum() / 2)

    coarse, fine = integral(nodes), integral(2 * nodes)
    return max(0.0, abs(fine) - abs(fine - coarse)) / length


def _check_floating(tensor, name: str) -> None:
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise TypeError(f"{name}: expected a floating tensor, got {kind}")
