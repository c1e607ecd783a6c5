"""Training sets with derivative labels: values, Jacobians, Hessians, and higher orders, with missing entries."""
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sobolev_lib._tables import (
    as_tensor,
    check_order_of_tables,
    check_square,
    check_tables,
    checked_noise,
    checked_weights,
    derivative_name,
)
from sobolev_lib._torch import register_pytree_node

__all__ = ["SobolevData", "as_tensor", "check_order_of_tables", "derivative_name", "mean_square"]

EXTRAS = ("weights", "directions", "noise")                # in the order of their tables


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

    ``directions`` (N, k, *in), k of them at each point, are for derivatives that are known along them only. Then the
    highest order that is given has one axis of k in place of the first ``*in``: ``jacobian`` is J u, (N, *out, k), for each
    direction u; or beside a whole ``jacobian``, ``hessian`` is the product H u, (N, *out, k, *in).

    >>> u = torch.randn(20, 1, 2)                                     # one direction a point, of any length
    >>> along = SobolevData(x, x.prod(dim=1), (x.flip(1).unsqueeze(1) * u).sum(2), directions=u)
    >>> along.products.shape, along.jacobian is None
    (torch.Size([20, 1]), True)

    A label along 2 u is twice that along u, and its squared error counts four times. With the d unit vectors it is a whole
    Jacobian: so points of both kinds go into one table, with NaN for labels and zeros for directions that a point lacks.

    ``noise`` gives the standard deviations of the labels' errors where these are known, for each order a number or one an
    entry, in the labels' units. ``SobolevLoss`` then compares in units of the noise: with squares, each entry counts by its
    inverse variance, which is maximum likelihood for normal errors that are independent. A term near the number of
    labels a point says that the model is as close as they allow. ``sobolev_lib.errors`` ignores noise levels, too.

    >>> noisy = SobolevData(x, x.prod(dim=1), x.flip(1), noise=(0.01, torch.tensor([0.1, 0.5]).expand(20, 2)))
    >>> value, slope = sobolev_lib.SobolevLoss(1).terms(lambda x: x.prod(dim=1) + 0.01, noisy)
    >>> round(float(value), 2), round(float(slope), 2)
    (1.0, 0.0)

    ``data[i]`` is the tuple of tensors at one point, directions last, without weights and noise, which is what
    ``torch.utils.data.DataLoader`` wants; ``data[a:b]``, ``data[mask]`` and ``data[indices]`` are again ``SobolevData``.

    Raises ``TypeError`` for wrong or mixed dtypes and ``ValueError`` for shapes that don't fit, NaN among inputs, infinity
    anywhere, points without any label, and tables whose columns or rows are in another order. Source: the (K+2)-tuples of
    section 2.
    """

    def __init__(self, inputs, values, jacobian=None, hessian=None, *higher, weights=None, directions=None,
                 noise=None):
        given = [inputs, values, jacobian, hessian, *higher]
        while len(given) > 2 and given[-1] is None:
            given.pop()
        names = ["inputs", *[derivative_name(k) for k in range(len(given) - 1)]]
        check_order_of_tables(*(given + [None])[:3], weights=weights)
        tensors = [as_tensor(tensor, name) for tensor, name in zip(given, names)]
        self.directions = None if directions is None else as_tensor(directions, "directions")
        check_tables(tensors, names, self.directions)
        self.inputs, *self.derivatives = tensors
        self.derivatives = tuple(self.derivatives)
        self.weights = None if weights is None else checked_weights(as_tensor(weights, "weights"), self.inputs)
        self.noise = None if noise is None else checked_noise(noise, self.derivatives)

    @classmethod
    def owning(cls, inputs: Tensor, *derivatives: Tensor, weights: Tensor | None = None, directions: Tensor | None = None,
               noise: Sequence[Tensor] | None = None) -> "SobolevData":
        """The data of tensors that nobody else will change: checked, not copied.

        >>> SobolevData.owning(torch.rand(20, 2), torch.rand(20)).order
        0
        """
        tensors = [inputs, *derivatives]
        check_tables(tensors, ["inputs", *[derivative_name(k) for k in range(len(derivatives))]], directions)
        return cls.of_tensors(*tensors, weights=None if weights is None else checked_weights(weights, inputs),
                              directions=directions, noise=None if noise is None else checked_noise(noise, derivatives))

    @classmethod
    def of_tensors(cls, inputs: Tensor, *derivatives: Tensor, weights: Tensor | None = None,
                   directions: Tensor | None = None, noise: Sequence[Tensor] | None = None) -> "SobolevData":
        """From tensors that fit, which nothing checks: for those of ``vmap`` and ``torch.compile``, whose numbers can't be seen.

        >>> SobolevData.of_tensors(torch.rand(20, 2), torch.rand(20)).order
        0
        """
        data = cls.__new__(cls)
        data.inputs, data.derivatives, data.weights, data.directions = inputs, tuple(derivatives), weights, directions
        data.noise = None if noise is None else tuple(noise)
        return data

    @property
    def values(self) -> Tensor:
        return self.derivatives[0]

    @property
    def jacobian(self) -> Tensor | None:
        """(N, *out, *in); None without one, and where it is known along directions only."""
        return self._whole(1)

    @property
    def hessian(self) -> Tensor | None:
        """(N, *out, *in, *in); None without one, and where it is known along directions only."""
        return self._whole(2)

    @property
    def products(self) -> Tensor | None:
        """The labels along ``directions``: J u (N, *out, k), or H u (N, *out, k, *in), ...; None without directions."""
        return None if self.directions is None else self.derivatives[-1]

    def _whole(self, order: int) -> Tensor | None:
        whole = self.order if self.directions is None else self.order - 1
        return self.derivatives[order] if whole >= order else None

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
        with torch.inference_mode(False):                  # else they could not be trained on
            moved = [tensor.to(*args, **kwargs) for tensor in self.tensors]
            if not moved[0].is_floating_point():
                raise TypeError(f"dtype: expected a floating-point tensor, got {moved[0].dtype}")
            weights, directions = [None if each is None else each.to(moved[0]) for each in (self.weights, self.directions)]
            noise = None if self.noise is None else [each.to(moved[0]) for each in self.noise]
        return SobolevData.owning(*moved, weights=weights, directions=directions, noise=noise)

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
        return SobolevData.of_tensors(self.inputs, *self.derivatives[:order + 1], weights=self.weights,
                                      noise=self.noise and self.noise[:order + 1])

    def mean_squares(self, order: int) -> tuple[float, ...]:
        """Of each order's labels, mean over points of the squared norm of those present; 1 where all are zero."""
        squares = tuple(float(mean_square(labels, self.weights)) for labels in self.up_to(order).derivatives)
        for k, (square, labels) in enumerate(zip(squares, self.derivatives)):
            check_mean_square(square, labels, k)
        return squares

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.inputs, *self.derivatives)

    @property
    def extras(self) -> tuple[str, ...]:
        """What there is beside points and labels: none, some or all of "weights", "directions", "noise"."""
        return tuple(name for name in EXTRAS if getattr(self, name) is not None)

    @property
    def tables(self) -> tuple[Tensor, ...]:
        """``tensors``, and the ``extras`` behind them."""
        return (*self.tensors, *[getattr(self, name) for name in self.extras if name != "noise"], *(self.noise or ()))

    @classmethod
    def of_tables(cls, tables: Sequence[Tensor], order: int, extras: Sequence[str]) -> "SobolevData":
        """What had these ``tables`` and ``extras``, unchecked: they may be traced."""
        single = [name for name in extras if name != "noise"]
        rest = tables[order + 2:]
        if len(rest) != len(single) + (order + 1) * ("noise" in extras):
            raise ValueError(f"tables: expected those of {', '.join(extras) or 'no extras'} behind {order + 2}, got "
                             f"{len(rest)}")
        noise = rest[len(single):] if "noise" in extras else None
        return cls.of_tensors(*tables[:order + 2], **dict(zip(single, rest)), noise=noise)

    def __len__(self) -> int:
        return self.inputs.shape[0]

    def __getitem__(self, index):
        if type(index) is Tensor and index.dtype == torch.int64 and index.ndim == 1:       # what a step of training asks
            return self._rows(index)
        if isinstance(index, slice) and (index.step or 1) < 0:
            index = np.arange(len(self))[index]
        if isinstance(index, (list, tuple, np.ndarray)):   # an array may run backwards, a tensor may not
            index = torch.as_tensor(index.copy() if isinstance(index, np.ndarray) else index)
        if isinstance(index, Tensor) and not index.is_floating_point() and index.dtype != torch.bool or \
                isinstance(index, Tensor) and not index.numel():
            index = index.long()                           # PyTorch takes uint8 as a mask
        whole = isinstance(index, (int, np.integer)) and not isinstance(index, bool)
        if whole or isinstance(index, Tensor) and index.ndim == 0:
            at = self.tensors if self.directions is None else (*self.tensors, self.directions)
            return tuple(tensor[int(index)] for tensor in at)
        if not isinstance(index, (slice, Tensor)) or isinstance(index, Tensor) and index.is_floating_point():
            raise TypeError(f"index: expected an integer, slice, mask or list of integers, got {type(index).__name__}")
        if isinstance(index, Tensor) and index.dtype == torch.bool and index.shape != (len(self),):
            raise IndexError(f"mask: expected shape ({len(self)},), got {tuple(index.shape)}")
        if isinstance(index, Tensor) and index.ndim != 1:
            raise IndexError(f"index: expected one dimension, got shape {tuple(index.shape)}")
        return self._rows(index)

    def _rows(self, index: slice | Tensor) -> "SobolevData":
        weights, directions = [None if each is None else each[index] for each in (self.weights, self.directions)]
        noise = None if self.noise is None else [each[index] for each in self.noise]
        return SobolevData.of_tensors(self.inputs[index], *[each[index] for each in self.derivatives], weights=weights,
                                      directions=directions, noise=noise)

    def __repr__(self) -> str:
        missing = [int(tensor.isnan().sum()) for tensor in self.derivatives[1:]]
        note = (f", missing={sum(missing)}" if any(missing) else "") + (", weighted" if self.weights is not None else "")
        note += ", noise known" if self.noise is not None else ""
        if self.directions is not None:
            note += f", {derivative_name(self.order)} along {self.directions.shape[1]} directions"
        return (f"SobolevData({len(self)} points, order={self.order}, in_shape={tuple(self.in_shape)}, "
                f"out_shape={tuple(self.out_shape)}{note}, {self.inputs.dtype}, {self.inputs.device})")


