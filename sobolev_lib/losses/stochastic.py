"""The stochastic Sobolev loss, equation 2: random projections of the derivatives."""
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sobolev_lib._arguments import integer
from sobolev_lib._rows import Model, is_concrete
from sobolev_lib._torch import register_pytree_node
from sobolev_lib.data import SobolevData
from sobolev_lib.derivatives import value_and_projections
from sobolev_lib.directions import check_distribution, random_vectors
from sobolev_lib.losses.pointwise import PointLoss
from sobolev_lib.losses.protocol import Loss, fitted
from sobolev_lib.teacher import Teacher


@dataclass(frozen=True)
class ProjectedTargets:
    """Random vectors and a teacher's values and projected derivatives: a batch of ``StochasticSobolevLoss``.

    >>> targets = StochasticSobolevLoss(projections=2).targets(torch.rand(32, 8), sobolev_lib.models.MLP(8, 64, 10))
    >>> [tuple(v.shape) for v in targets.vectors], [tuple(t.shape) for t in targets.labels]
    ([(2, 32, 10)], [(32, 10), (2, 32, 8)])

    Or put together from vectors of your own, here the first output's gradient alone:

    >>> x, first = torch.rand(32, 8), torch.eye(10)[0].expand(1, 32, 10)
    >>> given = ProjectedTargets(x, [first], [x.sum(1, keepdim=True).expand(32, 10), torch.ones(1, 32, 8)])
    >>> len(StochasticSobolevLoss().terms(sobolev_lib.models.MLP(8, 64, 10), given))
    2

    The expectation of ``SobolevLoss`` has vectors of length sqrt(q), q the number of outputs.
    """

    inputs: Tensor                                         # (N, *in)
    vectors: list[Tensor]                                  # by order: (P, N, *out), then (P, N, *in)
    labels: list[Tensor]                                   # values (N, *out), then projections (P, N, *in)


# so that vmap and torch.func transforms can take them as an argument, one batch an index
register_pytree_node(ProjectedTargets, lambda t: ([t.inputs, t.vectors, t.labels], None),
                             lambda parts, _: ProjectedTargets(*parts),
                             serialized_type_name="sobolev_lib.ProjectedTargets")


