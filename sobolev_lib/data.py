"""Training sets with derivative labels: values, Jacobians, Hessians, and higher orders, with missing entries."""
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sobolev_lib._torch import register_pytree_node

_NAMES = ("values", "jacobian", "hessian")
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class SobolevData(Dataset):
    """Inputs with values and derivatives of the target function, one row a point.

    >>> x = torch.rand(20, 2)
    >>> data = SobolevData(x, x.prod(dim=1), x.flip(1))               # f(x) = x1 x2, so the gradient is (x2, x1)
    >>> data.order, len(data), len(data[:5])
    (1, 20, 5)

    ``inputs`` (N, *in), ``values`` (N, *out), ``jacobian`` (N, *out, *in), ``hessian`` (N, *out, *in, *in), then
    orders three and up in ``higher``. A scalar function has values (N,) and jacobian (N, *in). All are copied, so that
    later changes don't reach the data; arrays, lists and tables are converted, and no graph stays. NaN, or a masked entry
    of a masked array, marks a missing derivative entry: it takes no part in any loss. A value may be missing too where some
    derivative at its point is known. All tensors share one floating dtype and one device. ``weights`` (N,), each at least 0,
    say how much a point counts in ``SobolevLoss`` and in z-scores: as often as with weight 1. ``sobolev_lib.errors`` ignores
    them.

    ``data[i]`` is the tuple of tensors at one point, which is what ``torch.utils.data.DataLoader`` wants;
    ``data[a:b]``, ``data[mask]`` and ``data[indices]`` are again ``SobolevData``.

    Raises ``TypeError`` for wrong or mixed dtypes and ``ValueError`` for shapes that don't fit, NaN among inputs, infinity
    anywhere, points without any label, and tables whose columns or rows are in another order. Source: the (K+2)-tuples of
    section 2.
    """

    def __init__(self, inputs, values, jacobian=None, hessian=None, *higher, weights=None):
        given = [inputs, values, jacobian, hessian, *higher]
        while len(given) > 2 and given[-1] is None:
            given.pop()
        names = ["inputs", *[derivative_name(k) for k in range(len(given) - 1)]]
        check_order_of_tables(*(given + [None])[:3], weights=weights)
        tensors = [as_tensor(tensor, name) for tensor, name in zip(given, names)]
        _check(tensors, names)
        self.inputs, *self.derivatives = tensors
        self.derivatives = tuple(self.derivatives)
        self.weights = None if weights is None else _checked_weights(as_tensor(weights, "weights"), self.inputs)

    @classmethod
    def owning(cls, inputs: Tensor, *derivatives: Tensor, weights: Tensor | None = None) -> "SobolevData":
        """The data of tensors that nobody else will change: checked, not copied.

        >>> SobolevData.owning(torch.rand(20, 2), torch.rand(20)).order
        0
        """
        tensors = [inputs, *derivatives]
        _check(tensors, ["inputs", *[derivative_name(k) for k in range(len(derivatives))]])
        return cls.of_tensors(*tensors, weights=None if weights is None else _checked_weights(weights, inputs))

    @classmethod
    def of_tensors(cls, inputs: Tensor, *derivatives: Tensor, weights: Tensor | None = None) -> "SobolevData":
        """From tensors that fit, which nothing checks: for those of ``vmap`` and ``torch.compile``, whose numbers can't be seen.

        >>> SobolevData.of_tensors(torch.rand(20, 2), torch.rand(20)).order
        0
        """
        data = cls.__new__(cls)
        data.inputs, data.derivatives, data.weights = inputs, tuple(derivatives), weights
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
        return SobolevData.owning(*moved, weights=None if self.weights is None else self.weights.to(moved[0]))

    def up_to(self, order: int) -> "SobolevData":
        """The same with labels up to ``order`` only; raises ``ValueError`` if there are none of that order."""
        if not len(self):
            raise ValueError("data: expected at least one point, got none")
        if order < 0:
            raise ValueError(f"order: expected an integer >= 0, got {order}")
        if self.order < order:
            raise ValueError(f"data: expected labels up to the {derivative_name(order)} for a loss of order {order}, got "
                             f"{derivative_name(self.order)} at most")
        if self.order == order:
            return self
        return SobolevData.of_tensors(self.inputs, *self.derivatives[:order + 1], weights=self.weights)

    def mean_squares(self, order: int) -> tuple[float, ...]:
        """Of each order's labels, mean over points of the squared norm of those present; 1 where all are zero."""
        squares = tuple(float(mean_square(labels, self.weights)) for labels in self.up_to(order).derivatives)
        for k, (square, labels) in enumerate(zip(squares, self.derivatives)):
            largest = float(labels.nan_to_num().abs().max())
            # 1 stands for zeros: for others it means that their squares have vanished
            if not math.isfinite(square) or square == 1.0 and 0 < largest < 1e-10:
                raise ValueError(f"normalize: expected {derivative_name(k)} whose squares {labels.dtype} can hold, got numbers up "
                                 f"to {largest:.1e}; choose other units, float64, or Standardized")
        return squares

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.inputs, *self.derivatives)

    @property
    def tables(self) -> tuple[Tensor, ...]:
        """``tensors``, and the weights behind them if there are any."""
        return self.tensors if self.weights is None else (*self.tensors, self.weights)

    @classmethod
    def of_tables(cls, tables: Sequence[Tensor], order: int) -> "SobolevData":
        """What had these ``tables``, unchecked: they may be traced."""
        return cls.of_tensors(*tables[:order + 2], weights=tables[order + 2] if len(tables) > order + 2 else None)

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def __getitem__(self, index):
        if isinstance(index, (list, tuple, np.ndarray)):
            index = torch.as_tensor(index)
        if isinstance(index, Tensor) and not index.is_floating_point() and index.dtype != torch.bool or \
                isinstance(index, Tensor) and not index.numel():
            index = index.long()                           # PyTorch takes uint8 as a mask
        whole = isinstance(index, (int, np.integer)) and not isinstance(index, bool)
        if whole or isinstance(index, Tensor) and index.ndim == 0:
            return tuple(tensor[int(index)] for tensor in self.tensors)
        if not isinstance(index, (slice, Tensor)) or isinstance(index, Tensor) and index.is_floating_point():
            raise TypeError(f"index: expected an integer, slice, mask or list of integers, got {type(index).__name__}")
        if isinstance(index, Tensor) and index.dtype == torch.bool and index.shape != (len(self),):
            raise IndexError(f"mask: expected shape ({len(self)},), got {tuple(index.shape)}")
        if isinstance(index, Tensor) and index.ndim != 1:
            raise IndexError(f"index: expected one dimension, got shape {tuple(index.shape)}")
        return SobolevData.of_tables([tensor[index] for tensor in self.tables], self.order)

    def __repr__(self) -> str:
        missing = [int(tensor.isnan().sum()) for tensor in self.derivatives[1:]]
        note = (f", missing={sum(missing)}" if any(missing) else "") + (", weighted" if self.weights is not None else "")
        return (f"SobolevData({len(self)} points, order={self.order}, in_shape={tuple(self.in_shape)}, "
                f"out_shape={tuple(self.out_shape)}{note}, {self.inputs.dtype}, {self.inputs.device})")


