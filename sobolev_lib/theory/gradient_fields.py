"""Proposition 4: how far a vector field is from being the gradient of anything."""
import math

import torch
from torch import Tensor

from sobolev_lib.derivatives import Model, check_output, value_and_derivatives


def jacobian_asymmetry(vector_field: Model, h: Tensor, *, probes: int | None = None,
                       generator: torch.Generator | None = None) -> Tensor:
    """How far a field is from being a gradient: the size of its Jacobian's antisymmetric part, between 0 and 1.

    >>> jacobian_asymmetry(lambda h: h.cos(), torch.rand(4, 3))                 # the gradient of the sum of sin(h)
    tensor([0., 0., 0., 0.])
    >>> jacobian_asymmetry(lambda h: h @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.rand(1, 2))        # a rotation
    tensor([1.])

    ``vector_field`` maps (N, *shape) to (N, *shape), rows independent. Returns (N,): ||J - J^T|| / (2 ||J||) in Frobenius
    norms, where J is the field's Jacobian at a row of ``h``; 0 where J vanishes. A gradient field has 0 everywhere. A field
    whose Jacobian has independent random entries has about 0.71. With ``probes`` the norms are estimated from that many
    random directions, and J is never formed. Raises ``ValueError`` if the field's shape is not that of ``h``.
    Source: Proposition 4.
    """
    if h.ndim < 2:
        raise ValueError(f"h: expected a batch of shape (N, ...), got {tuple(h.shape)}")
    if probes is not None and (not isinstance(probes, int) or probes < 1):
        raise ValueError(f"probes: expected a positive number or None, got {probes!r}")
    with torch.no_grad():
        field = check_output(vector_field(h.clone()), h)
    if field.shape != h.shape:
        raise ValueError(f"vector_field: expected outputs of the inputs' shape {tuple(h.shape)}, got {tuple(field.shape)}")
    n, size = len(h), math.prod(h.shape[1:])
    if probes is None:
        jacobian = value_and_derivatives(vector_field, h)[1].detach().reshape(n, size, size)
        total, odd = jacobian.square().sum((1, 2)), (jacobian - jacobian.mT).square().sum((1, 2))
    else:
        total, odd = h.new_zeros(n), h.new_zeros(n)
        source = "cpu" if generator is None else generator.device
        for _ in range(probes):
            # drawn where the generator lives, so that a CPU seed gives the same probes on a GPU
            v = torch.randn(h.shape, generator=generator, dtype=h.dtype, device=source).to(h.device)
            # E ||A v||^2 = ||A||^2 for any matrix A; J v is the pullback of the pullback, which is linear
            pull = torch.func.vjp(vector_field, h)[1]
            back = pull(v)[0].detach()
            ahead = torch.func.vjp(lambda u: pull(u)[0], torch.zeros_like(v))[1](v)[0].detach()
            total += (ahead.square() + back.square()).flatten(1).sum(1) / 2
            odd += (ahead - back).square().flatten(1).sum(1)
    return torch.where(total != 0, (odd / total.clamp_min(torch.finfo(h.dtype).tiny)).sqrt() / 2, 0.0)
