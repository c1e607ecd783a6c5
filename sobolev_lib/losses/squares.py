"""The gradient of squared errors by predictions, which is known: a step that takes it needs no graph of the loss."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sobolev_lib.losses.exact import SobolevLoss
from sobolev_lib.losses.pointwise import LOSSES
from sobolev_lib.losses.protocol import Loss, fitted


def are_squares(loss: Loss, extras: Sequence[str]) -> bool:
    """Whether all that a loss sums up are squared errors of labels without ``extras``, over divisors that are known.

    >>> are_squares(sobolev_lib.SobolevLoss(1), ()), are_squares(sobolev_lib.SobolevLoss(1, value_loss="huber"), ())
    (True, False)
    """
    if type(loss) is not SobolevLoss or {*extras} - {"directions"} or loss.normalize is True:      # others may compare as they like
        return False
    return all(each is LOSSES["mse"] for each in loss.losses)


def are_exact_enough(predictions: Sequence[Tensor], labels: Sequence[Tensor]) -> bool:
    """Whether all are in one dtype, and none in 16 bits: sums of float16 end at 65504, and autocast adds up bfloat16 in float32.

    >>> are_exact_enough([torch.zeros(3)], [torch.zeros(3)]), are_exact_enough([torch.zeros(3).bfloat16()], [torch.zeros(3)])
    (True, False)
    """
    kinds = {each.dtype for each in (*predictions, *labels)}
    return len(kinds) == 1 and kinds <= {torch.float32, torch.float64}


def gradient_of_squares(predictions: Sequence[Tensor], labels: Sequence[Tensor], weights: Sequence,
                        divisors: Sequence | None = None) -> tuple[list[Tensor], list[Tensor]]:
    """Of a ``SobolevLoss`` of squared errors: its gradient by each prediction, and its terms, of one network or of each of many.

    >>> data, loss = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2)), sobolev_lib.SobolevLoss(1)
    >>> predictions = [torch.zeros(20, requires_grad=True), torch.zeros(20, 2, requires_grad=True)]
    >>> loss.total(loss.compare(predictions, data)).backward()
    >>> slopes, terms = gradient_of_squares([each.detach() for each in predictions], data.derivatives, loss.weights)
    >>> [torch.equal(slope, each.grad) for slope, each in zip(slopes, predictions)]
    [True, True]

    Predictions and labels by order, (N, *out), (N, *out, d), weights and divisors a number each. Of K networks all of these have
    a first axis more, weights and divisors being (K,). NaN, no label, takes no part. Raises ``ValueError`` for shapes that don't fit.
    """
    many = isinstance(weights[0], Tensor) and weights[0].ndim > 0
    fitted([each[0] if many else each for each in predictions], labels[0][0] if many else labels[0])
    slopes, terms = [], []
    for k, (prediction, label, weight) in enumerate(zip(predictions, labels, weights)):
        n, label = label.shape[int(many)], label.reshape(prediction.shape)
        error = prediction - label
        if error.isnan().any():                            # a missing label, or a network that has diverged
            present = ~label.isnan()
            prediction, label, error = (torch.where(present, each, 0.0) for each in (prediction, label, error))
        term = (error.square().flatten(1).sum(1) if many else F.mse_loss(prediction, label, reduction="sum")) / n
        # rounded where autograd rounds
        weight = weight.reshape(-1, *[1] * (error.ndim - 1)) if many else torch.as_tensor(weight, dtype=error.dtype, device=error.device)
        if divisors is not None:
            term, weight = term / divisors[k], weight / (divisors[k].reshape(weight.shape) if many else divisors[k])
        slopes.append(2 * error * (weight / n))
        terms.append(term)
    return slopes, terms
