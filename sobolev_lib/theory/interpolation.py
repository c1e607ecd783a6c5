"""Proposition 1: a network that has any given values and any given gradients at finitely many points."""
import torch
from torch import Tensor, nn


def interpolating_network(points: Tensor, values: Tensor, gradients: Tensor, *, negative_slope: float = 0.0) -> nn.Sequential:
    """A ReLU network with exactly these values and gradients at these points: zero training loss, whatever they are.

    >>> network = interpolating_network(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([5.0, -2.0]),
    ...                                 torch.tensor([[1.0, 2.0], [-3.0, 0.0]]))
    >>> y, jacobian = sobolev_lib.value_and_derivatives(network, torch.tensor([[1.0, 0.0]]))
    >>> y.tolist(), jacobian.tolist()
    ([[-2.0]], [[[-3.0, 0.0]]])

    ``points`` (N, d), ``values`` (N,) or (N, q), ``gradients`` (N, d) or (N, q, d), all of one floating dtype; the network
    maps (N, d) to (N, q). Around each point lies a box; in it the network is the plane through the value with the gradient.
    The boxes are so small, and the walls around them so steep, that each ends before the next point, and between them the
    network is zero. It has two hidden layers, of 3 d N and (q + 1) N units, so 3 d (q + 1) N^2 weights; the largest grow as
    one over the distance of the closest points. Values are met to rounding, gradients exactly.

    ``negative_slope`` makes it a network of leaky ReLUs: twice the units, and rounding errors that grow with the weights.
    Raises ``ValueError`` for wrong shapes, numbers that are not finite, points that coincide, or that are too close for the
    dtype, and for a slope outside [0, 1). Source: Proposition 1.
    """
    device = points.device if isinstance(points, Tensor) else None
    points, values, gradients = _checked(points, values, gradients)
    if not 0 <= negative_slope < 1:
        raise ValueError(f"negative_slope: expected a number in [0, 1), got {negative_slope!r}")
    (n, d), q = points.shape, values.shape[1]
    nearest = _distance_to_nearest(points)
    size, steep = values.abs().amax(1), gradients.abs().sum(2).amax(1)                    # (N,), (N,)
    # a plane that climbs far above all values within its box would cost their last digits
    share = (4 * size.max() / (steep * nearest)).nan_to_num(1.0)
    radius = nearest / 4 * torch.where(share > 0, share, 1.0).clamp(torch.finfo(points.dtype).eps ** 2, 1)

    # layer 1, for each point and coordinate: right of the box, left of it, and the way from its left edge
    x, r = points, radius[:, None]
    room = r.maximum(8 * torch.finfo(x.dtype).eps * x.abs())
    edge = x - room
    room = x - edge                                        # what is left of it after rounding
    unit = torch.eye(d, dtype=x.dtype).repeat(n, 1)        # (N d, d)
    first = torch.cat([unit, -unit, unit]), torch.cat([-(x + r).flatten(), (x - r).flatten(), -edge.flatten()])

    # layer 2: the plane of each output, lifted so that it is positive in the box, minus walls; and the lift, minus walls
    lift = 2 * (size + steep * room.amax(1))
    lift = torch.where(lift > 0, lift, 1.0)
    wall = 2 * ((size + lift + steep * room.amax(1)) / radius + 4 * steep)                # outweighs both at other points
    if not wall.isfinite().all():
        raise ValueError(f"points: expected distances that {points.dtype} can divide by, got one of {float(nearest.min()):.3g}")
    block = torch.eye(n, dtype=x.dtype)
    walls = (-wall[:, None] * block).repeat_interleave(d, dim=1)                           # (N, N d)
    planes = torch.einsum("nk,nmd->mnkd", block, gradients).flatten(2)                     # (q, N, N d)
    base = values.T + lift - torch.einsum("nmd,nd->mn", gradients, room)                   # (q, N)
    rows = [torch.cat([walls, walls, plane], dim=1) for plane in planes]
    second = torch.cat([*rows, torch.cat([walls, walls, torch.zeros_like(walls)], dim=1)]), torch.cat([base.flatten(), lift])

    last = torch.cat([torch.eye(q, dtype=x.dtype).repeat_interleave(n, dim=1), -torch.ones(q, n, dtype=x.dtype)], dim=1)
    return _network([first, second, (last, torch.zeros(q, dtype=x.dtype))], negative_slope).to(device)


def _network(layers, negative_slope: float) -> nn.Sequential:
    """Linear layers with activations between them; leaky ReLUs in pairs, which make a ReLU each."""
    modules: list[nn.Module] = []
    for k, (weight, bias) in enumerate(layers):
        if negative_slope and k > 0:                       # relu(z) = (leaky(z) + a leaky(-z)) / (1 - a^2)
            weight = torch.cat([weight, negative_slope * weight], dim=1) / (1 - negative_slope ** 2)
        if negative_slope and k < len(layers) - 1:
            weight, bias = torch.cat([weight, -weight]), torch.cat([bias, -bias])
        linear = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0], dtype=weight.dtype)
        with torch.no_grad():
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)
        modules += [linear, nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def _distance_to_nearest(points: Tensor) -> Tensor:
    """(N,), in the largest coordinate. A single point is given 4."""
    if len(points) == 1:
        return torch.full((1,), 4.0, dtype=points.dtype)
    distances = torch.cdist(points, points, p=float("inf")).fill_diagonal_(float("inf"))
    found = distances.amin(1)
    if not found.all():
        i, j = (distances == 0).nonzero()[0].tolist()
        raise ValueError(f"points: expected distinct ones, got the same at {i} and {j}: {points[i].tolist()}")
    return found


def _checked(points, values, gradients) -> tuple[Tensor, Tensor, Tensor]:
    for name, tensor in (("points", points), ("values", values), ("gradients", gradients)):
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"{name}: expected a floating tensor, got {kind}")
        if tensor.dtype != points.dtype:
            raise TypeError(f"{name}: expected the points' dtype {points.dtype}, got {tensor.dtype}")
        if not tensor.isfinite().all():
            raise ValueError(f"{name}: expected finite numbers, got some that are not")
    if points.ndim != 2 or not points.numel():
        raise ValueError(f"points: expected shape (N, d), got {tuple(points.shape)}")
    n, d = points.shape
    if values.ndim not in (1, 2) or len(values) != n or not values.numel():
        raise ValueError(f"values: expected shape ({n},) or ({n}, q), got {tuple(values.shape)}")
    if gradients.shape != (*values.shape, d):
        raise ValueError(f"gradients: expected shape {(*values.shape, d)}, got {tuple(gradients.shape)}")
    return points.detach().cpu(), values.detach().cpu().reshape(n, -1), gradients.detach().cpu().reshape(n, -1, d)
