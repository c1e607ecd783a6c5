"""Activation functions with the derivatives that closed forms need."""
import math
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Activation:
    """A smooth activation function with what the sweeps need of it.

    >>> tanh = activation_of(torch.nn.Tanh())
    >>> z = torch.tensor([0.0, 1.0])
    >>> tanh.slope(z, tanh.value(z))
    tensor([1.0000, 0.4200])

    ``slope(z, a)`` and ``curvature(z, a, slope)`` are the first and second derivative at z, given the value a there.
    """

    piecewise_linear = False

    def __init__(self, value: Callable[[Tensor], Tensor], slope: Callable[[Tensor, Tensor], Tensor],
                 curvature: Callable[[Tensor, Tensor, Tensor], Tensor]):
        self.value, self.slope, self.curvature = value, slope, curvature

    def kept(self, z: Tensor, a: Tensor) -> Tensor:
        """What ``through`` needs to know."""
        return self.slope(z, a)

    def through(self, t: Tensor, kept: Tensor) -> Tensor:
        """``t`` times the slope; with a smooth activation the sweeps still need ``t`` itself."""
        return t * kept


class PiecewiseLinear:
    """ReLU and leaky ReLU: slope 1 above zero, ``below`` elsewhere, as PyTorch has it at zero itself.

    >>> PiecewiseLinear(0.1).through(torch.ones(3), torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0.1000, 0.1000, 1.0000])

    Outside autograd both methods write over what they get: fresh memory costs more than the arithmetic.
    """

    piecewise_linear = True

    def __init__(self, below: float):
        self.below = below

    def value(self, z: Tensor) -> Tensor:
        return F.leaky_relu(z, self.below, inplace=not torch.is_grad_enabled())

    def kept(self, z: Tensor, a: Tensor) -> Tensor:
        return a

    def through(self, t: Tensor, kept: Tensor) -> Tensor:
        # the sign of a is that of z, so it tells the slope; a row expanded over all points can't be written over
        if torch.is_grad_enabled() or 0 in t.stride():
            return torch.ops.aten.leaky_relu_backward(t, kept, self.below, True)
        return torch.ops.aten.leaky_relu_backward.grad_input(t, kept, self.below, True, grad_input=t)


def activation_of(module: nn.Module) -> Activation | PiecewiseLinear | None:
    """What ``module`` computes, or None if there is no closed form for it here.

    >>> activation_of(torch.nn.Mish()) is None
    True
    """
    make = _ACTIVATIONS.get(type(module))
    return None if make is None else make(module)


def _elu(alpha: float) -> Activation:
    slope = lambda z, a: torch.where(z > 0, 1.0, alpha * z.clamp_max(0.0).exp())
    return Activation(lambda z: F.elu(z, alpha), slope, lambda z, a, s: torch.where(z < 0, s, 0.0))


def _softplus(beta: float, threshold: float) -> Activation:
    # PyTorch switches to the identity above the threshold, and so do the derivatives
    slope = lambda z, a: torch.where(beta * z > threshold, 1.0, torch.sigmoid(beta * z))
    return Activation(lambda z: F.softplus(z, beta, threshold), slope, lambda z, a, s: beta * s * (1 - s))


def _gelu() -> Activation:
    density = lambda z: torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return Activation(F.gelu, lambda z, a: 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * density(z),
                      lambda z, a, s: (2 - z * z) * density(z))


def _silu() -> Activation:
    def curvature(z, a, s):
        p = torch.sigmoid(z)
        return p * (1 - p) * (2 + z * (1 - 2 * p))

    def slope(z, a):
        p = torch.sigmoid(z)
        return p * (1 + z * (1 - p))

    return Activation(F.silu, slope, curvature)


_ACTIVATIONS: dict[type, Callable[[nn.Module], Activation | PiecewiseLinear | None]] = {
    nn.ReLU: lambda module: PiecewiseLinear(0.0),
    # a falling branch would hide the sign of z
    nn.LeakyReLU: lambda module: PiecewiseLinear(module.negative_slope) if module.negative_slope >= 0 else None,
    nn.Tanh: lambda module: Activation(torch.tanh, lambda z, a: 1 - a * a, lambda z, a, s: -2 * a * s),
    nn.Sigmoid: lambda module: Activation(torch.sigmoid, lambda z, a: a * (1 - a), lambda z, a, s: s * (1 - 2 * a)),
    nn.Softplus: lambda module: _softplus(module.beta, module.threshold),
    nn.GELU: lambda module: _gelu() if module.approximate == "none" else None,
    nn.SiLU: lambda module: _silu(),
    nn.ELU: lambda module: _elu(module.alpha),
}
