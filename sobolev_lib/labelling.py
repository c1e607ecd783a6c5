"""label(): values and derivatives of a function, by autodiff or by finite differences."""
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sobolev_lib._arguments import integer, number
from sobolev_lib._warnings import warn_outside
from sobolev_lib.data import SobolevData, as_tensor, derivative_name
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.products import check_directions, value_and_products

METHODS = ("autodiff", "finite-difference", "forward-difference")


def label(f: Callable, x, order: int = 1, *, method: str = "autodiff", step: float | None = None,
          directions=None) -> SobolevData:
    """Values and derivatives of ``f`` at ``x``, as a data set without any graph attached.

    >>> f = sobolev_lib.functions.rosenbrock
    >>> data = label(f, f.sample(20), order=2)
    >>> data.hessian.shape
    torch.Size([20, 2, 2])

    ``f`` maps a batch (N, *in) to (N,) or (N, *out), rows independent. It gets copies of ``x``, which it may change.
    ``method="autodiff"`` differentiates a PyTorch function, to any order; it is asked at two or three rows once more, to see
    that rows are independent. ``method="finite-difference"`` takes central differences of a black box, order up to two: all
    points it needs go into ONE call of ``f``, and its result may be a NumPy array. ``step`` is the distance in
    the input's own units; by default it is max(1, |x|) times the third (order 1) or fourth (order 2) root of the
    dtype's precision, where rounding and truncation balance; a warning says where all points lie within four such steps, as in
    small units. Use float64 inputs for accurate differences.
    ``method="forward-difference"``, order 1, asks for d + 1 values a point instead of 2 d + 1, for errors of the order of
    the step, not of its square; there the default has the square root.

    ``directions`` (N, k, *in) ask for the highest order along them only (see ``SobolevData``): by autodiff J u or the
    Hessian-vector product H u; by differences J u, from 2 k + 1 values a point or k + 1. The ends are then the points plus
    ``step`` times the direction, and the data have the direction as it could be made after rounding.

    >>> x = f.sample(20).double()
    >>> u = sobolev_lib.random_directions(x, distribution="rademacher")   # all inputs at once, up or down
    >>> data = label(f, x, method="forward-difference", directions=u)     # two values a point
    >>> data.products.shape
    torch.Size([20, 1])

    Raises ``ValueError`` for an unknown method, a bad order, step or direction, a function of one point, or labels that come
    out NaN or infinite, or differences without a ``step`` of a function that computes in fewer digits than ``x`` has. By
    autodiff, warns if a row's value depends on the other rows, or if f is a module in training mode that draws, as dropout
    does. A direction of zeros gets no label (NaN).
    Source: section 2; finite differences for black boxes: sections 1 and 5; along random directions, simultaneous
    perturbation (Spall, 1992).
    """
    x = as_tensor(x, "x").detach()
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x: expected points of shape (N, ...) with N >= 1, got shape {tuple(x.shape)}")
    if not x.isfinite().all():
        raise ValueError(f"x: expected finite numbers, got {int((~x.isfinite()).sum())} NaN or infinite")
    order = integer(order, "order", "an integer >= 0", least=0)
    if directions is not None:
        directions = as_tensor(directions, "directions").detach()
        check_directions(directions, x, order)
    if method == "autodiff":
        if step is not None:
            raise ValueError(f"step: only for method='finite-difference', got {step!r} with method='autodiff'")
        try:
            derivatives = value_and_derivatives(f, x, order) if directions is None else value_and_products(
                f, x, directions, order)
        except RuntimeError as error:
            if "numpy()" not in str(error):
                raise
            raise TypeError("f: expected a function written in PyTorch for method='autodiff', got one that wants NumPy "
                            "arrays; use method='finite-difference'") from error
        if check_rows(f, x, derivatives[0]) and isinstance(f, nn.Module) and f.training:
            warn_outside("f: expected the same values when it is asked again, got others: it is a module in training mode (dropout?), "
                         "and these labels are one draw; call f.eval()")
    elif method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(map(repr, METHODS))}, got {method!r}")
    elif directions is not None or method == "forward-difference" and order > 0:
        if order > 1:
            where = " along directions" if directions is not None else ""
            raise ValueError(f"order: {method}s{where} go up to order 1, got {order}")
        *derivatives, directions = _differences_along(f, x, directions, step, central=method == "finite-difference")
    else:
        derivatives = _finite_differences(f, x, order, step)
    for k, tensor in enumerate(derivatives):
        if not tensor.isfinite().all():
            raise ValueError(f"label: expected finite {derivative_name(k)}, got {int((~tensor.isfinite()).sum())} NaN "
                             "or infinite entries; is f differentiable at all points of x?")
    derivatives = [tensor.detach() for tensor in derivatives]
    if directions is not None:
        derivatives[-1] = _without_zero(directions, derivatives[-1], derivatives[0].ndim)
    return SobolevData(x, *derivatives, directions=directions)


