"""Random directions: what a stochastic loss projects on, and what a black box can be asked along."""
import math

import torch
from torch import Tensor

from sobolev_lib._arguments import integer

DISTRIBUTIONS = ("sphere", "gaussian", "rademacher")


def random_directions(x: Tensor, count: int = 1, distribution: str = "sphere", *,
                      generator: torch.Generator | None = None) -> Tensor:
    """Directions drawn at random to ask for slopes along them: at points x (N, *in) ``count`` each, (N, count, *in).

    >>> x = torch.rand(20, 6)
    >>> u = random_directions(x, generator=torch.Generator().manual_seed(0))
    >>> u.shape, bool(torch.allclose(u.square().sum(2), torch.tensor(6.0)))
    (torch.Size([20, 1, 6]), True)

    ``distribution``: "sphere" (uniform, of length sqrt(d) for inputs of d numbers), "rademacher" (d random signs: what
    simultaneous perturbation takes) or "gaussian". The length makes the mean over directions of (J u - label)^2, for one
    direction, equal the squared error of the whole Jacobian: so a loss weight means the same for both. With ``count``
    directions a point it is ``count`` times that.

    Directions are in the units of the inputs. Where these differ in size, draw in units that suit them and multiply:
    ``random_directions(x) * scale``, with ``scale`` (*in). Raises ``ValueError`` for an unknown name or a count below 1.
    Source: equation 2, on the side of the inputs; simultaneous perturbation is Spall's (1992).
    """
    if not isinstance(x, Tensor) or x.ndim == 0 or not x.is_floating_point():
        raise TypeError(f"x: expected a floating-point tensor (N, ...), got {getattr(x, 'dtype', type(x).__name__)}")
    check_distribution(distribution)
    return random_vectors((x.shape[0], integer(count, "count")), tuple(x.shape[1:]), distribution, x, generator)


def check_distribution(distribution: str) -> None:
    """Raises ``ValueError`` for one that has no name here.

    >>> check_distribution("sphere")
    """
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution: expected one of {', '.join(DISTRIBUTIONS)}, got {distribution!r}")


def random_vectors(batch: tuple[int, ...], shape: tuple[int, ...], distribution: str, like: Tensor,
                   generator: torch.Generator | None) -> Tensor:
    """Vectors (*batch, *shape) with E[v v^T] = I, whatever the distribution: that is what makes a squared loss unbiased.

    >>> random_vectors((5, 2), (3,), "rademacher", torch.rand(1), None).abs().unique()
    tensor([1.])
    """
    # drawn where the generator lives, so that a CPU seed gives the same vectors on a GPU
    device = like.device if generator is None else generator.device
    v = torch.randn((*batch, *shape), generator=generator, dtype=like.dtype, device=device).to(like.device)
    if distribution == "rademacher":
        return torch.where(v < 0, -1.0, 1.0).to(like.dtype)
    if distribution == "sphere":
        flat = v.reshape(*batch, math.prod(shape))
        return (flat * (math.sqrt(flat.shape[-1]) / flat.norm(dim=-1, keepdim=True))).reshape(v.shape)
    return v