class StochasticSobolevLoss(Loss):
    """The Sobolev loss through random projections of the derivatives: no Jacobian is ever formed.

    >>> teacher, student = sobolev_lib.models.MLP(8, 64, 10), sobolev_lib.models.MLP(8, 16, 10)
    >>> loss = StochasticSobolevLoss(order=1, projections=1)
    >>> loss(student, sobolev_lib.Teacher(teacher, torch.rand(32, 8))).backward()
    >>> loss(student, torch.rand(32, 8), teacher).backward()              # the same in short

    Each call draws, for each point, ``projections`` fresh vectors v and compares J_m^T v with J_f^T v, one
    vector-Jacobian product each. Order 2 projects again: the derivative of J^T v, times a second vector.
    ``loss(model, batch, generator=None)``: ``model`` maps (N, *in) to (N, *out); ``batch`` is a ``Teacher``, any
    differentiable function at (N, *in) (its parameters get no gradient), or ``SobolevData``, whose tabulated derivatives
    are projected, or what ``targets`` returned. ``loss(model, x, teacher)`` takes a teacher without inputs of its own.
    ``loss.terms`` gives the unweighted terms, by order. Where the vectors are given and their projections are known,
    ``ProjectedTargets`` holds both and nothing is drawn; slopes along directions of the input are data for ``SobolevLoss``.
    ``distribution``: "sphere" (uniform on the unit sphere, as in the paper), "gaussian" or "rademacher".

    For v on the unit sphere of R^q, E ||J^T v||^2 = ||J||^2 / q. So v is stretched to length sqrt(q), which multiplies
    the squared error by q: with the "mse" loss and complete labels the expectation over v is then exactly
    ``SobolevLoss``, at any order.
    Other arguments as in ``SobolevLoss``. With ``normalize=True`` the mean square is that of the projected labels.

    A missing label: an output whose Jacobian is all missing at a point takes no part in the projection there, at any
    order; for any other missing entry, that input's component of the projection is left out.
    Source: equation 2, figure 1b.
    """

    draws = True

    def __init__(self, order: int = 1, projections: int = 1, distribution: str = "sphere",
                 weights: Sequence[float] | None = None, value_loss: str | PointLoss = "mse",
                 derivative_loss: str | PointLoss | Sequence[str | PointLoss] = "mse",
                 normalize: bool | Sequence[float] = False):
        super().__init__(order, weights, value_loss, derivative_loss, normalize)
        if order < 1:
            raise ValueError(f"order: expected at least 1 (there is nothing to project at order 0), got {order}")
        check_distribution(distribution)
        self.projections = integer(projections, "projections", "an integer >= 1")
        self.distribution = distribution

    def __call__(self, model: Model, batch, teacher=None, *, generator: torch.Generator | None = None) -> Tensor:
        return self.total(self.terms(model, batch, teacher, generator=generator))

    def terms(self, model: Model, batch, teacher=None, *, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        batch = self.ask(batch, generator) if teacher is None else self.targets(batch, teacher, generator=generator)
        return self.compare(self.predict(model, batch), batch)

    def ask(self, source: "SobolevData | Teacher | ProjectedTargets",
            generator: torch.Generator | None = None) -> ProjectedTargets:
        """Draw the vectors and project the labels, or have the teacher do so; targets pass as they are."""
        if isinstance(source, SobolevData):
            extras = source.up_to(min(self.order, source.order)).extras
            if extras:
                own = " (this loss draws directions of its own, among the outputs)" if "directions" in extras else ""
                raise ValueError("data: expected points with whole derivatives alone for a StochasticSobolevLoss, which "
                                 f"projects them, got {' and '.join(extras)}, too; SobolevLoss takes them{own}")
            source = source.up_to(self.order)
            vectors = self.draw(source.inputs, source.out_shape, generator)
            vectors[0], labels = _project_labels(source, vectors)
            source = ProjectedTargets(source.inputs, vectors, labels)
        elif isinstance(source, Teacher):
            vectors = self.draw(source.inputs, source.out_shape, generator)
            source = ProjectedTargets(source.inputs, vectors, list(source.project(vectors)))
        elif not isinstance(source, ProjectedTargets):
            raise TypeError("batch: expected SobolevData, a Teacher or ProjectedTargets (or points, and a teacher beside "
                            f"them), got {type(source).__name__}")
        else:
            _check_given(source)
        if len(source.vectors) != self.order:
            raise ValueError(f"teacher: expected targets of order {self.order}, got order {len(source.vectors)}")
        return source

    def targets(self, x: Tensor, teacher: "Model | SobolevData | ProjectedTargets", *,
                generator: torch.Generator | None = None) -> ProjectedTargets:
        """Draw the vectors and ask the teacher once, at x (N, *in); many models can then be compared with the result.

        >>> teacher, students = sobolev_lib.models.MLP(8, 64, 10), [sobolev_lib.models.MLP(8, 16, 10) for _ in range(3)]
        >>> loss = StochasticSobolevLoss()
        >>> targets = loss.targets(torch.rand(32, 8), teacher)
        >>> values = [loss(student, targets) for student in students]
        """
        if isinstance(teacher, ProjectedTargets):
            return self.ask(replace(teacher, inputs=x), generator)
        if isinstance(teacher, SobolevData):
            _check_same_inputs(x, teacher)
            return self.ask(SobolevData.of_tables([x, *teacher.tables[1:]], teacher.order, teacher.extras), generator)
        if not callable(teacher):
            raise TypeError(f"teacher: expected a callable, SobolevData or ProjectedTargets, got {type(teacher).__name__}")
        return self.ask(Teacher.at(teacher, x), generator)

    def predict(self, model: Model, batch: ProjectedTargets) -> tuple[Tensor, ...]:
        """The model's own values (N, *out) and projections (P, N, *in) on the batch's vectors."""
        return value_and_projections(model, batch.inputs, batch.vectors)

    def compare(self, predictions: Sequence[Tensor], batch: ProjectedTargets) -> tuple[Tensor, ...]:
        """The terms of predictions that are there already."""
        y, *projections = predictions
        y, = fitted((y,), batch.labels[0])
        # the P projections of a point count as P points: fold them into the batch
        return self._compare([y, *[p.flatten(0, 1) for p in projections]],
                             [batch.labels[0], *[t.flatten(0, 1) for t in batch.labels[1:]]])

    def draw(self, x: Tensor, out_shape: Sequence[int], generator: torch.Generator | None = None) -> list[Tensor]:
        """Fresh vectors, one tensor an order: (P, N, *out), then (P, N, *in) for each order above 1."""
        shapes = [tuple(out_shape)] + [tuple(x.shape[1:])] * (self.order - 1)
        return [random_vectors((self.projections, x.shape[0]), shape, self.distribution, x, generator)
                for shape in shapes]


def _project_labels(data: SobolevData, vectors: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """The first vector without the outputs that have no label, and the labels' own projections by order."""
    n, q, d = len(data), math.prod(data.out_shape), math.prod(data.in_shape)
    missing = data.jacobian.reshape(n, q, d).isnan().all(dim=2)                           # (N, q)
    first = torch.where(missing, 0.0, vectors[0].reshape(-1, n, q))                       # (P, N, q)
    targets = [data.values]
    for order in range(1, len(vectors) + 1):
        table = data.derivatives[order].reshape(n, q, -1)
        table = torch.where(missing.unsqueeze(2), 0.0, table)    # 0 * NaN would be NaN
        projected = torch.einsum("pnm,nmk->pnk", first, table)
        for v in vectors[1:order]:
            projected = torch.einsum("pne,pnek->pnk", v.reshape(-1, n, d), projected.reshape(*projected.shape[:2], d, -1))
        targets.append(projected.reshape(-1, n, *data.in_shape))
    return first.reshape(vectors[0].shape), targets


def _check_given(targets: ProjectedTargets) -> None:
    """Vectors and projections that somebody has put together must be of one shape a point: nothing is broadcast."""
    if len(targets.labels) != len(targets.vectors) + 1:
        raise ValueError(f"labels: expected values, and projections for each of {len(targets.vectors)} orders, got "
                         f"{len(targets.labels)} tensors")
    values, many, inputs = targets.labels[0], len(targets.vectors[0]), tuple(targets.inputs.shape)
    wanted = {"labels[0]": (values, (*inputs[:1], *values.shape[1:])), "vectors[0]": (targets.vectors[0], (many, *values.shape))}
    wanted |= {f"vectors[{k}]": (each, (many, *inputs)) for k, each in enumerate(targets.vectors[1:], 1)}
    wanted |= {f"labels[{k}]": (each, (many, *inputs)) for k, each in enumerate(targets.labels[1:], 1)}
    for name, (tensor, shape) in wanted.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name}: expected shape {shape} beside inputs {inputs} and values {tuple(values.shape)}, got "
                             f"{tuple(tensor.shape)}")


def _check_same_inputs(x: Tensor, data: SobolevData) -> None:
    if x.shape != data.inputs.shape:
        raise ValueError(f"x: expected the inputs of the tabulated teacher, shape {tuple(data.inputs.shape)}, got "
                         f"{tuple(x.shape)}")
    if x is not data.inputs and is_concrete(x) and is_concrete(data.inputs) and not torch.equal(x, data.inputs):
        raise ValueError("x: expected the inputs of the tabulated teacher, got other points of the same shape")
