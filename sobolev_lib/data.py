"""Training sets with derivative labels: values, Jacobians, Hessians, and higher orders, with missing entries."""
import math
import warnings
from typing import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree
from torch.utils.data import Dataset

from sobolev_lib.arguments import integer, number
from sobolev_lib.derivatives import value_and_derivatives

_NAMES = ("values", "jacobian", "hessian")


class SobolevData(Dataset):
    """Inputs with values and derivatives of the target function, one row a point.

    >>> x = torch.rand(20, 2)
    >>> data = SobolevData(x, x.prod(dim=1), x.flip(1))               # f(x) = x1 x2, so the gradient is (x2, x1)
    >>> data.order, len(data), len(data[:5])
    (1, 20, 5)

    ``inputs`` (N, *in), ``values`` (N, *out), ``jacobian`` (N, *out, *in), ``hessian`` (N, *out, *in, *in), then
    orders three and up in ``higher``. A scalar function has values (N,) and jacobian (N, *in). All are copied, so that
    later changes don't reach the data; arrays, lists and tables are converted. NaN, or a masked entry of a masked array,
    marks a missing derivative entry: it takes no part in any loss. A value may be missing too where some derivative at
    its point is known. All tensors share one floating dtype and one device.

    ``data[i]`` is the tuple of tensors at one point, which is what ``torch.utils.data.DataLoader`` wants;
    ``data[a:b]``, ``data[mask]`` and ``data[indices]`` are again ``SobolevData``.

    Raises ``TypeError`` for wrong or mixed dtypes and ``ValueError`` for shapes that don't fit, NaN among inputs, infinity
    anywhere, points without any label, and tables whose columns or rows are in another order. Source: the (K+2)-tuples of
    section 2.
    """

    def __init__(self, inputs, values, jacobian=None, hessian=None, *higher):
        given = [inputs, values, jacobian, hessian, *higher]
        while len(given) > 2 and given[-1] is None:
            given.pop()
        names = ["inputs", *[derivative_name(k) for k in range(len(given) - 1)]]
        check_order_of_tables(*given[:3])
        tensors = [_as_tensor(tensor, name) for tensor, name in zip(given, names)]
        _check(tensors, names)
        self.inputs, *self.derivatives = tensors
        self.derivatives = tuple(self.derivatives)

    @classmethod
    def owning(cls, inputs: Tensor, *derivatives: Tensor) -> "SobolevData":
        """The data of tensors that nobody else will change: checked, not copied.

        >>> SobolevData.owning(torch.rand(20, 2), torch.rand(20)).order
        0
        """
        tensors = [inputs, *derivatives]
        _check(tensors, ["inputs", *[derivative_name(k) for k in range(len(derivatives))]])
        return cls._unchecked(*tensors)

    @classmethod
    def _unchecked(cls, inputs: Tensor, *derivatives: Tensor) -> "SobolevData":
        # vmap and torch.compile hand over tensors whose numbers can't be looked at; they were checked before
        data = cls.__new__(cls)
        data.inputs, data.derivatives = inputs, tuple(derivatives)
        return data

    @property
    def values(self) -> Tensor:
        return self.derivatives[0]

    @property
    def jacobian(self) -> Tensor | None:
        return self.derivatives[1] if self.order >= 1 else None

    @property
    def hessian(self) -> Tensor | None:
        return self.derivatives[2] if self.order >= 2 else None

    @property
    def order(self) -> int:
        """The highest order of derivative labels: 0 for values only."""
        return len(self.derivatives) - 1

    @property
    def in_shape(self) -> torch.Size:
        return self.inputs.shape[1:]

    @property
    def out_shape(self) -> torch.Size:
        return self.values.shape[1:]

    def to(self, *args, **kwargs) -> "SobolevData":
        """The same data on another device or in another floating dtype; arguments as in ``torch.Tensor.to``."""
        moved = [tensor.to(*args, **kwargs) for tensor in self.tensors]
        if not moved[0].is_floating_point():
            raise TypeError(f"dtype: expected a floating-point tensor, got {moved[0].dtype}")
        return SobolevData.owning(*moved)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.inputs, *self.derivatives)

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def __getitem__(self, index):
        if isinstance(index, (list, tuple, np.ndarray)):
            index = torch.as_tensor(index)
        if isinstance(index, Tensor) and not index.is_floating_point() and index.dtype != torch.bool or \
                isinstance(index, Tensor) and not index.numel():
            index = index.long()                           # PyTorch takes uint8 as a mask
        if isinstance(index, (int, np.integer)) or isinstance(index, Tensor) and index.ndim == 0:
            return tuple(tensor[int(index)] for tensor in self.tensors)
        if not isinstance(index, (slice, Tensor)):
            raise TypeError(f"index: expected an integer, slice, mask or list of integers, got {type(index).__name__}")
        if isinstance(index, Tensor) and index.dtype == torch.bool and index.shape != (len(self),):
            raise IndexError(f"mask: expected shape ({len(self)},), got {tuple(index.shape)}")
        if isinstance(index, Tensor) and index.ndim != 1:
            raise IndexError(f"index: expected one dimension, got shape {tuple(index.shape)}")
        return SobolevData._unchecked(*[tensor[index] for tensor in self.tensors])

    def __repr__(self) -> str:
        missing = [int(tensor.isnan().sum()) for tensor in self.derivatives[1:]]
        note = f", missing={sum(missing)}" if any(missing) else ""
        return (f"SobolevData({len(self)} points, order={self.order}, in_shape={tuple(self.in_shape)}, "
                f"out_shape={tuple(self.out_shape)}{note}, {self.inputs.dtype}, {self.inputs.device})")