# so that vmap and torch.func transforms can take SobolevData as an argument, one data set an index
register_pytree_node(SobolevData, lambda data: (list(data.tables), (data.order, data.extras)),
                     lambda tables, kind: SobolevData.of_tables(list(tables), *kind),
                     serialized_type_name="sobolev_lib.SobolevData")


def mean_square(labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over points of the squared norm of the present labels; 1 where all are zero, which leaves a term as it is."""
    squares = torch.where(labels.isnan(), 0.0, labels).square()
    if weights is not None:
        squares = squares.flatten(1).sum(1) * weights if squares.ndim > 1 else squares * weights
    # sums of float16 end at 65504
    total = squares.mean() * squares[0].numel() if squares.dtype == torch.float16 else squares.sum() / len(labels)
    return torch.where(total > 0, total, 1.0)


def check_mean_square(square: float, labels: Tensor, order: int) -> None:
    """Raises ``ValueError`` where the ``mean_square`` of labels has left the range of their dtype.

    >>> check_mean_square(float(mean_square(torch.ones(5))), torch.ones(5), order=0)
    """
    largest = float(labels.nan_to_num().abs().max())
    # 1 stands for zeros: for others it means that their squares have vanished
    check_square(0.0 if square == 1.0 and largest < 1e-10 else square, largest, order, labels.dtype)
