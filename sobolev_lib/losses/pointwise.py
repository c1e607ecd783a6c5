"""What one point's error is: the losses by name, missing entries, and the mean over points."""
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from sobolev_lib._rows import is_concrete

PointLoss = Callable[[Tensor, Tensor], Tensor]


def _summed(errors: Tensor) -> Tensor:
    return errors.reshape(len(errors), -1).sum(1)


def _mse(prediction: Tensor, target: Tensor) -> Tensor:
    return _summed((prediction - target).square())


def _l1(prediction: Tensor, target: Tensor) -> Tensor:
    return _summed((prediction - target).abs())


def _huber(prediction: Tensor, target: Tensor) -> Tensor:
    return _summed(F.huber_loss(prediction, target, reduction="none"))


def _kl(prediction: Tensor, target: Tensor) -> Tensor:
    if prediction[0].numel() < 2:
        raise ValueError("kl: expected logits of at least two choices a point, got one number, whose distribution is "
                         "certain whatever it is; use 'mse'")
    # section 4.2 writes the student first: sum_a pi(a) (log pi(a) - log pi*(a))
    student, teacher = prediction.flatten(1).log_softmax(1), target.flatten(1).log_softmax(1)
    return (student.exp() * (student - teacher)).sum(1)


def _kl_teacher_first(prediction: Tensor, target: Tensor) -> Tensor:
    return _kl(target, prediction)


def _norm(prediction: Tensor, target: Tensor) -> Tensor:
    # where prediction and target agree exactly, vector_norm's gradient is 0, not NaN
    difference = prediction - target
    # over all axes of a point at once: a reshape would copy what lies channels last
    if difference.ndim == 1:
        return difference.abs()
    return torch.linalg.vector_norm(difference, dim=tuple(range(1, difference.ndim)))


LOSSES: dict[str, PointLoss] = {"mse": _mse, "l1": _l1, "huber": _huber, "norm": _norm, "kl": _kl,
                                "kl_teacher_first": _kl_teacher_first}
WITHOUT_UNIT = (_kl, _kl_teacher_first)                     # logits are plain numbers; others would be another distribution
_OURS = tuple(LOSSES.values())                             # callables need not be hashable


def find_loss(loss: str | PointLoss, name: str) -> PointLoss:
    """The loss of that name, or the callable itself; ``name`` is what the argument is called in an error."""
    if callable(loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(f"{name}: expected one of {', '.join(LOSSES)} or a callable, got {loss!r}")
    return LOSSES[loss]


class EntryWeights:
    """Squared errors with a weight for each entry, summed over a point's entries: a ``derivative_loss``.

    >>> delta_alone = EntryWeights(torch.tensor([1.0, 0.0]))               # (d,): one weight an input
    >>> delta_alone(torch.zeros(3, 2), torch.ones(3, 2))
    tensor([1., 1., 1.])

    ``weights`` have the shape of a point's labels, (d,) or (q, d). All 1 are "mse". Where a loss is normalised, by the mean
    square of all labels, those of weight 0 count, too: give missing labels, NaN, where they should not. Raises ``TypeError``
    for what is no table of numbers, ``ValueError`` for weights below 0 or not finite.
    """

    def __init__(self, weights: Tensor):
        try:
            self.weights = torch.as_tensor(weights)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"weights: expected a tensor of numbers, got {type(weights).__name__}") from None
        if not (self.weights.isfinite() & (self.weights >= 0)).all():
            raise ValueError(f"weights: expected finite numbers, at least 0, got {self.weights.tolist()}")

    def __repr__(self) -> str:
        return f"EntryWeights({self.weights.tolist()})"

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        own, labels = tuple(self.weights.shape), tuple(target.shape[1:])
        if len(own) > len(labels) or any(a not in (1, b) for a, b in zip(reversed(own), reversed(labels))):
            raise ValueError(f"weights: expected a point's labels' shape, {labels}, got {own}")
        return _summed((prediction - target).square() * self.weights.to(prediction))


def point_mean(loss: PointLoss, prediction: Tensor, label: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean over points of ``loss``, times their weights (N,), both of shape (N, ...); NaN, no label, takes no part."""
    # a missing label becomes the pair (0, 0): no error, and no gradient. On large inputs that costs as much as the rest of
    # the loss, so a CPU looks first; a GPU would have to stop for the answer
    if label.device.type != "cpu" or not is_concrete(label) or label.isnan().any():
        present = ~label.isnan()
        if loss in WITHOUT_UNIT and is_concrete(label) and \
                (present.flatten(1).any(1) & ~present.flatten(1).all(1)).any():
            raise ValueError("kl: expected all logits of a point or none (NaN), got some; a distribution needs all of them")
        prediction, label = torch.where(present, prediction, 0.0), torch.where(present, label, 0.0)
    if loss is LOSSES["mse"] and weights is None:          # the same number by fewer operations
        if label.dtype == torch.float16:                   # whose sums end at 65504
            return F.mse_loss(prediction, label) * label[0].numel()
        return F.mse_loss(prediction, label, reduction="sum") / len(label)
    own = loss in _OURS
    result = loss(prediction if own else prediction.clone(), label if own else label.clone())     # the user's may work in place
    if not isinstance(result, Tensor):
        raise TypeError(f"loss: expected a callable that returns a tensor, got {type(result).__name__}")
    if result.shape not in ((), (len(label),)):
        raise ValueError(f"loss: expected one number per point, shape ({len(label)},), or a scalar; got "
                         f"{tuple(result.shape)}")
    if weights is not None:
        if result.shape == ():
            raise ValueError("loss: expected one number per point for data with weights, got a scalar")
        result = result * weights
    return result.mean()
