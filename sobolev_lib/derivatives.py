"""Derivatives of a batched model with respect to its input, row by row, to any order.

A batched model maps (N, *in) to (N, *out) and treats rows independently. Then the pullback (vector-Jacobian
product) of a cotangent (N, *out) through the whole batch holds each row's own product, and no loop over rows is
needed. Shapes, stated once: derivative of order k has shape (N, *out, *in, ..., *in) with k copies of ``*in``.

Everything is written with ``torch.func``, so it can be differentiated, ``vmap``-ped and compiled. Modules that
``torch.func`` can't trace (custom autograd functions of the old style, in-place buffers) go through
``torch.autograd.grad`` instead, with the same result. So do plain multilayer perceptrons through their closed form, which
is quicker.
"""
import math
import warnings
import weakref
from typing import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sobolev_lib._arguments import integer
from sobolev_lib._torch import BatchNorm, InstanceNorm, in_transform, level
from sobolev_lib.closed_form import Layers, values_and_derivatives

Model = Callable[[Tensor], Tensor]

_untraceable: "weakref.WeakSet[Model]" = weakref.WeakSet()  # models that torch.func has already refused


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
    _check_input(model, x)
    order = integer(order, "order", "an integer >= 0", least=0)
    if order == 0:
        return (check_output(model(x.clone()), x),)        # a copy: the model may work in place
    layers, _ = _closed_form(model, x, order)
    if layers is not None:
        return values_and_derivatives(layers, x)
    _warn_about_normalization(model, order)
    return _traced_or_not(model, lambda: _derivatives_func(model, x, order),
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
    _check_input(model, x)
    if not vectors:
        raise ValueError("vectors: expected one vector per order, got none")
    if len({v.shape[:2] for v in vectors}) != 1 or vectors[0].shape[1:2] != x.shape[:1]:
        raise ValueError(f"vectors: expected shapes (P, {len(x)}, ...) with one P for all, got "
                         f"{[tuple(v.shape) for v in vectors]}")
    layers, _ = _closed_form(model, x, len(vectors))
    if layers is not None and vectors[0].shape[2:] == (layers.outputs,):
        y, projections = values_and_derivatives(layers, x, vectors[0])
        return y, projections
    _warn_about_normalization(model, len(vectors))
    return _traced_or_not(model, lambda: _projections_func(model, x, vectors),
                          lambda: _projections_autograd(model, x, vectors))


def path_of(model: Model, x: Tensor, order: int = 1) -> str:
    """Which way the derivatives of ``model`` at ``x`` (N, *in) go: "closed form", or "autograd" and why.

    >>> path_of(sobolev_lib.models.MLP(2, 16, 1), torch.rand(5, 2))
    'closed form'
    >>> path_of(torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Mish(), torch.nn.Linear(8, 1)), torch.rand(5, 2))
    'autograd: Mish where an activation with a closed form is needed'

    The results are the same to rounding; the closed form takes less time.
    """
    _check_input(model, x)
    layers, reason = _closed_form(model, x, order)
    return "closed form" if layers is not None else f"autograd: {reason}"


def check_output(y: Tensor, x: Tensor) -> Tensor:
    """``y`` itself, once it is known to be a tensor with one row per input row."""
    if not isinstance(y, Tensor):
        raise TypeError(f"model: expected it to return a tensor, got {type(y).__name__}")
    if y.ndim == 0 or y.shape[0] != x.shape[0]:
        raise ValueError(f"model: expected one output row per input row, shape ({x.shape[0]}, ...), "
                         f"got {tuple(y.shape)}")
    return y


def is_concrete(tensor: Tensor) -> bool:
    """True outside ``torch.compile`` and ``torch.func`` transforms: only then may Python look at numbers."""
    return not torch.compiler.is_compiling() and level(tensor) == -1


# --- torch.func -------------------------------------------------------------------------------------------------

def _derivatives_func(model: Model, x: Tensor, order: int) -> tuple[Tensor, ...]:
    highest, lower = _nested(model, x, order)(x)
    return (*lower, highest)


def _nested(model: Model, x: Tensor, order: int, first: int = 0):
    """The function x -> (derivative of that order, all lower ones); it treats rows independently, like the model.

    ``first`` is the order of what ``model`` itself gives, if it is a derivative already.
    """
    if order == first:
        return lambda x: (check_output(model(x), x), ())
    below = _nested(model, x, order - 1, first)

    def derivative(x):
        y, pull, lower = torch.func.vjp(_depending_on_input(below, order), x, has_aux=True)
        out_shape, in_shape = y.shape[1:], x.shape[1:]
        q = math.prod(out_shape)
        # reverse mode even where outputs outnumber inputs: in PyTorch, gradients of forward-mode derivatives are
        # silently wrong for LayerNorm, InstanceNorm and linalg.solve, and fail for GLU
        if q == 1:
            rows = pull(torch.ones_like(y))[0].unsqueeze(0)
        else:
            rows = torch.vmap(lambda v: pull(v)[0], randomness="same")(_basis(y))
        return rows.movedim(0, 1).reshape(*y.shape, *in_shape), (*lower, y)   # (q, N, *in) -> (N, *out, *in)

    return derivative


def _projections_func(model: Model, x: Tensor, vectors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    def one(vectors):
        def projected(k):
            if k == 0:
                return lambda x: (check_output(model(x), x), ())

            def project(x):
                p, pull, lower = torch.func.vjp(_depending_on_input(projected(k - 1), k), x, has_aux=True)
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


def _basis(like: Tensor) -> Tensor:
    """The unit vectors of one row, repeated for all rows: (k, *like.shape) for rows of k entries."""
    row = like.shape[1:]
    eye = torch.eye(math.prod(row), dtype=like.dtype, device=like.device).reshape(-1, 1, *row)
    return eye.expand(-1, *like.shape)


def _depending_on_input(function, order: int):
    """``function`` itself, raising if its result carries no trace of its input (a constant model)."""
    if order > 1:
        return function

    def checked(x):
        y, lower = function(x)
        if not torch.compiler.is_compiling():
            # a constant stays below x's level; what was detached, or made under no_grad, is at it without a graph
            if level(y) < level(x) or not y.requires_grad:
                raise ValueError(INDEPENDENT)
        return y, lower
    return checked


# --- torch.autograd.grad ----------------------------------------------------------------------------------------

def _derivatives_autograd(model: Model, x: Tensor, order: int) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        results = [check_output(model(x), x)]
        for k in range(order):
            results.append(_differentiated(results[-1], x, k + 1))
    return tuple(results)


def _differentiated(y: Tensor, x: Tensor, order: int) -> Tensor:
    """The derivative (N, ..., *in) by x of what was made from it, y (N, ...), a derivative of order ``order - 1``."""
    flat = y.flatten(1) if y.ndim > 1 else y.unsqueeze(1)
    columns = [_grad(flat[:, k].sum(), x, None, order) for k in range(flat.shape[1])]
    return torch.stack(columns, dim=1).reshape(*y.shape, *x.shape[1:])


def _projections_autograd(model: Model, x: Tensor, vectors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = check_output(model(x), x)

        def one(vectors):
            projections = [y]
            for k, v in enumerate(vectors, start=1):
                projections.append(_grad(projections[-1], x, _check_vector(v, projections[-1], k), k))
            return projections[1:]

        return (y, *[torch.stack(ps) for ps in zip(*[one(vs) for vs in zip(*vectors)])])


def _grad(y: Tensor, x: Tensor, v: Tensor | None, order: int) -> Tensor:
    if not y.requires_grad:
        grad = None
    else:
        grad, = torch.autograd.grad(y, x, v, create_graph=True, allow_unused=True)
    if grad is None and order == 1:
        raise ValueError(INDEPENDENT)
    return torch.zeros_like(x) if grad is None else grad  # a linear model's second derivative is truly zero


# --- the closed form --------------------------------------------------------------------------------------------

def _closed_form(model: Model, x: Tensor, order: int) -> tuple[Layers | None, str]:
    """The layers of a plain MLP where its closed form applies; else None, and why not."""
    if torch.compiler.is_compiling():
        return None, "inside torch.compile"
    if order != 1:
        return None, f"order {order}, the closed form has order 1"
    if x.ndim != 2 or x.requires_grad:
        return None, f"inputs {tuple(x.shape)}, expected (N, d)" if x.ndim != 2 else "inputs that require a gradient"
    try:
        layers = Layers.of(model)  # type: ignore[arg-type]  # which says itself what it can't take
    except ValueError as error:
        return None, str(error)
    if x.shape[1] != layers.inputs:
        return None, f"{x.shape[1]} inputs for a network of {layers.inputs}"
    if in_transform():
        return None, "inside torch.func or forward-mode differentiation"
    return layers, ""


# --- choosing between the two -----------------------------------------------------------------------------------

INDEPENDENT = ("model: expected an output that depends on the input, got one that does not; its derivatives are "
               "zero everywhere (does it detach, or run under torch.no_grad?)")


def _traced_or_not(model: Model, traced: Callable, not_traced: Callable) -> tuple[Tensor, ...]:
    if not torch.compiler.is_compiling() and _is_known_untraceable(model):    # compiled code would be tied to that set
        return not_traced()
    try:
        return traced()
    except (RuntimeError, NotImplementedError) as error:
        if torch.compiler.is_compiling():
            raise
        try:
            result = not_traced()
        except RuntimeError:
            raise error from None  # both fail: the model itself is at fault, and the first message is the plainer
        try:
            _untraceable.add(model)
        except TypeError:  # unhashable callables can't be remembered; they are only slower
            pass
        return result


def _is_known_untraceable(model: Model) -> bool:
    try:
        return model in _untraceable
    except TypeError:
        return False


def _check_input(model: Model, x: Tensor) -> None:
    if not callable(model):
        raise TypeError(f"model: expected an nn.Module or a callable, got {type(model).__name__}")
    if not isinstance(x, Tensor):
        raise TypeError(f"x: expected a torch.Tensor of shape (N, ...), got {type(x).__name__}")
    if not x.is_floating_point():
        raise TypeError(f"x: expected a floating-point tensor to differentiate with respect to, got {x.dtype}")
    if x.ndim == 0:
        raise ValueError("x: expected a batch of shape (N, ...), got a scalar")
    for parameter in model.parameters() if isinstance(model, nn.Module) else ():
        if not torch.compiler.is_compiling() and is_lazy(parameter):       # within torch.func they end the process
            raise ValueError("model: expected layers that know their sizes, got lazy ones; call the model once on some "
                             "points")
        if parameter.dtype != x.dtype and (parameter.is_floating_point() or parameter.is_complex()):
            raise TypeError(f"model: expected parameters of dtype {x.dtype} as the inputs have, got {parameter.dtype}; "
                            "convert one of them with .to(dtype)")
        if parameter.device != x.device:
            raise ValueError(f"model: expected parameters on {x.device} as the inputs are, got {parameter.device}; "
                             "move one of them with .to(device)")


def _check_vector(v: Tensor, like: Tensor, order: int) -> Tensor:
    if v.shape == like.shape:
        return v
    if order == 1 and v.numel() == like.numel() == len(like):  # one output a row: (N,) and (N, 1) mean the same
        return v.reshape(like.shape)
    place = "the model's output" if order == 1 else "the input"
    raise ValueError(f"vectors[{order - 1}]: expected shape {tuple(like.shape)} as {place} has, got {tuple(v.shape)}; "
                     "do the model and its teacher have the same outputs?")


def _warn_about_normalization(model: Model, order: int) -> None:
    for name, module in model.named_modules() if isinstance(model, nn.Module) else ():
        layer = f"{name or 'model'} is a {type(module).__name__}"
        if isinstance(module, BatchNorm) and module.training:
            warnings.warn(f"{layer} in training mode: each output depends on the whole batch, so derivatives mix the "
                          "rows. Use eval() or GroupNorm for per-row derivatives.", stacklevel=3)
            return
        if order >= 2 and isinstance(module, (nn.LayerNorm, InstanceNorm)):
            warnings.warn(f"{layer}: PyTorch's third derivatives of it are wrong, and so are parameter gradients of a "
                          "loss of order 2 (values and derivatives themselves are right). Use GroupNorm or RMSNorm.",
                          stacklevel=3)
            return
