"""Derivatives of a batched model with respect to its input, row by row, to any order.

A batched model maps (N, *in) to (N, *out) and treats rows independently. Then the pullback (vector-Jacobian
product) of a cotangent (N, *out) through the whole batch holds each row's own product, and no loop over rows is
needed. Shapes, stated once: derivative of order k has shape (N, *out, *in, ..., *in) with k copies of ``*in``.
"""
from typing import Sequence

import torch
from torch import Tensor

from sobolev_lib._arguments import integer
from sobolev_lib._rows import (
    Model,
    asked,
    check_input,
    closed_form,
    depending_on_input,
    derivatives_func,
    differentiated,
    grad,
    traced_or_not,
    variable,
    warn_about_normalization,
)
from sobolev_lib.closed_form import values_and_derivatives


def value_and_derivatives(model: Model, x: Tensor, order: int = 1) -> tuple[Tensor, ...]:
    """Values of ``model`` at ``x`` and all derivatives up to ``order``, differentiable in the model's parameters.

    >>> model = sobolev_lib.models.MLP(2, 16, 3, activation="tanh")
    >>> y, jacobian, hessian = value_and_derivatives(model, torch.rand(5, 2), order=2)
    >>> y.shape, jacobian.shape, hessian.shape
    (torch.Size([5, 3]), torch.Size([5, 3, 2]), torch.Size([5, 3, 2, 2]))

    ``model`` maps (N, *in) to (N, *out), rows independent. Result k has shape (N, *out) + k * (*in). Each order takes
    one vector-Jacobian product an entry of the order below, all of them at once.
    Raises ``ValueError`` if the model mixes shapes or does not depend on its input, ``TypeError`` if ``x`` is not
    floating point. Source: the operator D_x^j of equation 1.
    """
    check_input(model, x)
    order = integer(order, "order", "an integer >= 0", least=0)
    if order == 0:
        return (asked(model, x),)
    layers, _ = closed_form(model, x, order)
    if layers is not None:
        return values_and_derivatives(layers, x)
    warn_about_normalization(model, order)
    return traced_or_not(model, lambda: derivatives_func(model, x, order),
                          lambda: _derivatives_autograd(model, x, order))


def value_and_projections(model: Model, x: Tensor, vectors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Values of ``model`` and its derivatives projected on ``vectors``, one vector-Jacobian product an order.

    >>> model = sobolev_lib.models.MLP(2, 16, 3, activation="tanh")
    >>> x, v1, v2 = torch.rand(5, 2), torch.randn(4, 5, 3), torch.randn(4, 5, 2)
    >>> y, p1, p2 = value_and_projections(model, x, [v1, v2])     # p1 = J^T v1, p2 = (dp1/dx)^T v2
    >>> p1.shape, p2.shape
    (torch.Size([4, 5, 2]), torch.Size([4, 5, 2]))

    With P projections a point, ``vectors[0]`` is (P, N, *out) and the others are (P, N, *in), as are all results but
    the values. No Jacobian is ever formed. Raises as ``value_and_derivatives``, and ``ValueError`` for vectors of other
    shapes. Source: equation 2 and figure 1b.
    """
    check_input(model, x)
    if not vectors:
        raise ValueError("vectors: expected one vector per order, got none")
    if len({v.shape[:2] for v in vectors}) != 1 or vectors[0].shape[1:2] != x.shape[:1]:
        raise ValueError(f"vectors: expected shapes (P, {len(x)}, ...) with one P for all, got "
                         f"{[tuple(v.shape) for v in vectors]}")
    layers, _ = closed_form(model, x, len(vectors))
    if layers is not None and vectors[0].shape[2:] == (layers.outputs,) and not vectors[0].requires_grad:
        y, projections = values_and_derivatives(layers, x, vectors[0])
        return y, projections
    warn_about_normalization(model, len(vectors))
    return traced_or_not(model, lambda: _projections_func(model, x, vectors),
                          lambda: _projections_autograd(model, x, vectors))


def path_of(model: Model, x: Tensor, order: int = 1) -> str:
    """Which way the derivatives of ``model`` at ``x`` (N, *in) go: "closed form", or "autograd" and why.

    >>> path_of(sobolev_lib.models.MLP(2, 16, 1), torch.rand(5, 2))
    'closed form'
    >>> path_of(torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Mish(), torch.nn.Linear(8, 1)), torch.rand(5, 2))
    'autograd: Mish where an activation with a closed form is needed'

    The results are the same to rounding; the closed form takes less time.
    """
    check_input(model, x)
    layers, reason = closed_form(model, x, order)
    return "closed form" if layers is not None else f"autograd: {reason}"


def _derivatives_autograd(model: Model, x: Tensor, order: int) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        x = variable(x)
        results = [asked(model, x)]
        for k in range(order):
            results.append(differentiated(results[-1], x, k + 1))
    return tuple(results)


def _projections_func(model: Model, x: Tensor, vectors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    def one(vectors):
        def projected(k):
            if k == 0:
                return lambda x: (asked(model, x), ())

            def project(x):
                p, pull, lower = torch.func.vjp(depending_on_input(projected(k - 1), k), x, has_aux=True)
                return pull(_check_vector(vectors[k - 1], p, k))[0], (*lower, p)
            return project

        highest, lower = projected(len(vectors))(x)
        return (*lower, highest)

    if len(vectors[0]) == 1:  # batched products of one would only cost time
        y, *projections = one([v[0] for v in vectors])
        return (y, *[p.unsqueeze(0) for p in projections])
    # the model's forward pass does not depend on v: vmap computes it once for all P projections
    y, *projections = torch.vmap(one, randomness="same")(tuple(vectors))
    return (y[0], *projections)


def _projections_autograd(model: Model, x: Tensor, vectors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        x = variable(x)
        y = asked(model, x)

        def one(vectors):
            projections = [y]
            for k, v in enumerate(vectors, start=1):
                projections.append(grad(projections[-1], x, _check_vector(v, projections[-1], k), k))
            return projections[1:]

        return (y, *[torch.stack(ps) for ps in zip(*[one(vs) for vs in zip(*vectors)])])


def _check_vector(v: Tensor, like: Tensor, order: int) -> Tensor:
    if v.shape == like.shape:
        return v
    if order == 1 and v.numel() == like.numel() == len(like):  # one output a row: (N,) and (N, 1) mean the same
        return v.reshape(like.shape)
    place = "the model's output" if order == 1 else "the input"
    raise ValueError(f"vectors[{order - 1}]: expected shape {tuple(like.shape)} as {place} has, got {tuple(v.shape)}; "
                     "do the model and its teacher have the same outputs?")
