"""Values and gradients of a function of two variables on regular grids: what every surface figure is drawn from."""
from typing import Callable, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sobolev_lib.derivatives import value_and_derivatives

Domain = tuple[tuple[float, float], tuple[float, float]]


class SurfaceField(NamedTuple):
    """``values[i, j]`` is f at (x1[j], x2[i]); ``gradients[i, j]`` is its gradient at (at1[j], at2[i])."""
    x1: np.ndarray         # (n,)
    x2: np.ndarray         # (n,)
    values: np.ndarray     # (n, n)
    at1: np.ndarray        # (k,)
    at2: np.ndarray        # (k,)
    gradients: np.ndarray  # (k, k, 2)


def surface_field(f: Callable, domain: Domain, resolution: int = 33, arrows: int = 12) -> SurfaceField:
    """Sample ``f`` on a grid that ends at the domain's edges, and its gradient at the centres of a coarser grid.

    >>> field = surface_field(lambda x: (x ** 2).sum(-1), ((-1, 1), (-1, 1)), resolution=5, arrows=3)
    >>> field.values.shape, field.gradients.shape
    ((5, 5), (3, 3, 2))

    ``f`` maps (N, 2) to (N,) or (N, 1); ``domain`` is ((low, high), (low, high)); ``resolution`` >= 2 points and
    ``arrows`` >= 1 gradients a side. A module is asked in its own dtype, on its own device, in evaluation mode.
    Raises ``ValueError`` for a bad domain, a wrong output shape, or values that are not finite. Source: figure 3.
    """
    domain = check_domain(domain)
    check_count("resolution", resolution, 2)
    check_count("arrows", arrows, 1)
    x1, x2 = (np.linspace(low, high, resolution) for low, high in domain)
    at1, at2 = (low + (np.arange(arrows) + 0.5) / arrows * (high - low) for low, high in domain)
    trained = f if isinstance(f, nn.Module) and f.training else None
    if trained is not None:
        trained.eval()   # dropout and batch statistics have no place in a picture of the function
    try:
        with torch.no_grad():
            values = _column(f(_points(f, x1, x2)), resolution ** 2, ())
        slopes = value_and_derivatives(f, _points(f, at1, at2), 1)[1]
    finally:
        if trained is not None:
            trained.train()
    gradients = _column(slopes, arrows ** 2, (2,))
    for name, array in (("values", values), ("gradients", gradients)):
        if not np.isfinite(array).all():
            raise ValueError(f"f: expected finite {name} on the domain {domain}, "
                             f"got {int((~np.isfinite(array)).sum())} that are not")
    return SurfaceField(x1, x2, values.reshape(resolution, resolution), at1, at2,
                        gradients.reshape(arrows, arrows, 2))


def arrow_vectors(gradients: np.ndarray, longest: float) -> np.ndarray:
    """Gradients as arrows with the same directions, of length sqrt(norm / ``longest``), so at most 1.

    Square roots, because the norms span several powers of ten: drawn in proportion, all but a few arrows would be
    dots. (..., 2) -> (..., 2).
    """
    norm = np.linalg.norm(gradients, axis=-1, keepdims=True)
    return gradients / np.sqrt(np.maximum(norm, 1e-300) * (longest or 1.0))


def check_domain(domain) -> Domain:
    try:
        array = np.asarray(domain, dtype=float)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (2, 2) or not np.isfinite(array).all() or not (array[:, 0] < array[:, 1]).all():
        raise ValueError(f"domain: expected ((low, high), (low, high)) with low < high, got {domain!r}")
    (a, b), (c, d) = array.tolist()
    return (a, b), (c, d)


def check_points(points) -> np.ndarray | None:
    if points is None:
        return None
    array = points.detach().cpu().numpy() if isinstance(points, Tensor) else np.asarray(points)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"points: expected shape (N, 2), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("points: expected finite numbers, got some that are not")
    return array.astype(float)


def check_count(name: str, value, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}: expected an integer >= {least}, got {value!r}")


def _points(f, a: np.ndarray, b: np.ndarray) -> Tensor:
    first, second = np.meshgrid(a, b)   # rows follow the second variable, as in an image
    like = next(f.parameters(), None) if isinstance(f, nn.Module) else None
    options = {"dtype": torch.float64} if like is None else {"dtype": like.dtype, "device": like.device}
    return torch.as_tensor(np.stack([first.ravel(), second.ravel()], axis=-1)).to(**options)


def _column(y, n: int, tail: tuple[int, ...]) -> np.ndarray:
    if not isinstance(y, Tensor):
        raise TypeError(f"f: expected a torch tensor back, got {type(y).__name__}")
    if tuple(y.shape) not in ((n, *tail), (n, 1, *tail)):
        raise ValueError(f"f: expected one number per point, shape ({n},) or ({n}, 1), "
                         f"got {tuple(y.shape[:y.ndim - len(tail)])}")
    return y.detach().cpu().double().numpy().reshape(n, *tail)