# so that vmap and torch.func transforms can take SobolevData as an argument, one data set an index
register_pytree_node(SobolevData, lambda data: (list(data.tables), data.order),
                     lambda tables, order: SobolevData.of_tables(list(tables), order),
                     serialized_type_name="sobolev_lib.SobolevData")


def check_order_of_tables(inputs, values, jacobian=None, weights=None) -> None:
    """Raises ``ValueError`` where tables (of pandas and the like) say that columns or rows are in another order.

    >>> check_order_of_tables(torch.rand(3, 2), torch.rand(3))                                 # tensors say nothing
    """
    columns, slopes = [list(getattr(table, "columns", ())) for table in (inputs, jacobian)]
    moved = [name for k, name in enumerate(slopes) if name in columns and columns.index(name) != k]
    if moved:
        raise ValueError(f"jacobian: expected columns in the order of the inputs', {columns}, got {slopes}")
    for name, table in (("values", values), ("jacobian", jacobian), ("weights", weights)):
        rows, own = [getattr(each, "index", None) for each in (inputs, table)]
        # a numbering from zero is what pandas gives rows without names
        named = [not callable(each) and each is not None and type(each).__name__ != "RangeIndex" for each in (rows, own)]
        if all(named) and len(rows) == len(own) and list(rows) != list(own) and set(rows) == set(own):
            raise ValueError(f"{name}: expected rows in the order of the inputs', {list(rows[:3])} ..., got the "
                             f"same rows in another, {list(own[:3])} ...")


