"""label(): values and derivatives of a function, by autodiff or by finite differences."""
import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sobolev_lib._arguments import integer, number
from sobolev_lib.data import SobolevData, as_tensor, derivative_name
from sobolev_lib.derivatives import value_and_derivatives


def label(f: Callable, x, order: int = 1, *, method: str = "autodiff", step: float | None = None) -> SobolevData:
    """Values and derivatives of ``f`` at ``x``, as a data set without any graph attached.

    >>> f = sobolev_lib.functions.rosenbrock
    >>> data = label(f, f.sample(20), order=2)
    >>> data.hessian.shape
    torch.Size([20, 2, 2])

    ``f`` maps a batch (N, *in) to (N,) or (N, *out), rows independent; it is asked at two or three rows once more, to see
    that it does. It gets copies of ``x``, which it may change. ``method="autodiff"`` differentiates a PyTorch
    function, to any order. ``method="finite-difference"`` takes central differences of a black box, order up to two:
    all points it needs go into ONE call of ``f``, and its result may be a NumPy array. ``step`` is the distance in
    the input's own units; by default it is max(1, |x|) times the third (order 1) or fourth (order 2) root of the
    dtype's precision, where rounding and truncation balance. Use float64 inputs for accurate differences.

    Raises ``ValueError`` for an unknown method, a bad order or step, a function of one point, or labels that come out NaN or
    infinite. Warns if a row's value depends on the other rows.
    Source: section 2; finite differences for black boxes: sections 1 and 5.
    """
    x = as_tensor(x, "x").detach()
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x: expected points of shape (N, ...) with N >= 1, got shape {tuple(x.shape)}")
    if not x.isfinite().all():
        raise ValueError(f"x: expected finite numbers, got {int((~x.isfinite()).sum())} NaN or infinite")
    order = integer(order, "order", "an integer >= 0", least=0)
    if method == "autodiff":
        if step is not None:
            raise ValueError(f"step: only for method='finite-difference', got {step!r} with method='autodiff'")
        try:
            derivatives = value_and_derivatives(f if isinstance(f, nn.Module) else lambda z: f(z.clone()), x, order)
        except RuntimeError as error:
            if "numpy()" not in str(error):
                raise
            raise TypeError("f: expected a function written in PyTorch for method='autodiff', got one that wants NumPy "
                            "arrays; use method='finite-difference'") from error
        check_rows(f, x, derivatives[0])
    elif method == "finite-difference":
        derivatives = _finite_differences(f, x, order, step)
    else:
        raise ValueError(f"method: expected 'autodiff' or 'finite-difference', got {method!r}")
    for k, tensor in enumerate(derivatives):
        if not tensor.isfinite().all():
            raise ValueError(f"label: expected finite {derivative_name(k)}, got {int((~tensor.isfinite()).sum())} NaN "
                             "or infinite entries; is f differentiable at all points of x?")
    return SobolevData(x, *[tensor.detach() for tensor in derivatives])


def check_rows(f: Callable, x: Tensor, values: Tensor) -> None:
    """Raises for a function of one point, whose result has by chance as many rows as there are points."""
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
    if ((few - values.detach()[rows]).abs() > wide).any() and torch.equal(ask(), few):     # else it draws at random
        warnings.warn("f: its value at a point changes with the points beside it, so derivatives mix the rows; expected "
                      "independent rows (batch normalisation in training mode?)", stacklevel=3)


def _finite_differences(f: Callable, x: Tensor, order: int, step: float | None) -> tuple[Tensor, ...]:
    if order > 2:
        raise ValueError(f"order: finite differences go up to order 2, got {order}")
    step = None if step is None else number(step, "step")
    n, d = len(x), math.prod(x.shape[1:])
    flat = x.reshape(n, d)
    first, second = [_steps(flat, step, power) for power in (1 / 3, 1 / 4)]
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
    batch = torch.cat(points)
    if x.shape[1:2] == batch.shape[:1]:                    # a function of one point could fit by chance: one row more
        batch = torch.cat([batch, batch[:1]])
    batch = batch.reshape(-1, *x.shape[1:])
    y = as_tensor(f(batch.clone()), "f(x)").to(x)
    if y.ndim == 0 or len(y) != len(batch):
        raise ValueError(f"f: expected one output row per input row, ({len(batch)}, ...), got {tuple(y.shape)}; is it a "
                         "function of one point?")
    out_shape, y = y.shape[1:], y[:len(points) * n]
    y = y.reshape(len(points), n, -1)                                    # (evaluations, N, m)
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


def _steps(flat: Tensor, step: float | None, power: float) -> Tensor:
    if step is not None:
        return torch.full_like(flat, step)
    return torch.finfo(flat.dtype).eps ** power * flat.abs().clamp_min(1.0)
