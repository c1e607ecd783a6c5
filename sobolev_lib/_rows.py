"""How derivatives are taken, row by row: what ``derivatives`` and ``products`` have in common, and the checks before it.

Everything is written with ``torch.func``, so it can be differentiated, ``vmap``-ped and compiled. Modules that
``torch.func`` can't trace (custom autograd functions of the old style, in-place buffers) go through
``torch.autograd.grad`` instead, with the same result. So do plain multilayer perceptrons through their closed form, which
is quicker.
"""
import math
import weakref
from contextlib import nullcontext
from typing import Callable

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sobolev_lib._torch import BatchNorm, InstanceNorm, in_transform, level
from sobolev_lib._warnings import warn_outside
from sobolev_lib.closed_form import Layers

Model = Callable[[Tensor], Tensor]
INDEPENDENT = ("model: expected an output that depends on the input, got one that does not; its derivatives are "
               "zero everywhere (does it detach, or run under torch.no_grad?)")

_untraceable: "weakref.WeakSet[Model]" = weakref.WeakSet()  # models that torch.func has already refused


def check_input(model: Model, x: Tensor) -> None:
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


def check_output(y: Tensor, x: Tensor) -> Tensor:
    """``y`` itself, once it is known to be a tensor with one row per input row."""
    if not isinstance(y, Tensor):
        raise TypeError(f"model: expected it to return a tensor, got {type(y).__name__}")
    if y.ndim == 0 or y.shape[0] != x.shape[0]:
        raise ValueError(f"model: expected one output row per input row, shape ({x.shape[0]}, ...), "
                         f"got {tuple(y.shape)}")
    if y.is_complex():
        raise TypeError(f"model: expected it to return real numbers, got {y.dtype}, of which only the real part would be "
                        "differentiated; return torch.view_as_real(output)")
    return y


def asked(model: Model, x: Tensor) -> Tensor:
    """The model's values at x, checked; it gets a copy, since it may work in place."""
    return check_output(model(x.clone()), x)


def is_concrete(tensor: Tensor) -> bool:
    """True outside ``torch.compile`` and ``torch.func`` transforms: only then may Python look at numbers."""
    return not torch.compiler.is_compiling() and level(tensor) == -1


def warn_about_normalization(model: Model, order: int) -> None:
    for name, module in model.named_modules() if isinstance(model, nn.Module) else ():
        layer = f"{name or 'model'} is a {type(module).__name__}"
        if isinstance(module, BatchNorm) and module.training:
            warn_outside(f"{layer} in training mode: each output depends on the whole batch, so derivatives mix the rows. Use "
                         "eval() or GroupNorm for per-row derivatives.")
            return
        if order >= 2 and isinstance(module, (nn.LayerNorm, InstanceNorm)):
            warn_outside(f"{layer}: PyTorch's third derivatives of it are wrong, and so are parameter gradients of a loss of "
                         "order 2 (values and derivatives themselves are right). Use GroupNorm or RMSNorm.")
            return


# --- choosing between the three -----------------------------------------------------------------------------------

def closed_form(model: Model, x: Tensor, order: int) -> tuple[Layers | None, str]:
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


def traced_or_not(model: Model, traced: Callable, not_traced: Callable) -> tuple[Tensor, ...]:
    if not torch.compiler.is_compiling() and _is_known_untraceable(model):    # compiled code would be tied to that set
        return not_traced()
    try:
        # once TorchScript has optimised a function it loses derivatives under torch.func, without an error
        with nullcontext() if torch.compiler.is_compiling() else torch.jit.optimized_execution(False):
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


# --- torch.func ---------------------------------------------------------------------------------------------------

def derivatives_func(model: Model, x: Tensor, order: int) -> tuple[Tensor, ...]:
    highest, lower = nested(model, x, order)(x)
    return (*lower, highest)


def nested(model: Model, x: Tensor, order: int):
    """The function x -> (derivative of that order, all lower ones); it treats rows independently, like the model."""
    if order == 0:
        return lambda x: (asked(model, x), ())
    return derivative_of(nested(model, x, order - 1), order)


def derivative_of(below: Callable, order: int) -> Callable:
    """From a function x -> (derivative of order ``order - 1``, lower ones) to that of the next order."""
    def derivative(x):
        y, pull, lower = torch.func.vjp(depending_on_input(below, order), x, has_aux=True)
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


def variable(x: Tensor) -> Tensor:
    """What to differentiate by, in place of x, for ``torch.autograd.grad``; gradients by x itself go through it."""
    return x.view_as(x) if x.requires_grad else x.detach().requires_grad_()


def _basis(like: Tensor) -> Tensor:
    """The unit vectors of one row, repeated for all rows: (k, *like.shape) for rows of k entries."""
    row = like.shape[1:]
    eye = torch.eye(math.prod(row), dtype=like.dtype, device=like.device).reshape(-1, 1, *row)
    return eye.expand(-1, *like.shape)


def depending_on_input(function, order: int):
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


# --- torch.autograd.grad ------------------------------------------------------------------------------------------

def differentiated(y: Tensor, x: Tensor, order: int) -> Tensor:
    """The derivative (N, ..., *in) by x of what was made from it, y (N, ...), a derivative of order ``order - 1``."""
    flat = y.flatten(1) if y.ndim > 1 else y.unsqueeze(1)
    columns = [grad(flat[:, k].sum(), x, None, order) for k in range(flat.shape[1])]
    return torch.stack(columns, dim=1).reshape(*y.shape, *x.shape[1:])


def grad(y: Tensor, x: Tensor, v: Tensor | None, order: int) -> Tensor:
    if not y.requires_grad:
        grad = None
    else:
        grad, = torch.autograd.grad(y, x, v, create_graph=True, allow_unused=True)
    if grad is None and order == 1:
        raise ValueError(INDEPENDENT)
    return torch.zeros_like(x) if grad is None else grad  # a linear model's second derivative is truly zero