def _without_zero(directions: Tensor, products: Tensor, axis: int) -> Tensor:
    """Labels without those along directions of zeros; ``axis`` is that of the directions."""
    zero = ~directions.reshape(*directions.shape[:2], -1).any(2)         # (N, k)
    shape = [1] * products.ndim
    shape[0], shape[axis] = zero.shape
    return torch.where(zero.reshape(shape), torch.nan, products)


def check_rows(f: Callable, x: Tensor, values: Tensor) -> bool:
    """Whether f draws at random; raises for a function of one point, whose result has by chance as many rows as there are."""
    count = 3 if len(x) == 2 else 2
    rows = torch.arange(count, device=x.device) % len(x)
    ask = lambda: as_tensor(f(x[rows]), "f(x)").detach().to(values)
    try:
        few = ask()
    except Exception as error:
        raise ValueError(f"f: expected a function of a batch of points, got one that takes {len(x)} rows and not {count}: "
                         f"{error}") from error
    if few.shape != (count, *values.shape[1:]):
        raise ValueError(f"f: expected a function of a batch of points, one output row each: {tuple(values.shape)} for "
                         f"{len(x)} rows should be ({count}, ...) for {count}, got {tuple(few.shape)}. Is it a function of one "
                         "point? Then wrap it: torch.vmap(f)")
    # a GPU multiplies batches of other sizes in another order, and in shorter numbers
    wide = torch.finfo(values.dtype).eps ** (0.5 if x.is_cuda else 0.75) * values.detach().abs().max() * 10
    if not ((few - values.detach()[rows]).abs() > wide).any():
        return False
    draws = not torch.equal(ask(), few)
    if not draws:
        warn_outside("f: its value at a point changes with the points beside it, so derivatives mix the rows; expected "
                     "independent rows (batch normalisation in training mode?)")
    return draws


def _finite_differences(f: Callable, x: Tensor, order: int, step: float | None) -> tuple[Tensor, ...]:
    if order > 2:
        raise ValueError(f"order: finite differences go up to order 2, got {order}")
    step = None if step is None else number(step, "step")
    n, d = len(x), math.prod(x.shape[1:])
    flat = x.reshape(n, d)
    first, second = [_steps(flat, step, power) for power in (1 / 3, 1 / 4)]
    if step is None and order > 0:
        _warn_of_wide_steps(flat, second if order == 2 else first)
    made = [(flat + each) - flat for each in (first, second)]
    second = made[1]                                       # after rounding, so that corners lie where the formula has them
    if not all(each.all() for each in made[:order]):
        raise ValueError(f"step: expected one that moves the points, got {step!r}, which {x.dtype} can't tell from none")
    pairs = [(i, j) for i in range(d) for j in range(i, d)] if order == 2 else []

    def moved(*moves):
        point = flat.clone()
        for i, signed_steps in moves:
            point[:, i] += signed_steps[:, i]
        return point

    points = [flat]
    if order >= 1:
        points += [moved((i, sign * first)) for i in range(d) for sign in (1, -1)]
    for i, j in pairs:
        points += [moved((i, a * second), (j, b * second)) for a in (1, -1) for b in (1, -1)]
    y = _asked_once(f, torch.cat(points), x, given=step is not None or order == 0)
    out_shape, y = y.shape[1:], y.reshape(len(points), n, -1)            # (evaluations, N, q)
    results = [y[0]]
    if order >= 1:
        plus, minus = [torch.cat(points[1:2 * d + 1]).reshape(d, 2, n, d)[:, s] for s in (0, 1)]
        # the distance really moved, after rounding, not the one asked for
        width = (plus - minus).diagonal(dim1=0, dim2=2)                  # (N, d)
        slopes = y[1:2 * d + 1].reshape(d, 2, n, -1)
        results.append((slopes[:, 0] - slopes[:, 1]).permute(1, 2, 0) / width.unsqueeze(1))
    if order == 2:
        corners = y[2 * d + 1:].reshape(len(pairs), 4, n, -1)
        hessian = y.new_empty(n, corners.shape[-1], d, d)
        for (i, j), (pp, pm, mp, mm) in zip(pairs, corners):
            area = (4 * second[:, i] * second[:, j]).unsqueeze(1)
            # for i = j, pm and mp are the point itself and the formula is the usual one with step 2h
            hessian[:, :, i, j] = hessian[:, :, j, i] = (pp - pm - mp + mm) / area
        results.append(hessian)
    return tuple(r.reshape(n, *out_shape, *x.shape[1:] * k) for k, r in enumerate(results))