# so that vmap and torch.func transforms can take SobolevData as an argument, one data set an index
_pytree.register_pytree_node(SobolevData, lambda data: (list(data.tensors), None),
                             lambda tensors, _: SobolevData._unchecked(*tensors),
                             serialized_type_name="sobolev_lib.SobolevData")


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
    x = _as_tensor(x, "x").detach()
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x: expected points of shape (N, ...) with N >= 1, got shape {tuple(x.shape)}")
    if not x.isfinite().all():
        raise ValueError(f"x: expected finite numbers, got {int((~x.isfinite()).sum())} NaN or infinite")
    order = integer(order, "order", "an integer >= 0", least=0)
    if method == "autodiff":
        if step is not None:
            raise ValueError(f"step: only for method='finite-difference', got {step!r} with method='autodiff'")
        derivatives = value_and_derivatives(f if isinstance(f, nn.Module) else lambda z: f(z.clone()), x, order)
        _check_rows(f, x, derivatives[0])
    elif method == "finite-difference":
        derivatives = _finite_differences(f, x, order, step)
    else:
        raise ValueError(f"method: expected 'autodiff' or 'finite-difference', got {method!r}")
    for k, tensor in enumerate(derivatives):
        if not tensor.isfinite().all():
            raise ValueError(f"label: expected finite {derivative_name(k)}, got {int((~tensor.isfinite()).sum())} NaN "
                             "or infinite entries; is f differentiable at all points of x?")
    return SobolevData(x, *[tensor.detach() for tensor in derivatives])


def check_order_of_tables(inputs, values, jacobian=None) -> None:
    """Raises ``ValueError`` where tables (of pandas and the like) say that columns or rows are in another order.

    >>> check_order_of_tables(torch.rand(3, 2), torch.rand(3))                                 # tensors say nothing
    """
    columns, slopes = [list(getattr(table, "columns", ())) for table in (inputs, jacobian)]
    moved = [name for k, name in enumerate(slopes) if name in columns and columns.index(name) != k]
    if moved:
        raise ValueError(f"jacobian: expected columns in the order of the inputs', {columns}, got {slopes}")
    for name, table in (("values", values), ("jacobian", jacobian)):
        rows, own = [getattr(each, "index", None) for each in (inputs, table)]
        # a numbering from zero is what pandas gives rows without names
        named = [not callable(each) and each is not None and type(each).__name__ != "RangeIndex" for each in (rows, own)]
        if all(named) and len(rows) == len(own) and list(rows) != list(own) and set(rows) == set(own):
            raise ValueError(f"{name}: expected rows in the order of the inputs', {list(rows[:3])} ..., got the same rows in "
                             f"another, {list(own[:3])} ...")


