"""Derivatives along given directions: a model's J u, H u and so on at each point, without the whole of the highest order."""
import math

import torch
from torch import Tensor

from sobolev_lib._arguments import integer
from sobolev_lib._rows import (
    Model,
    asked,
    check_input,
    closed_form,
    derivative_of,
    differentiated,
    nested,
    traced_or_not,
    variable,
    warn_about_normalization,
)
from sobolev_lib._tables import check_shape_of_directions
from sobolev_lib.closed_form import values_and_derivatives
from sobolev_lib.derivatives import value_and_derivatives


def value_and_products(model: Model, x: Tensor, directions: Tensor, order: int = 1) -> tuple[Tensor, ...]:
    """Values of ``model``, its whole derivatives below ``order``, and those of ``order`` along directions.

    >>> model = sobolev_lib.models.MLP(2, 16, 3, activation="tanh")
    >>> x, u = torch.rand(5, 2), torch.randn(5, 1, 2)                  # one direction at each of five points
    >>> y, slopes = value_and_products(model, x, u)                    # J u
    >>> y, jacobian, products = value_and_products(model, x, u, order=2)   # H u, a Hessian-vector product an output
    >>> slopes.shape, products.shape
    (torch.Size([5, 3, 1]), torch.Size([5, 3, 1, 2]))

    ``model`` maps x (N, *in) to (N, *out), rows independent; ``directions`` (N, k, *in). The last result is (N, *out, k) for
    order 1, and (N, *out, k, *in, ...) with order - 1 copies of ``*in`` for others: the derivative of J u. Its units are
    the direction's: along 2 u it is twice what it is along u. All are differentiable in the model's parameters.

    With q outputs, J u takes q vector-Jacobian products, and H u another k q, where a Hessian takes d q. For J u, multilayer
    perceptrons take as many sweeps as there are directions, inputs or outputs, whichever is least.

    Raises as ``value_and_derivatives``, and ``ValueError`` or ``TypeError`` for directions of another shape or dtype.
    Source: the derivatives of equation 1 along chosen directions.
    """
    order = integer(order, "order")
    check_input(model, x)
    check_directions(directions, x)
    if order == 1:
        layers, _ = closed_form(model, x, 1)
        if layers is not None and not directions.requires_grad:          # the closed form has gradients by parameters alone
            return values_and_derivatives(layers, x, directions=directions)
        y, jacobian = value_and_derivatives(model, x)
        return y, along(jacobian, y, directions)
    warn_about_normalization(model, order)
    return traced_or_not(model, lambda: _products_func(model, x, directions, order),
                          lambda: _products_autograd(model, x, directions, order))


def along(derivative: Tensor, values: Tensor, directions: Tensor) -> Tensor:
    """J u (N, *out, k) of a Jacobian (N, *out, *in) of ``values`` (N, *out), for directions (N, k, *in).

    Of a higher derivative (N, *out, *in, *in, ...) it is (N, *out, k, *in, ...).
    """
    n, k = directions.shape[:2]
    u, others = directions.reshape(n, k, -1), derivative.shape[values.ndim + directions.ndim - 2:]
    if not others:
        return (derivative.reshape(n, -1, u.shape[2]) @ u.mT).reshape(*values.shape, k)    # (N, q, d) (N, d, k)
    flat = derivative.reshape(n, math.prod(values.shape[1:]), u.shape[2], -1)
    return torch.einsum("nqdr,nkd->nqkr", flat, u).reshape(*values.shape, k, *others)


def _products_func(model: Model, x: Tensor, directions: Tensor, order: int) -> tuple[Tensor, ...]:
    whole = nested(model, x, order - 1)

    def products(x):
        highest, lower = whole(x)
        return along(highest, lower[0], directions), (*lower, highest)

    highest, (*found, _) = derivative_of(products, order)(x)
    return (*found, highest)


def _products_autograd(model: Model, x: Tensor, directions: Tensor, order: int) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        x = variable(x)
        results = [asked(model, x)]
        for k in range(1, order):
            results.append(differentiated(results[-1], x, k))
        return (*results, differentiated(along(results[-1], results[0], directions), x, order))


def check_directions(directions: Tensor, x: Tensor, order: int = 1) -> None:
    """Raises unless directions (N, k, *in) fit points x (N, *in), and there is an order to take along them."""
    if order < 1:
        raise ValueError(f"directions: expected order 1 or more beside them, got {order}")
    if not isinstance(directions, Tensor):
        raise TypeError(f"directions: expected a tensor (N, k, ...), got {type(directions).__name__}")
    check_shape_of_directions(directions, x)
    if directions.dtype != x.dtype or directions.device != x.device:
        raise TypeError(f"directions: expected {x.dtype} on {x.device} as x is, got {directions.dtype} on "
                        f"{directions.device}")