def _warn_of_wide_steps(flat: Tensor, steps: Tensor) -> None:
    """Points (N, d) that lie within a few default steps of each other are in other units than the default is for."""
    spread = flat.amax(0) - flat.amin(0)
    wide = ((spread > 0) & (4 * steps.amax(0) > spread)).nonzero().flatten().tolist()
    if len(flat) > 2 and wide:
        j = wide[0]
        warn_outside(f"step: expected one in the units of input {j}, whose {len(flat)} points lie within {spread[j]:.2g}; the default, "
                     f"{steps[:, j].amax():.2g}, is too large for that")


def _steps(flat: Tensor, step: float | None, power: float) -> Tensor:
    if step is not None:
        return torch.full_like(flat, step)
    return torch.finfo(flat.dtype).eps ** power * flat.abs().clamp_min(1.0)


def _asked_once(f: Callable, batch: Tensor, x: Tensor, given: bool) -> Tensor:
    """What a black box gives at rows (rows, d), moved points of x (N, *in), in one call; ``given``: the step is the caller's."""
    rows = len(batch)
    if x.shape[1:2] == batch.shape[:1]:                    # a function of one point could fit by chance: one row more
        batch = torch.cat([batch, batch[:1]])
    batch = batch.reshape(-1, *x.shape[1:])
    y = f(batch.clone())
    y = as_tensor(np.asarray(y) if isinstance(y, (list, tuple)) else y, "f(x)")           # lists of numbers have all digits
    if not given and torch.finfo(y.dtype).eps > torch.finfo(x.dtype).eps:
        raise ValueError(f"f: expected {x.dtype} as x has, got {y.dtype}, whose rounding is larger than differences over steps for "
                         f"{x.dtype}; pass x in {y.dtype}, or a step of your choice")
    y = y.to(x)
    if y.ndim == 0 or len(y) != len(batch):
        raise ValueError(f"f: expected one output row per input row, ({len(batch)}, ...), got {tuple(y.shape)}; is it a "
                         "function of one point?")
    return y[:rows]


def _differences_along(f: Callable, x: Tensor, directions: Tensor | None, step: float | None,
                       central: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """Values, slopes along directions (N, k, *in), and these as they were made; whole Jacobians without directions."""
    n, d = len(x), math.prod(x.shape[1:])
    flat = x.reshape(n, 1, d)
    u = torch.eye(d).to(x).expand(n, d, d) if directions is None else directions.reshape(n, -1, d)
    if step is None:                                       # no input moves further, for its size, than by itself
        share = (u.abs() / flat.abs().clamp_min(1.0)).amax(2, keepdim=True)
        by = torch.finfo(x.dtype).eps ** (1 / 3 if central else 1 / 2) / torch.where(share > 0, share, 1.0)
        _warn_of_wide_steps(flat.reshape(n, d), (by * u.abs()).amax(1))
    else:
        by = torch.full_like(u[:, :, :1], number(step, "step"))
    ends = [flat + by * u, flat - by * u] if central else [flat + by * u, flat.expand_as(u)]
    made = (ends[0] - ends[1]) / (2 * by if central else by)             # (N, k, d): the direction, after rounding
    if (u.any(2) & ~made.any(2)).any():
        raise ValueError(f"step: expected one that moves the points, got {step!r}, which {x.dtype} can't tell from none")
    points = [flat.reshape(n, d), *[end.reshape(-1, d) for end in ends[:1 + central]]]
    y = _asked_once(f, torch.cat(points), x, given=step is not None)
    values, moved = y[:n], y[n:].reshape(-1, n, u.shape[1], math.prod(y.shape[1:])).mT   # (1 or 2, N, q, k)
    before = moved[1] if central else values.reshape(n, -1, 1)
    slopes = (moved[0] - before) / (by * (2 if central else 1)).mT       # by: (N, 1, k)
    if directions is None:
        slopes = slopes / made.diagonal(dim1=1, dim2=2).unsqueeze(1)
        return values, slopes.reshape(*values.shape, *x.shape[1:]), None
    return values, slopes.reshape(*values.shape, -1), made.reshape(directions.shape)
