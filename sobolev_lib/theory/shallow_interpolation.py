"""Proposition 1 with a single hidden layer: in each of d directions a line with kinks, through all the points."""
import torch
from torch import Tensor, nn

from sobolev_lib.theory.interpolation import _checked, _distance_to_nearest, _network

TRIES = 20   # random bases, of which the one that keeps the points farthest apart is taken


def shallow_interpolating_network(points: Tensor, values: Tensor, gradients: Tensor, *, negative_slope: float = 0.0,
                                  generator: torch.Generator | None = None) -> nn.Sequential:
    """A ReLU network with one hidden layer and exactly these values and gradients at these points.

    >>> network = shallow_interpolating_network(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([5.0, -2.0]),
    ...                                         torch.tensor([[1.0, 2.0], [-3.0, 0.0]]))
    >>> y, jacobian = sobolev_lib.value_and_derivatives(network, torch.tensor([[1.0, 0.0]]))
    >>> y.detach().round(decimals=3).tolist(), len(network[0].weight)
    ([[-2.0]], 6)

    ``points`` (N, d), ``values`` (N,), ``gradients`` (N, d), all of one floating dtype; the network maps (N, d) to (N, 1).
    In each direction of an orthogonal basis stands a line with kinks (``kinked_line``): its slope at each point is the
    gradient's share of that direction. The first passes through the values, the others are zero at the points. That takes
    2 d (N - 1) + 2 units; leaky ReLUs (``negative_slope``) take twice as many. The basis is drawn with ``generator``, seed 0
    without one. Far terms cancel, so errors are the rounding of the largest weights, which grow as one over the distance of
    the closest projections: ``interpolating_network`` has more units and no such loss. In float32, with points, values and
    slopes of size 1 in two dimensions, values are missed by about 0.003 at 100 points, 0.04 at 300 and 1 at 1,000: use
    float64 beyond a few dozen points. Raises ``ValueError`` for wrong shapes, numbers that are not finite, points that coincide, and
    points, values or gradients for which the dtype has no such network; ``TypeError`` for dtypes below float32.
    Source: Proposition 1.
    """
    device = points.device if isinstance(points, Tensor) else None
    points, values, gradients = _checked(points, values, gradients)
    if points.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"points: expected torch.float32 or torch.float64, got {points.dtype}")
    if values.shape[1] != 1:
        raise ValueError(f"values: expected shape ({len(points)},), got {tuple(values.shape)}")
    if not 0 <= negative_slope < 1:
        raise ValueError(f"negative_slope: expected a number in [0, 1), got {negative_slope!r}")
    _distance_to_nearest(points)                           # refuses points that coincide
    x, y, slopes = points.double(), values[:, 0].double(), gradients[:, 0].double()
    basis = _separating_basis(x, generator or torch.Generator().manual_seed(0))
    along, shares = x @ basis.T, slopes @ basis.T          # (N, d) each
    rows, biases, changes, tangent, bias = [], [], [], torch.zeros(x.shape[1], dtype=x.dtype), torch.zeros((), dtype=x.dtype)
    right = []                                             # in each direction (N, 2 (N - 1)): is the point beyond the kink?
    for k, direction in enumerate(basis):
        order = along[:, k].argsort()
        places, heights = along[order, k], y[order] if k == 0 else torch.zeros_like(y)
        if not (places.diff() > 0).all():
            raise _too_close(points)
        kinks, change = kinked_line(places, heights, shares[order, k])
        right.append(order.argsort()[:, None] > torch.arange(len(kinks)) // 2)
        rows.append(direction.expand(len(kinks), -1))
        biases.append(-kinks)
        changes.append(change)
        tangent = tangent + shares[order[0], k] * direction
        bias = bias + heights[0] - shares[order[0], k] * places[0]
    # a pair of units carries the first tangents of all directions, z = relu(z) - relu(-z), with its kink beyond all points
    reach = (x @ tangent).abs().max()
    away = torch.where(reach > 0, 2 * reach, 1.0)[None]    # of the tangent's own size, so that neither rounds the other off
    first = torch.cat([*rows, tangent[None], -tangent[None]]), torch.cat([*biases, away, -away])
    last = torch.cat([*changes, torch.tensor([1.0, -1.0], dtype=x.dtype)])[None], bias[None] - away
    layers = [tuple(t.to(points.dtype) for t in layer) for layer in (first, last)]
    if not all(t.isfinite().all() for layer in layers for t in layer):
        raise ValueError(f"points, values, gradients: expected numbers whose network {points.dtype} can hold, got weights "
                         "that are not finite")
    weight, offset = layers[0]
    beyond = torch.ones(len(points), 1, dtype=torch.bool)
    if not torch.equal(points @ weight.T + offset > 0, torch.cat([*right, beyond, ~beyond], 1)):
        raise _too_close(points)
    return _network(layers, negative_slope).to(device)


def kinked_line(x: Tensor, y: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """Where a line bends and by how much, if it has these values and slopes: on a tangent, straight over, on the next tangent.

    >>> at, change = kinked_line(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0]))
    >>> at.tolist(), change.tolist()
    ([0.25, 0.75], [2.0, -2.0])

    ``x`` (N,) rises strictly, ``y`` and ``slopes`` are (N,). The line leaves each tangent a quarter of the way to the next
    point, and joins the next tangent at three quarters. Returns two vectors of 2 (N - 1) entries, left to right. Raises
    ``ValueError`` for other shapes, or if ``x`` does not rise.
    """
    if x.ndim != 1 or not x.shape == y.shape == slopes.shape:
        raise ValueError(f"x, y, slopes: expected one shape (N,), got {tuple(x.shape)}, {tuple(y.shape)} and "
                         f"{tuple(slopes.shape)}")
    if not (x.diff() > 0).all():
        raise ValueError(f"x: expected numbers that rise strictly, got {x.tolist()}")
    quarter = x.diff() / 4
    leave, join = x[:-1] + quarter, x[1:] - quarter
    between = (y[1:] - slopes[1:] * quarter - y[:-1] - slopes[:-1] * quarter) / (join - leave)
    return torch.stack([leave, join], 1).flatten(), torch.stack([between - slopes[:-1], slopes[1:] - between], 1).flatten()


def _too_close(points: Tensor) -> ValueError:
    return ValueError(f"points: expected distances that {points.dtype} can split into quarters, got points that are too "
                      "close in one of the network's directions; use float64 or interpolating_network")


def _separating_basis(x: Tensor, generator: torch.Generator) -> Tensor:
    """An orthogonal basis (d, d), one vector a row, in whose directions no two points coincide."""
    d = x.shape[1]
    if d == 1 or len(x) == 1:
        return torch.eye(d, dtype=x.dtype)
    tried = [torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=x.dtype))[0] for _ in range(TRIES)]
    return max(tried, key=lambda basis: float((x @ basis.T).sort(dim=0).values.diff(dim=0).min()))
