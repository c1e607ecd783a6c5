"""What every Sobolev loss does: ask for labels, predict the same, compare, weigh, add up."""
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sobolev_lib._arguments import integer, several_numbers
from sobolev_lib._rows import Model, is_concrete
from sobolev_lib._torch import leaves
from sobolev_lib.data import SobolevData, check_mean_square, derivative_name, mean_square
from sobolev_lib.losses.pointwise import LOSSES, WITHOUT_UNIT, PointLoss, find_loss, point_mean
from sobolev_lib.teacher import Teacher


class Loss:
    """A loss for each order of derivatives, with its weight and divisor: what ``SobolevLoss`` and the others have in common.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> model, loss = sobolev_lib.models.MLP(2, 32, 1), sobolev_lib.SobolevLoss(order=1, weights=(1.0, 0.1))
    >>> batch = loss.ask(data)                                            # labels as this loss wants them
    >>> terms = loss.compare(loss.predict(model, batch), batch)
    >>> loss.total(terms) == loss(model, data)
    tensor(True)

    A trainer knows this much of a loss and no more. ``ask(source)`` turns data or a teacher of N points into a batch: it
    draws what is random, and asks the teacher. ``predict(model, batch)`` gives the model's values (N, *out) and what
    else the batch has labels for; ``compare`` the unweighted terms of that, by order; ``total`` their weighted sum.
    ``terms`` is the first three in turn, and calling the loss all four.
    """

    draws = False                                          # whether ``ask`` draws at random
    by_input = True                                        # whether its derivatives are by the model's input

    def __init__(self, order, weights, value_loss, derivative_loss, normalize):
        self.order = order = integer(order, "order", "an integer >= 0", least=0)
        self.weights = _check_weights((1.0,) * (order + 1) if weights is None else weights, order)
        # one derivative loss for all orders, or one each
        per_order = list(derivative_loss) if isinstance(derivative_loss, (tuple, list)) else [derivative_loss] * order
        if len(per_order) != order:
            raise ValueError(f"derivative_loss: expected one loss or {order} of them (order={order}), got "
                             f"{len(per_order)}")
        self.value_loss, self.derivative_losses = value_loss, per_order
        self.losses: list[PointLoss] = [find_loss(value_loss, "value_loss"),
                                        *[find_loss(each, "derivative_loss") for each in per_order]]
        self.normalize = _check_normalize(normalize, order)

    def __call__(self, model: Model, batch, *, generator: torch.Generator | None = None) -> Tensor:
        return self.total(self.terms(model, batch, generator=generator))

    def terms(self, model: Model, batch, *, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """The unweighted terms, by order: values, first derivatives and so on."""
        batch = self.ask(batch, generator)
        return self.compare(self.predict(model, batch), batch)

    def ask(self, source, generator: torch.Generator | None = None):
        raise NotImplementedError

    def predict(self, model: Model, batch) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def compare(self, predictions: Sequence[Tensor], batch) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def total(self, terms: Sequence[Tensor]) -> Tensor:
        """The weighted sum of the terms: what is minimised."""
        return weighted_sum(self.weights, terms)

    def weighted(self, weights: Sequence[float]) -> "Loss":
        """This loss with other weights, one an order, value first."""
        return self.with_numbers(_check_weights(weights, self.order), self.normalize)

    def normalized_by(self, source) -> "Loss":
        """This loss with its divisors fixed to the mean squares of all labels of ``source``, whatever batch it sees."""
        return self.with_numbers(self.weights, self._taken(source).mean_squares(self.order))

    def with_numbers(self, weights: Sequence, normalize) -> "Loss":
        """The same with other weights and divisors, unchecked: they may be tensors that are being traced."""
        other = type(self).__new__(type(self))
        for name, value in vars(self).items():             # one by one, since PyTorch's compiler can't follow a copy of __dict__
            setattr(other, name, value)
        other.weights, other.normalize = weights, normalize
        return other

    def _taken(self, source) -> SobolevData | Teacher:
        """What can be asked, as it is; noise levels must be the only unit, and losses must have one."""
        source = checked(source)
        if isinstance(source, SobolevData) and source.noise is not None:
            if self.normalize is not False:
                raise ValueError("normalize: expected False for data with noise, whose errors are in units of the noise "
                                 f"already, got {self.normalize}")
            if any(loss in WITHOUT_UNIT for loss in self.losses):
                raise ValueError("noise: expected losses of differences, which have the labels' unit, got 'kl', which has "
                                 "none")
        return source

    def _compare(self, predictions: Sequence[Tensor], labels: Sequence[Tensor], weights: Tensor | None = None,
                 noise: Sequence[Tensor] | None = None) -> tuple[Tensor, ...]:
        _check_curvature(predictions, labels)
        if noise is not None:                              # before the loss, so that huber's 1 is one standard deviation
            predictions = [prediction / each for prediction, each in zip(predictions, noise)]
            labels = [label / each for label, each in zip(labels, noise)]
        return tuple(self._term(loss, prediction, label, k, weights)
                     for k, (loss, prediction, label) in enumerate(zip(self.losses, predictions, labels)))

    def _term(self, loss: PointLoss, prediction: Tensor, label: Tensor, order: int, weights: Tensor | None) -> Tensor:
        if self.normalize is False or loss in WITHOUT_UNIT:
            return point_mean(loss, prediction, label, weights)
        square = mean_square(label, weights) if self.normalize is True else self.normalize[order]
        if self.normalize is True and is_concrete(label):  # else a loss of 0 says nothing
            check_mean_square(float(square), label, order)
        if loss is LOSSES["mse"]:                          # the same number by fewer operations
            return point_mean(loss, prediction, label, weights) / square
        # before the loss, so that units cancel whatever it is: huber is a square for small errors and no longer for large
        scale = square ** 0.5
        return point_mean(loss, prediction / scale, label / scale, weights)

    def __repr__(self) -> str:
        names = [loss if isinstance(loss, str) else getattr(loss, "__qualname__", type(loss).__name__)
                 for loss in (self.value_loss, *self.derivative_losses)]
        return (f"{type(self).__name__}(order={self.order}, weights={self.weights}, losses={names}, "
                f"normalize={self.normalize})")


def weighted_sum(weights: Sequence, terms: Sequence[Tensor]) -> Tensor:
    """Terms times weights, added up; ``sum`` would begin with a zero, one operation more."""
    first, *rest = [weight * term for weight, term in zip(weights, terms)]
    for term in rest:
        first = first + term
    return first


def checked(source) -> SobolevData | Teacher:
    """What a loss can ask, as it is."""
    if not isinstance(source, (SobolevData, Teacher)):
        raise TypeError(f"data: expected SobolevData (see sobolev_lib.label) or a Teacher, got {type(source).__name__}")
    return source


def fitted(predictions: Sequence[Tensor], values: Tensor) -> tuple[Tensor, ...]:
    """Predictions in the labels' shape. Only (N, 1) against (N,) is allowed to differ; nothing is broadcast."""
    y = predictions[0]
    if y.shape == values.shape:
        return tuple(predictions)
    if y.shape == (*values.shape, 1) and values.ndim == 1:
        return tuple(p.squeeze(1) for p in predictions)
    if (*y.shape, 1) == tuple(values.shape) and y.ndim == 1:
        return tuple(p.unsqueeze(1) for p in predictions)
    raise ValueError(f"model: expected outputs of shape {tuple(values.shape)} as the labels have, got {tuple(y.shape)}")


def _can_move(prediction: Tensor) -> bool:
    """Whether what is zero need not stay so: a smooth network whose last layer is zero, or anything without gradients."""
    if not torch.is_grad_enabled():
        return True
    if not prediction.requires_grad:
        return False
    weights = torch.rand(prediction.shape, generator=torch.Generator().manual_seed(0)).to(prediction)     # nothing cancels
    slopes = torch.autograd.grad((weights * prediction).sum(), leaves(prediction), retain_graph=True, allow_unused=True)
    return any(slope is not None and bool(slope.any()) for slope in slopes)


def _check_weights(weights: Sequence[float], order: int) -> tuple[float, ...]:
    return several_numbers(weights, "weights", order + 1, f"{order + 1} numbers (value, then each derivative order)",
                           "finite numbers >= 0", zero=True)


def _check_normalize(normalize: bool | Sequence[float], order: int) -> bool | tuple[float, ...]:
    if isinstance(normalize, (bool, np.bool_)):
        return bool(normalize)
    rule = f"True, False or {order + 1} positive divisors"
    return several_numbers(normalize, "normalize", order + 1, rule, rule)


def _check_curvature(predictions: Sequence[Tensor], labels: Sequence[Tensor]) -> None:
    """A piecewise linear model has second derivatives that are exactly zero: no weights can fit other labels."""
    for order in range(2, len(labels)):
        prediction, label = predictions[order], labels[order]
        if is_concrete(prediction) and not prediction.any() and label.nan_to_num().any() and not _can_move(prediction):
            raise ValueError(f"model: its derivatives of order {order} are zero everywhere, so it can't carry the "
                             f"{derivative_name(order)} labels; expected a smooth activation (tanh, softplus, gelu, "
                             f"silu), got a piecewise linear model (ReLU?)")
