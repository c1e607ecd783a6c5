"""Activation functions with the derivatives that closed forms need."""
import math
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sobolev_lib import _torch


class Activation:
    """A smooth activation function with what the sweeps need of it.

    >>> tanh = activation_of(torch.nn.Tanh())
    >>> z = torch.tensor([0.0, 1.0])
    >>> tanh.through(torch.ones(2), tanh.kept(z, tanh.value(z)))
    tensor([1.0000, 0.4200])

    ``through(t, kept)`` is ``t`` times the slope, where possible by the one operation that PyTorch's own backward pass has
    for it; ``kept(z, a)`` is what it wants to know: the argument z, the value a, or the slope. ``curvature(z, kept)`` is
    the second derivative.
    """

    piecewise_linear = False

    def __init__(self, value: Callable[[Tensor], Tensor], through: Callable[[Tensor, Tensor], Tensor],
                 curvature: Callable[[Tensor, Tensor], Tensor], kept: Callable[[Tensor, Tensor], Tensor] = lambda z, a: z):
        self.value, self.through, self.curvature, self.kept = value, through, curvature, kept


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
            return _torch.leaky_relu_backward(t, kept, self.below, True)
        return _torch.leaky_relu_backward_in_place(t, kept, self.below)


class Sine(nn.Module):
    """The sine as an activation, for networks of waves; PyTorch has none.

    >>> Sine()(torch.tensor([0.0, math.pi / 2]))
    tensor([0., 1.])
    """

    def forward(self, z: Tensor) -> Tensor:
        return z.sin()


def activation_of(module: nn.Module) -> Activation | PiecewiseLinear | None:
    """What ``module`` computes, or None if there is no closed form for it here.

    >>> activation_of(torch.nn.Mish()) is None
    True
    """
    make = _ACTIVATIONS.get(type(module))
    return None if make is None else make(module)


def _tanh() -> Activation:
    return Activation(torch.tanh, _torch.tanh_backward, lambda z, a: _torch.tanh_backward(-2 * a, a), kept=lambda z, a: a)


def _sigmoid() -> Activation:
    return Activation(torch.sigmoid, _torch.sigmoid_backward, lambda z, a: _torch.sigmoid_backward(1 - 2 * a, a),
                      kept=lambda z, a: a)


def _elu(alpha: float) -> Activation:
    return Activation(lambda z: F.elu(z, alpha), lambda t, z: _torch.elu_backward(t, alpha, 1, 1, False, z),
                      lambda z, _: torch.where(z < 0, alpha * z.clamp_max(0.0).exp(), 0.0))


def _softplus(beta: float, threshold: float) -> Activation:
    # PyTorch switches to the identity above the threshold: there the slope is 1 exactly, and the curvature 0
    return Activation(lambda z: F.softplus(z, beta, threshold), torch.mul,
                      lambda z, slope: beta * torch.addcmul(slope, slope, slope, value=-1),
                      kept=lambda z, a: _torch.softplus_backward(torch.ones_like(z), z, beta, threshold))


def _gelu() -> Activation:
    root = math.log(2 * math.pi) / 2
    density = lambda z: torch.exp(-root - z * z / 2)
    return Activation(F.gelu, torch.mul, lambda z, _: (2 - z * z) * density(z),
                      kept=lambda z, a: _torch.gelu_backward(torch.ones_like(z), z))


def _silu() -> Activation:
    def curvature(z, _):
        p = torch.sigmoid(z)
        return p * (1 - p) * (2 + z * (1 - 2 * p))

    def through(t, z):
        if not torch.is_grad_enabled():
            return _torch.silu_backward(t, z)
        p = torch.sigmoid(z)                               # PyTorch has no derivative of its own backward pass
        return t * (p * (1 + z * (1 - p)))

    return Activation(F.silu, through, curvature)


def _sine() -> Activation:
    return Activation(torch.sin, torch.mul, lambda z, slope: -z.sin(), kept=lambda z, a: z.cos())


_ACTIVATIONS: dict[type, Callable[[nn.Module], Activation | PiecewiseLinear | None]] = {
    nn.ReLU: lambda module: PiecewiseLinear(0.0),
    # a falling branch would hide the sign of z
    nn.LeakyReLU: lambda module: PiecewiseLinear(module.negative_slope) if module.negative_slope >= 0 else None,
    nn.Tanh: lambda module: _tanh(),
    nn.Sigmoid: lambda module: _sigmoid(),
    nn.Softplus: lambda module: _softplus(module.beta, module.threshold),
    nn.GELU: lambda module: _gelu() if module.approximate == "none" else None,
    nn.SiLU: lambda module: _silu(),
    nn.ELU: lambda module: _elu(module.alpha),
    Sine: lambda module: _sine(),
}