def mean_square(labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over points of the squared norm of the present labels; 1 where all are zero, which leaves a term as it is."""
    squares = torch.where(labels.isnan(), 0.0, labels).square()
    if weights is not None:
        squares = squares.flatten(1).sum(1) * weights if squares.ndim > 1 else squares * weights
    total = squares.sum() / len(labels)
    return torch.where(total > 0, total, 1.0)


def derivative_name(order: int) -> str:
    """"values", "jacobian", "hessian", then "derivative 3" and so on."""
    return _NAMES[order] if order < len(_NAMES) else f"derivative {order}"


def as_tensor(value, name: str) -> Tensor:
    if value is None:
        raise TypeError(f"{name}: expected a tensor, got None")
    if isinstance(value, np.ma.MaskedArray):
        value = value.filled(np.nan) if value.dtype.kind == "f" else value.data
    try:
        # a copy: later changes to what was given must not reach the data, and PyTorch can't take read-only arrays
        array = not isinstance(value, Tensor) and hasattr(value, "__array__")
        with torch.inference_mode(False):                  # else nothing could be trained on what is made in that mode
            tensor = value.detach().clone() if isinstance(value, Tensor) else torch.as_tensor(
                np.array(value) if array else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name}: expected a tensor or array of numbers, got {type(value).__name__} ({error})") from None
    if not tensor.is_floating_point():
        raise TypeError(f"{name}: expected a floating-point tensor, got {tensor.dtype}")
    if tensor.dtype not in _DTYPES or tensor.layout != torch.strided:
        raise TypeError(f"{name}: expected a dense tensor of numbers, of 16 to 64 bits each, got {tensor.dtype}, "
                        f"{tensor.layout}")
    return tensor


def _checked_weights(weights: Tensor, inputs: Tensor) -> Tensor:
    if weights.shape != inputs.shape[:1]:
        raise ValueError(f"weights: expected shape ({len(inputs)},), one a point, got {tuple(weights.shape)}")
    if not (weights.isfinite() & (weights >= 0)).all() or not (weights > 0).any():
        raise ValueError("weights: expected finite numbers >= 0, not all 0, got "
                         f"{'zeros only' if (weights == 0).all() else f'numbers from {weights.min()} to {weights.max()}'}")
    if weights.dtype != inputs.dtype or weights.device != inputs.device:
        raise TypeError(f"weights: expected {inputs.dtype} on {inputs.device} as the inputs are, got {weights.dtype} on "
                        f"{weights.device}")
    return weights


def _check(tensors: list[Tensor], names: list[str]) -> None:
    inputs, values = tensors[:2]
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(f"inputs: expected shape (N, ...) with N >= 1, got {tuple(inputs.shape)}")
    if not inputs[0].numel():
        raise ValueError(f"inputs: expected at least one number a point, got shape {tuple(inputs.shape)}")
    if values.ndim == 0 or len(values) != len(inputs):
        raise ValueError(f"values: expected shape ({len(inputs)}, ...), one row per input, got {tuple(values.shape)}")
    if not values[0].numel():
        raise ValueError(f"values: expected at least one number a point, got shape {tuple(values.shape)}")
    for k, (tensor, name) in enumerate(zip(tensors[1:], names[1:])):
        expected = tuple(values.shape) + tuple(inputs.shape[1:]) * k
        if tuple(tensor.shape) != expected:
            raise ValueError(f"{name}: expected shape {expected} for values {tuple(values.shape)} and inputs "
                             f"{tuple(inputs.shape)}, got {tuple(tensor.shape)}")
    if not inputs.is_floating_point():
        raise TypeError(f"inputs: expected a floating-point tensor, got {inputs.dtype}")
    for tensor, name in zip(tensors[1:], names[1:]):
        if tensor.dtype != inputs.dtype:
            raise TypeError(f"{name}: expected {inputs.dtype} as the inputs have, got {tensor.dtype}")
        if tensor.device != inputs.device:
            raise ValueError(f"{name}: expected device {inputs.device} as the inputs have, got {tensor.device}")
    if inputs.is_meta:
        raise TypeError("inputs: expected tensors of numbers, got meta tensors, which hold none")
    unlabelled = values.reshape(len(values), -1).isnan().any(1)
    for tensor in tensors[2:]:                             # a missing value is fine where a slope is known
        unlabelled = unlabelled & tensor.reshape(len(tensor), -1).isnan().all(1)
    unlabelled = unlabelled | values.reshape(len(values), -1).isinf().any(1)
    more = " (a value may be missing only where a derivative is known)" if len(tensors) > 2 else ""
    for name, bad, note in (("inputs", ~inputs.isfinite(), ""), ("values", unlabelled, more)):
        if bad.any():
            raise ValueError(f"{name}: expected finite numbers, got {int(bad.sum())} NaN or infinite{note}")
    for tensor, name in zip(tensors[2:], names[2:]):
        if tensor.isinf().any():
            raise ValueError(f"{name}: expected finite numbers (NaN for missing ones), got "
                             f"{int(tensor.isinf().sum())} infinite")
