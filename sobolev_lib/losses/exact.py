"""The exact Sobolev loss, equation 1: whole derivatives against whole derivatives."""
from collections.abc import Sequence

import torch
from torch import Tensor

from sobolev_lib._rows import Model
from sobolev_lib.data import SobolevData
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.losses.pointwise import PointLoss
from sobolev_lib.losses.protocol import Loss, fitted
from sobolev_lib.products import value_and_products
from sobolev_lib.teacher import Teacher


class SobolevLoss(Loss):
    """Error in values plus errors in derivatives up to ``order``, at the same points.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> loss = SobolevLoss(order=1, weights=(1.0, 0.1), normalize=True)
    >>> loss(sobolev_lib.models.MLP(2, 32, 1), data).backward()

    ``loss(model, data)`` is a scalar, what a step of ``fit`` minimises; ``loss.terms(model, data)`` the tuple of its
    unweighted terms, by order. ``data`` are ``SobolevData`` or a ``Teacher`` at (N, *in). ``model`` is any ``nn.Module``
    or callable from (N, *in) to (N, *out), rows independent; for values of shape (N,) it may also
    return (N, 1). ``weights``: one per order, value first, default 1; a term with
    weight 0 is measured all the same, which ``order=0`` saves. ``value_loss`` and ``derivative_loss`` are "mse"
    (squared L2 norm over a point's entries, mean over points, as printed in section 4.1), "norm" (the same not squared,
    as printed in section 4.2), "l1", "huber", "kl" (on logits, student first), "kl_teacher_first", or a callable from
    (prediction, target) to (N,) or to a scalar; ``derivative_loss`` may also be a sequence, one per order.
    ``normalize=True`` divides predictions and labels of each order by the root of the labels' mean square before they are
    compared, so that units cancel and weights compare terms of equal size; with "mse" that divides the term by the mean
    square. A tuple gives the mean squares. The two "kl" stay as they are: logits have no unit. ``generator`` is what other losses draw from; this one draws nothing.

    ``weights`` of the data multiply each point's error in every term. Where data have ``directions``, the term of the
    highest order compares derivatives along these: with squares, the sum over a point's directions of (J u - label)^2.
    Where they have ``noise``, predictions and labels are divided by it; then ``normalize`` must be False, and "kl" is
    refused.
    Missing (NaN) entries count as absent from the sum of equation 1; the mean still runs over all points.
    ``order=0`` is plain regression. Raises ``ValueError`` if the data lack labels of that order, shapes differ, or the
    model is piecewise linear and ``order`` at least 2. Source: equation 1.
    """

    def __init__(self, order: int = 1, weights: Sequence[float] | None = None, value_loss: str | PointLoss = "mse",
                 derivative_loss: str | PointLoss | Sequence[str | PointLoss] = "mse",
                 normalize: bool | Sequence[float] = False):
        super().__init__(order, weights, value_loss, derivative_loss, normalize)

    def ask(self, source: SobolevData | Teacher, generator: torch.Generator | None = None) -> SobolevData:
        """Values (N, *out), Jacobian (N, *out, *in) and so on, up to the loss's order, the last perhaps along directions."""
        return self._taken(source).up_to(self.order)

    def predict(self, model: Model, batch: SobolevData) -> tuple[Tensor, ...]:
        """The model's own values and derivatives at the batch's inputs, along its directions if it has some."""
        if batch.directions is not None:
            return value_and_products(model, batch.inputs, batch.directions, self.order)
        return value_and_derivatives(model, batch.inputs, self.order)

    def compare(self, predictions: Sequence[Tensor], batch: SobolevData) -> tuple[Tensor, ...]:
        """The terms of predictions that are there already: values (N, *out), Jacobian (N, *out, *in), ..."""
        return self._compare(fitted(predictions, batch.values), batch.derivatives, batch.weights, batch.noise)