def _check_rows(f: Callable, x: Tensor, values: Tensor) -> None:
    """Raises for a function of one point, whose result has by chance as many rows as there are points."""
    count = 3 if len(x) == 2 else 2
    rows = torch.arange(count, device=x.device) % len(x)
    ask = lambda: _as_tensor(f(x[rows]), "f(x)").detach().to(values)
    try:
        few = ask()
    except Exception as error:
        raise ValueError(f"f: expected a function of a batch of points, got one that takes {len(x)} rows and not {count}: "
                         f"{error}") from error
    if few.shape != (count, *values.shape[1:]):
        raise ValueError(f"f: expected a function of a batch of points, one output row each: {tuple(values.shape)} for {len(x)} "
                         f"rows should be ({count}, ...) for {count}, got {tuple(few.shape)}. Is it a function of one point? "
                         "Then wrap it: torch.vmap(f)")
    wide = torch.finfo(values.dtype).eps ** 0.5 * values.detach().abs().max() * 10
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
    y = _as_tensor(f(batch.clone()), "f(x)").to(x)
    if y.ndim == 0 or len(y) != len(batch):
        raise ValueError(f"f: expected one output row per input row, ({len(batch)}, ...), got {tuple(y.shape)}; is it a function "
                         "of one point?")
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


def derivative_name(order: int) -> str:
    """"values", "jacobian", "hessian", then "derivative 3" and so on."""
    return _NAMES[order] if order < len(_NAMES) else f"derivative {order}"


def _as_tensor(value, name: str) -> Tensor:
    if value is None:
        raise TypeError(f"{name}: expected a tensor, got None")
    if isinstance(value, np.ma.MaskedArray):
        value = value.filled(np.nan) if value.dtype.kind == "f" else value.data
    try:
        # a copy: later changes to what was given must not reach the data, and PyTorch can't take read-only arrays
        array = not isinstance(value, Tensor) and hasattr(value, "__array__")
        tensor = value.clone() if isinstance(value, Tensor) else torch.as_tensor(np.array(value) if array else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name}: expected a tensor or array of numbers, got {type(value).__name__} ({error})") from None
    if not tensor.is_floating_point():
        raise TypeError(f"{name}: expected a floating-point tensor, got {tensor.dtype}")
    return tensor


def _check(tensors: list[Tensor], names: list[str]) -> None:
    inputs, values = tensors[:2]
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(f"inputs: expected shape (N, ...) with N >= 1, got {tuple(inputs.shape)}")
    if values.ndim == 0 or len(values) != len(inputs):
        raise ValueError(f"values: expected shape ({len(inputs)}, ...), one row per input, got {tuple(values.shape)}")
    for k, (tensor, name) in enumerate(zip(tensors[1:], names[1:])):
        expected = tuple(values.shape) + tuple(inputs.shape[1:]) * k
        if tuple(tensor.shape) != expected:
            raise ValueError(f"{name}: expected shape {expected} for values {tuple(values.shape)} and inputs "
                             f"{tuple(inputs.shape)}, got {tuple(tensor.shape)}")
    for tensor, name in zip(tensors[1:], names[1:]):
        if tensor.dtype != inputs.dtype:
            raise TypeError(f"{name}: expected {inputs.dtype} as the inputs have, got {tensor.dtype}")
        if tensor.device != inputs.device:
            raise ValueError(f"{name}: expected device {inputs.device} as the inputs have, got {tensor.device}")
    unlabelled = values.reshape(len(values), -1).isnan().any(1)
    for tensor in tensors[2:]:                             # a missing value is fine where a slope is known
        unlabelled = unlabelled & tensor.reshape(len(tensor), -1).isnan().all(1)
    for name, bad in (("inputs", ~inputs.isfinite()), ("values", unlabelled | values.isinf().reshape(len(values), -1).any(1))):
        if bad.any():
            more = " (a value may be missing only where a derivative is known)" if name == "values" and len(tensors) > 2 else ""
            raise ValueError(f"{name}: expected finite numbers, got {int(bad.sum())} NaN or infinite{more}")
    for tensor, name in zip(tensors[2:], names[2:]):
        if tensor.isinf().any():
            raise ValueError(f"{name}: expected finite numbers (NaN for missing ones), got "
                             f"{int(tensor.isinf().sum())} infinite")
