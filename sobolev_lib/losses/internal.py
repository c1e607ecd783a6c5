"""Matching derivatives inside networks: by the activations of a hidden layer, not by the input."""
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sobolev_lib._rows import Model, warn_about_normalization
from sobolev_lib.internal import activations, check_layer, shifted
from sobolev_lib.losses.exact import SobolevLoss
from sobolev_lib.losses.protocol import Loss
from sobolev_lib.losses.stochastic import StochasticSobolevLoss
from sobolev_lib.teacher import Teacher, mean_squares_of


@dataclass(frozen=True)
class InternalTargets:
    """Points, and what a teacher says there of its output and a hidden layer: a batch of ``InternalLoss``.

    >>> teacher = sobolev_lib.Teacher(sobolev_lib.models.MLP(8, 16, 10), torch.rand(32, 8))
    >>> batch = InternalLoss(sobolev_lib.SobolevLoss(1), "1").ask(teacher)
    >>> batch.inputs.shape, batch.targets.jacobian.shape
    (torch.Size([32, 8]), torch.Size([32, 10, 16]))
    """

    inputs: Tensor                                         # (N, *in)
    targets: object                                        # what the loss inside has asked for, at shifts of zero


class InternalLoss(Loss):
    """A loss on values and on derivatives by a hidden layer's activations, between a network and its teacher.

    >>> teacher, student = [sobolev_lib.models.MLP(8, width, 16, 10) for width in (64, 24)]
    >>> loss = InternalLoss(sobolev_lib.SobolevLoss(1, weights=(1.0, 0.1)), layer="3")     # by the second hidden layer
    >>> source = sobolev_lib.Teacher(teacher, torch.rand(50, 8))
    >>> history = sobolev_lib.fit(student, source, loss=loss, steps=5, progress=False)

    ``loss`` says how to compare: a ``SobolevLoss`` of order 1 the whole Jacobians (N, *out, *hidden), a
    ``StochasticSobolevLoss`` of order 1 their projections on random vectors of outputs, one vector-Jacobian product each,
    (P, N, *hidden). Its weights, point losses and ``normalize`` mean the same as there. ``layer`` is a name in the student's
    ``named_modules()``, ``teacher_layer`` one in the teacher's, by default the same. Each network is taken at its own
    activations. The two layers must have as many units: entry by entry they are compared, so the unit that comes first in
    one must be the one that comes first in the other, which training sees to.

    For layers of two sizes, let the student hold a linear layer with as many units as the teacher's, and another linear
    layer right behind it. The first is a map between the two layers that is learned along (Romero and others 2015 learn one
    for hints). After training both are one layer of weights ``second.weight @ first.weight`` and bias ``second(first.bias)``.

    >>> student = sobolev_lib.models.MLP(8, 24, 16, 10)                                    # 24 units, where the teacher has 64
    >>> student[2] = torch.nn.Sequential(torch.nn.Linear(24, 64), torch.nn.Linear(64, 16))
    >>> loss = InternalLoss(sobolev_lib.SobolevLoss(1), layer="2.0", teacher_layer="1")
    >>> history = sobolev_lib.fit(student, source, loss=loss, steps=5, progress=False)

    It takes a ``Teacher`` of a module, in ``fit``; the student can't be ``Standardized``, whose teacher has no layers, and
    validation data have no layers either. ``fit_many`` and ``compile`` don't take it. Raises ``TypeError`` for another loss
    or source, ``ValueError`` for another order, unknown layers, or layers of two sizes. Source: section 5, which
    suggests it as an unexplored path.
    """

    by_input = False

    def __init__(self, loss: Loss, layer: str, teacher_layer: str | None = None):
        if type(loss) not in (SobolevLoss, StochasticSobolevLoss):
            raise TypeError(f"loss: expected a SobolevLoss or StochasticSobolevLoss, got {type(loss).__name__}")
        if loss.order != 1:
            raise ValueError(f"loss: expected one of order 1 for derivatives by a layer, got {loss!r}")
        self.layer, self.teacher_layer = layer, layer if teacher_layer is None else teacher_layer
        for name in (self.layer, self.teacher_layer):
            if not isinstance(name, str) or not name:
                raise TypeError(f"layer: expected the name of a part of the model, got {name!r}")
        self._hold(loss)

    def _hold(self, loss: Loss) -> None:
        self.loss, self.draws = loss, loss.draws
        for name in ("order", "weights", "normalize", "value_loss", "derivative_losses", "losses"):
            setattr(self, name, getattr(loss, name))

    def ask(self, source: Teacher | InternalTargets, generator: torch.Generator | None = None) -> InternalTargets:
        """The teacher's values (N, *out) and its derivatives by its layer, or projections of them, at all its points."""
        if isinstance(source, InternalTargets):
            return source
        return InternalTargets(source.inputs, self.loss.ask(self._inside(source), generator))

    def predict(self, model: Model, batch: InternalTargets) -> tuple[Tensor, ...]:
        """The model's own values and derivatives by its layer at the batch's inputs."""
        check_layer(model, self.layer, "model")
        warn_about_normalization(model, 1)
        return self.loss.predict(lambda shift: shifted(model, batch.inputs, self.layer, shift), batch.targets)

    def compare(self, predictions: Sequence[Tensor], batch: InternalTargets) -> tuple[Tensor, ...]:
        """The terms of predictions that are there already."""
        return self.loss.compare(predictions, batch.targets)

    def normalized_by(self, source: Teacher) -> "InternalLoss":
        """This loss with its divisors fixed to the mean squares of all that the teacher says of output and layer."""
        units = self._inside(source[:2]).in_shape.numel()
        return self.with_numbers(self.weights, mean_squares_of(source, 1, units, lambda part: self._inside(part).up_to(1)))

    def with_numbers(self, weights: Sequence, normalize) -> "InternalLoss":
        other = type(self).__new__(type(self))
        other.layer, other.teacher_layer = self.layer, self.teacher_layer
        other._hold(self.loss.with_numbers(weights, normalize))
        return other

    def _inside(self, source) -> Teacher:
        """The teacher's output as a function of a shift of its layer, at shifts of zero."""
        if not isinstance(source, Teacher) or not isinstance(source.f, nn.Module):
            got = f"a Teacher of a {type(source.f).__name__}" if isinstance(source, Teacher) else type(source).__name__
            raise TypeError("source: expected a Teacher of an nn.Module, whose layers have names, for an InternalLoss "
                            f"(and a student that is not Standardized, and no validation data), got {got}")
        check_layer(source.f, self.teacher_layer, "teacher")
        teacher, layer, x = source.f, self.teacher_layer, source.inputs
        with torch.no_grad():
            hidden = activations(teacher, source.there(x[:2]), layer)
        return Teacher.at(lambda shift: shifted(teacher, source.there(x), layer, source.there(shift)),
                          torch.zeros(len(x), *hidden.shape[1:], dtype=x.dtype, device=x.device), source.out_shape)

    def __repr__(self) -> str:
        return f"InternalLoss({self.loss!r}, layer={self.layer!r}, teacher_layer={self.teacher_layer!r})"
