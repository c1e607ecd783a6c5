"""The Sobolev loss: exact (equation 1) and stochastic (equation 2)."""
import copy
import math
from dataclasses import dataclass
from typing import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sobolev_lib.arguments import integer, several_numbers
from sobolev_lib.data import SobolevData, derivative_name
from sobolev_lib.derivatives import Model, check_output, is_concrete, value_and_derivatives, value_and_projections

DISTRIBUTIONS = ("sphere", "gaussian", "rademacher")
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
        raise ValueError("kl: expected logits of at least two choices a point, got one number, whose distribution is certain "
                         "whatever it is; use 'mse'")
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
_OURS = frozenset(LOSSES.values())


class _Terms:
    """What both losses share: a loss and a weight for each order, and how a term becomes one number."""

    def __init__(self, order, weights, value_loss, derivative_loss, normalize):
        self.order = order = integer(order, "order", "an integer >= 0", least=0)
        self.weights = _check_weights((1.0,) * (order + 1) if weights is None else weights, order)
        # one derivative loss for all orders, or one each
        per_order = list(derivative_loss) if isinstance(derivative_loss, (tuple, list)) else [derivative_loss] * order
        if len(per_order) != order:
            raise ValueError(f"derivative_loss: expected one loss or {order} of them (order={order}), got "
                             f"{len(per_order)}")
        self.value_loss, self.derivative_losses = value_loss, per_order
        self.losses = [_find_loss(value_loss, "value_loss"), *[_find_loss(l, "derivative_loss") for l in per_order]]
        self.normalize = _check_normalize(normalize, order)

    def normalized_by(self, data: SobolevData):
        """This loss with its divisors fixed to the mean squares of ``data``'s labels, whatever batch it sees."""
        _check_data(data, self.order)
        fixed = copy.copy(self)
        fixed.normalize = tuple(float(_mean_square(labels)) for labels in data.derivatives[:self.order + 1])
        return fixed

    def _total(self, terms: Sequence[Tensor]) -> Tensor:
        return weighted_sum(self.weights, terms)

    def _terms(self, predictions: Sequence[Tensor], labels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        _check_curvature(predictions, labels)
        return tuple(self._scale(_point_mean(loss, prediction, label), label, k)
                     for k, (loss, prediction, label) in enumerate(zip(self.losses, predictions, labels)))

    def _scale(self, term: Tensor, labels: Tensor, order: int) -> Tensor:
        if self.normalize is False:
            return term
        if self.normalize is True:
            return term / _mean_square(labels)
        return term / self.normalize[order]

    def __repr__(self) -> str:
        names = [loss if isinstance(loss, str) else getattr(loss, "__qualname__", type(loss).__name__)
                 for loss in (self.value_loss, *self.derivative_losses)]
        return (f"{type(self).__name__}(order={self.order}, weights={self.weights}, losses={names}, "
                f"normalize={self.normalize})")


class SobolevLoss(_Terms):
    """Error in values plus errors in derivatives up to ``order``, at the same points.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> loss = SobolevLoss(order=1, weights=(1.0, 0.1), normalize=True)
    >>> loss(sobolev_lib.models.MLP(2, 32, 1), data).backward()

    ``loss(model, data)`` is a scalar; ``loss.terms(model, data)`` the tuple of its unweighted terms, by order. ``model``
    is any ``nn.Module`` or callable from (N, *in) to (N, *out), rows independent; for values of shape (N,) it may also
    return (N, 1). ``weights``: one per order, value first, default 1. ``value_loss`` and ``derivative_loss`` are "mse"
    (squared L2 norm over a point's entries, mean over points, as printed in section 4.1), "norm" (the same not squared,
    as printed in section 4.2), "l1", "huber", "kl" (on logits, student first), "kl_teacher_first", or a callable from
    (prediction, target) to (N,) or to a scalar; ``derivative_loss`` may also be a sequence, one per order.
    ``normalize=True`` divides each term by the mean square of its own labels, so that weights compare terms of equal
    size; a tuple gives the divisors.

    Missing (NaN) entries count as absent from the sum of equation 1; the mean still runs over all points.
    ``order=0`` is plain regression. Raises ``ValueError`` if the data lack labels of that order, shapes differ, or the
    model is piecewise linear and ``order`` at least 2. Source: equation 1.
    """

    def __init__(self, order: int = 1, weights: Sequence[float] | None = None, value_loss: str | PointLoss = "mse",
                 derivative_loss: str | PointLoss | Sequence[str | PointLoss] = "mse",
                 normalize: bool | Sequence[float] = False):
        super().__init__(order, weights, value_loss, derivative_loss, normalize)

    def __call__(self, model: Model, data: SobolevData) -> Tensor:
        return self._total(self.terms(model, data))

    def terms(self, model: Model, data: SobolevData) -> tuple[Tensor, ...]:
        _check_data(data, self.order)
        return self.compare(value_and_derivatives(model, data.inputs, self.order), data)

    def compare(self, predictions: Sequence[Tensor], data: SobolevData) -> tuple[Tensor, ...]:
        """The terms of predictions that are there already: values (N, *out), Jacobian (N, *out, *in), ..."""
        _check_data(data, self.order)
        return self._terms(_drop_or_add_axis(predictions, data.values), data.derivatives[:self.order + 1])


class StochasticSobolevLoss(_Terms):
    """The Sobolev loss through random projections of the derivatives: no Jacobian is ever formed.

    >>> teacher, student = sobolev_lib.models.MLP(8, 64, 10), sobolev_lib.models.MLP(8, 16, 10)
    >>> loss = StochasticSobolevLoss(order=1, projections=1)
    >>> loss(student, torch.rand(32, 8), teacher).backward()

    Each call draws, for each point, ``projections`` fresh vectors v and compares J_m^T v with J_f^T v, one
    vector-Jacobian product each. Order 2 projects again: the derivative of J^T v, times a second vector.
    ``model`` maps ``x`` (N, *in) to (N, *out). ``teacher`` is any differentiable callable that does so too (its
    parameters get no gradient), ``SobolevData`` with the same inputs, whose tabulated derivatives are projected, or what
    ``targets`` returned.
    ``distribution``: "sphere" (uniform on the unit sphere, as in the paper), "gaussian" or "rademacher".

    For v on the unit sphere of R^m, E ||J^T v||^2 = ||J||^2 / m. So v is stretched to length sqrt(m), which multiplies
    the squared error by m: with the "mse" loss and complete labels the expectation over v is then exactly
    ``SobolevLoss``, at any order.
    Other arguments as in ``SobolevLoss``. With ``normalize=True`` the mean square is that of the projected labels.

    A missing label: an output whose derivatives are all missing at a point takes no part in the projection there; for
    any other missing entry, that input's component of the projection is left out. Source: equation 2, figure 1b.
    """

    def __init__(self, order: int = 1, projections: int = 1, distribution: str = "sphere",
                 weights: Sequence[float] | None = None, value_loss: str | PointLoss = "mse",
                 derivative_loss: str | PointLoss | Sequence[str | PointLoss] = "mse",
                 normalize: bool | Sequence[float] = False):
        super().__init__(order, weights, value_loss, derivative_loss, normalize)
        if order < 1:
            raise ValueError(f"order: expected at least 1 (there is nothing to project at order 0), got {order}")
        if distribution not in DISTRIBUTIONS:
            raise ValueError(f"distribution: expected one of {', '.join(DISTRIBUTIONS)}, got {distribution!r}")
        self.projections = integer(projections, "projections", "an integer >= 1")
        self.distribution = distribution

    def __call__(self, model: Model, x: Tensor, teacher: "Model | SobolevData | ProjectedTargets", *,
                 generator: torch.Generator | None = None) -> Tensor:
        return self._total(self.terms(model, x, teacher, generator=generator))

    def terms(self, model: Model, x: Tensor, teacher: "Model | SobolevData | ProjectedTargets", *,
              generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        known = teacher if isinstance(teacher, ProjectedTargets) else self.targets(x, teacher, generator=generator)
        if len(known.vectors) != self.order:
            raise ValueError(f"teacher: expected targets of order {self.order}, got order {len(known.vectors)}")
        y, *projections = value_and_projections(model, x, known.vectors)
        y, = _drop_or_add_axis((y,), known.labels[0])
        # the P projections of a point count as P points: fold them into the batch
        return self._terms([y, *[p.flatten(0, 1) for p in projections]],
                           [known.labels[0], *[t.flatten(0, 1) for t in known.labels[1:]]])

    def targets(self, x: Tensor, teacher: Model | SobolevData, *,
                generator: torch.Generator | None = None) -> "ProjectedTargets":
        """Draw the vectors and ask the teacher once; many models can then be compared with the result.

        >>> teacher, students = sobolev_lib.models.MLP(8, 64, 10), [sobolev_lib.models.MLP(8, 16, 10) for _ in range(3)]
        >>> loss, x = StochasticSobolevLoss(), torch.rand(32, 8)
        >>> targets = loss.targets(x, teacher)
        >>> values = [loss(student, x, targets) for student in students]
        """
        if isinstance(teacher, SobolevData):
            _check_data(teacher, self.order)
            _check_same_inputs(x, teacher)
            vectors = self.draw(x, teacher.out_shape, generator)
            vectors[0], labels = _project_labels(teacher, vectors)
        elif not callable(teacher):
            raise TypeError(f"teacher: expected a callable, SobolevData or ProjectedTargets, got {type(teacher).__name__}")
        else:
            with torch.no_grad():
                out_shape = check_output(teacher(x[:1].clone()), x[:1]).shape[1:]
                vectors = self.draw(x, out_shape, generator)
                labels = value_and_projections(teacher, x, vectors)
        return ProjectedTargets(vectors, [label.detach() for label in labels])

    def draw(self, x: Tensor, out_shape: Sequence[int], generator: torch.Generator | None = None) -> list[Tensor]:
        """Fresh vectors, one tensor an order: (P, N, *out), then (P, N, *in) for each order above 1."""
        shapes = [tuple(out_shape)] + [tuple(x.shape[1:])] * (self.order - 1)
        return [_random_vectors((self.projections, x.shape[0]), shape, self.distribution, x, generator)
                for shape in shapes]


@dataclass(frozen=True)
class ProjectedTargets:
    """Random vectors and a teacher's values and projected derivatives: see ``StochasticSobolevLoss.targets``.

    >>> targets = StochasticSobolevLoss(projections=2).targets(torch.rand(32, 8), sobolev_lib.models.MLP(8, 64, 10))
    >>> [tuple(v.shape) for v in targets.vectors], [tuple(t.shape) for t in targets.labels]
    ([(2, 32, 10)], [(32, 10), (2, 32, 8)])
    """

    vectors: list[Tensor]                                  # by order: (P, N, *out), then (P, N, *in)
    labels: list[Tensor]                                   # values (N, *out), then projections (P, N, *in)


def weighted_sum(weights: Sequence[float], terms: Sequence[Tensor]) -> Tensor:
    """Terms times weights, added up; ``sum`` would begin with a zero, one operation more."""
    first, *rest = [weight * term for weight, term in zip(weights, terms)]
    for term in rest:
        first = first + term
    return first


def _random_vectors(batch: tuple[int, ...], shape: tuple[int, ...], distribution: str, like: Tensor,
                    generator: torch.Generator | None) -> Tensor:
    """Vectors with E[v v^T] = I, whatever the distribution: that is what makes the squared loss unbiased."""
    # drawn where the generator lives, so that a CPU seed gives the same vectors on a GPU
    device = like.device if generator is None else generator.device
    v = torch.randn((*batch, *shape), generator=generator, dtype=like.dtype, device=device).to(like.device)
    if distribution == "rademacher":
        return torch.where(v < 0, -1.0, 1.0).to(like.dtype)
    if distribution == "sphere":
        flat = v.reshape(*batch, math.prod(shape))
        return (flat * (math.sqrt(flat.shape[-1]) / flat.norm(dim=-1, keepdim=True))).reshape(v.shape)
    return v


def _project_labels(data: SobolevData, vectors: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The first vector without the outputs that have no label, and the labels' own projections by order."""
    n, m, d = len(data), math.prod(data.out_shape), math.prod(data.in_shape)
    missing = data.jacobian.reshape(n, m, d).isnan().all(dim=2)                           # (N, m)
    first = torch.where(missing, 0.0, vectors[0].reshape(-1, n, m))                       # (P, N, m)
    targets = [data.values]
    for order in range(1, len(vectors) + 1):
        table = data.derivatives[order].reshape(n, m, -1)
        table = torch.where(missing.unsqueeze(2), 0.0, table)    # 0 * NaN would be NaN
        projected = torch.einsum("pnm,nmk->pnk", first, table)
        for v in vectors[1:order]:
            projected = torch.einsum("pne,pnek->pnk", v.reshape(-1, n, d), projected.reshape(*projected.shape[:2], d, -1))
        targets.append(projected.reshape(-1, n, *data.in_shape))
    return first.reshape(vectors[0].shape), targets


def _point_mean(loss: PointLoss, prediction: Tensor, label: Tensor) -> Tensor:
    # a missing label becomes the pair (0, 0): no error, and no gradient. On large inputs that costs as much as the rest of
    # the loss, so a CPU looks first; a GPU would have to stop for the answer
    if label.device.type != "cpu" or not is_concrete(label) or label.isnan().any():
        present = ~label.isnan()
        if loss in (_kl, _kl_teacher_first) and is_concrete(label) and \
                (present.flatten(1).any(1) & ~present.flatten(1).all(1)).any():
            raise ValueError("kl: expected all logits of a point or none (NaN), got some; a distribution needs all of them")
        prediction, label = torch.where(present, prediction, 0.0), torch.where(present, label, 0.0)
    if loss is LOSSES["mse"]:                              # the same number by fewer operations
        return F.mse_loss(prediction, label, reduction="sum") / len(label)
    result = loss(prediction, label if loss in _OURS else label.clone())   # one of the user's may work in place
    if not isinstance(result, Tensor):
        raise TypeError(f"loss: expected a callable that returns a tensor, got {type(result).__name__}")
    if result.shape not in ((), (len(label),)):
        raise ValueError(f"loss: expected one number per point, shape ({len(label)},), or a scalar; got "
                         f"{tuple(result.shape)}")
    return result.mean()


def _mean_square(labels: Tensor) -> Tensor:
    """Mean over points of the squared norm of the present labels; 1 where all are zero, which leaves the term as is."""
    total = torch.where(labels.isnan(), 0.0, labels).square().sum() / len(labels)
    return torch.where(total > 0, total, 1.0)


def _drop_or_add_axis(predictions: Sequence[Tensor], values: Tensor) -> tuple[Tensor, ...]:
    """Predictions in the labels' shape. Only (N, 1) against (N,) is allowed to differ; nothing is broadcast."""
    y = predictions[0]
    if y.shape == values.shape:
        return tuple(predictions)
    if y.shape == (*values.shape, 1) and values.ndim == 1:
        return tuple(p.squeeze(1) for p in predictions)
    if (*y.shape, 1) == tuple(values.shape) and y.ndim == 1:
        return tuple(p.unsqueeze(1) for p in predictions)
    raise ValueError(f"model: expected outputs of shape {tuple(values.shape)} as the labels have, got {tuple(y.shape)}")


def _find_loss(loss: str | PointLoss, name: str) -> PointLoss:
    if callable(loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(f"{name}: expected one of {', '.join(LOSSES)} or a callable, got {loss!r}")
    return LOSSES[loss]


def _check_weights(weights: Sequence[float], order: int) -> tuple[float, ...]:
    return several_numbers(weights, "weights", order + 1, f"{order + 1} numbers (value, then each derivative order)",
                           "finite numbers >= 0", zero=True)


def _check_normalize(normalize: bool | Sequence[float], order: int) -> bool | tuple[float, ...]:
    if isinstance(normalize, (bool, np.bool_)):
        return bool(normalize)
    rule = f"True, False or {order + 1} positive divisors"
    return several_numbers(normalize, "normalize", order + 1, rule, rule)


def _check_data(data: SobolevData, order: int) -> None:
    if not isinstance(data, SobolevData):
        raise TypeError(f"data: expected SobolevData (see sobolev_lib.label), got {type(data).__name__}")
    if len(data) == 0:
        raise ValueError("data: expected at least one point, got none")
    if data.order < order:
        raise ValueError(f"data: expected labels up to the {derivative_name(order)} for a loss of order {order}, got "
                         f"{derivative_name(data.order)} at most")


def _check_same_inputs(x: Tensor, data: SobolevData) -> None:
    if x.shape != data.inputs.shape:
        raise ValueError(f"x: expected the inputs of the tabulated teacher, shape {tuple(data.inputs.shape)}, got "
                         f"{tuple(x.shape)}")
    if x is not data.inputs and is_concrete(x) and is_concrete(data.inputs) and not torch.equal(x, data.inputs):
        raise ValueError("x: expected the inputs of the tabulated teacher, got other points of the same shape")


def _check_curvature(predictions: Sequence[Tensor], labels: Sequence[Tensor]) -> None:
    """A piecewise linear model has second derivatives that are exactly zero: no weights can fit other labels."""
    for order in range(2, len(labels)):
        prediction, label = predictions[order], labels[order]
        if is_concrete(prediction) and not prediction.any() and label.nan_to_num().any():
            raise ValueError(f"model: its derivatives of order {order} are zero everywhere, so it can't carry the "
                             f"{derivative_name(order)} labels; expected a smooth activation (tanh, softplus, gelu, "
                             f"silu), got a piecewise linear model (ReLU?)")
