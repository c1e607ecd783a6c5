"""A multilayer perceptron's values and input derivatives, and the gradient of any loss of both, in closed form.

Double backward runs the network four times over: forward, backward to the input, and backward through both. The closed
form needs less. Write z_l = W_l a_(l-1) + b_l, a_l = s(z_l), and take a loss with derivatives r with respect to the
values y and S with respect to the Jacobian J. Three sweeps give everything:

    adjoints   delta_l: derivatives of the outputs with respect to z_l, from the top down; the lowest gives J
    tangents   t_l: derivatives of a_l along the direction S, from the bottom up
    gradients  dL/dW_l = sum over points and outputs of delta_l (r a_(l-1) + t_(l-1))^T

The last line is why values come for free once there are derivatives: both terms share delta. It holds where s is
piecewise linear. A smooth s adds a term with s'', and one sweep more. With fewer inputs than outputs tangents go first.

Shapes: points N, outputs q, inputs d. Every tensor may have leading axes for networks trained side by side.
"""
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sobolev_lib._torch import calls_forward_only, does_more_than_its_class
from sobolev_lib.activations import Activation, PiecewiseLinear, activation_of
from sobolev_lib.models import MLP


@dataclass(frozen=True)
class Layers:
    """What the sweeps need of a multilayer perceptron.

    >>> layers = Layers.of(sobolev_lib.models.MLP(2, 16, 16, 1))
    >>> [tuple(weight.shape) for weight in layers.weights]
    [(16, 2), (16, 16), (1, 16)]

    ``weights`` are (*K, outputs, inputs), ``biases`` (*K, outputs) or None, from the input up; K are leading axes for
    networks side by side. ``activations`` stand between them.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor | None, ...]
    activations: tuple[Activation | PiecewiseLinear, ...]

    @staticmethod
    def of(model: nn.Module) -> "Layers":
        """The layers of ``model``; raises ``ValueError`` saying why where there is no closed form for it."""
        linears, activations = [], []
        if not _is_container(model):
            raise ValueError(f"{type(model).__name__} is not a plain MLP or Sequential")
        for module in _flattened(model):
            expects_linear = len(linears) == len(activations)
            activation = activation_of(module)
            if does_more_than_its_class(module) or (type(module) is not nn.Linear if expects_linear else activation is None):
                wanted = "a Linear layer" if expects_linear else "an activation with a closed form"
                raise ValueError(f"{type(module).__name__} where {wanted} is needed")
            (linears if expects_linear else activations).append(module if expects_linear else activation)
        if len(linears) != len(activations) + 1:
            raise ValueError("the last layer is not a Linear one")
        return Layers(tuple(l.weight for l in linears), tuple(l.bias for l in linears), tuple(activations))

    @property
    def inputs(self) -> int:
        return self.weights[0].shape[-1]

    @property
    def outputs(self) -> int:
        return self.weights[-1].shape[-2]

    @property
    def piecewise_linear(self) -> bool:
        return all(activation.piecewise_linear for activation in self.activations)


class Sweeps:
    """Values and derivatives of a multilayer perceptron at ``x``, and on request the gradient of a loss of both.

    >>> sweeps = Sweeps(Layers.of(sobolev_lib.models.MLP(2, 16, 16, 3)), torch.rand(5, 2))
    >>> sweeps.values.shape, sweeps.derivatives.shape
    (torch.Size([5, 3]), torch.Size([5, 3, 2]))

    ``x`` (*K, N, d). ``values`` (*K, N, q). ``derivatives`` (*K, N, q, d), the Jacobian; or, with ``vectors``
    (*K, P, N, q), the projections J^T v, (*K, P, N, d); or, with ``directions`` (*K, N, k, d), the products J u,
    (*K, N, q, k). The Jacobian is swept from the side that has fewer entries, products from directions if these are fewer.
    With ``derivatives=False`` there are values alone.
    """

    def __init__(self, layers: Layers, x: Tensor, vectors: Tensor | None = None, directions: Tensor | None = None, *,
                 derivatives: bool = True):
        self.layers, self.vectors = layers, vectors
        # few directions are swept themselves; many are multiplied with the Jacobian
        few = directions is not None and directions.shape[-2] < min(layers.inputs, layers.outputs)
        self.swept, self.multiplied = (directions, None) if few else (None, directions)
        weights, biases, activations = layers.weights, layers.biases, layers.activations
        self.inputs, self.before, self.kept = [x], [], []
        for weight, bias, activation in zip(weights, biases, activations):
            z = _affine(self.inputs[-1], weight, bias)
            a = activation.value(z)
            self.kept.append(activation.kept(z, a))
            self.before.append(None if activation.piecewise_linear else z)
            self.inputs.append(a)
        self.values = _affine(self.inputs[-1], weights[-1], biases[-1])
        self.tangents_first = vectors is None and (few or layers.inputs < layers.outputs)
        self.derivatives = self._derivatives() if derivatives else None

    def _derivatives(self) -> Tensor:
        found = self._swept()
        return found if self.multiplied is None else found @ self.multiplied.mT               # (*K, N, q, k)

    def _swept(self) -> Tensor:
        weights, points = self.layers.weights, self.values.shape[-2]
        if self.tangents_first:
            start = _each_row(weights[0].mT, points) if self.swept is None else \
                _times(self.swept.movedim(-2, -3), weights[0].mT)
            self.tangents, columns = self._tangents(start)
            return columns.movedim(-3, -1)                                   # (*K, d, N, q) -> (*K, N, q, d)
        top = _each_row(weights[-1], points) if self.vectors is None else _times(self.vectors, weights[-1])
        self.adjoints, rows = self._adjoints(top)
        return rows if self.vectors is not None else rows.movedim(-3, -2)    # (*K, q, N, d) -> (*K, N, q, d)

    def gradients(self, r: Tensor | None, s: Tensor | None) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """Of a loss with derivatives ``r`` by ``values`` and ``s`` by ``derivatives``: by all weights, by all biases.

        None stands for a loss that does not depend on them, and for a gradient that is zero throughout.
        """
        weights, last = self.layers.weights, len(self.layers.activations)
        if s is not None and self.multiplied is not None:
            s = s @ self.multiplied
        if s is None:
            adjoints, tangents, top, bottom = [], [], None, None
        elif self.tangents_first:
            top, tangents = s.movedim(-1, -3), self.tangents
            bottom = None if self.swept is None else self.swept.movedim(-2, -3)
            adjoints, _ = self._adjoints(_times(top, weights[-1]))
        else:
            top, adjoints = self.vectors, self.adjoints
            bottom = s if self.vectors is not None else s.movedim(-2, -3)
            tangents, _ = self._tangents(_times(bottom, weights[0].mT))
        # of linear layer l: what its output is multiplied by, and what enters it; None for unit vectors
        out, into = [*[delta for _, delta in adjoints], top], [bottom, *[t for _, t in tangents]]
        if r is not None and s is not None and self.vectors is None and not self.tangents_first and \
                self.layers.piecewise_linear:
            return self._shared(r, out, into)
        by_weights, by_biases, u = [None] * (last + 1), [None] * (last + 1), r
        for l in reversed(range(last + 1)):
            terms = [] if s is None else [_outer(out[l], into[l])]
            if u is not None:
                terms.append(u.mT @ self.inputs[l])
                by_biases[l] = u.sum(-2)
            by_weights[l] = sum(terms[1:], terms[0]) if terms else None
            if l > 0:
                activation = self.layers.activations[l - 1]
                u = None if u is None else activation.through(u @ weights[l], self.kept[l - 1])
                if s is not None and not activation.piecewise_linear:
                    curvature = activation.curvature(self.before[l - 1], self.kept[l - 1])
                    bent = _dot(tangents[l - 1][0], adjoints[l - 1][0])
                    u = curvature * bent if u is None else torch.addcmul(u, curvature, bent)
        return by_weights, by_biases

    def _shared(self, r, out, into):
        """Both terms in one product: an adjoint of the values is one of the Jacobian's rows times r."""
        r = r.mT.unsqueeze(-1)                                               # (*K, q, N, 1)
        add = torch.addcmul if torch.is_grad_enabled() else Tensor.addcmul_
        into = [torch.addcmul(into[0], r, self.inputs[0].unsqueeze(-3)),                  # what came from outside stays
                *[add(t, r, a.unsqueeze(-3)) for t, a in zip(into[1:], self.inputs[1:])]]
        by_weights = [_outer(o, i) for o, i in zip(out, into)]
        by_biases = [_weighted(o, r) for o in out[:-1]]
        return by_weights, [*by_biases, r.sum((-2, -1))]

    def _adjoints(self, g: Tensor):
        """From the last hidden layer down: (by a_l, by z_l) for each, and what arrives at the input.

        Where the activation is piecewise linear, only the second of each pair is good for anything.
        """
        found = []
        for l in reversed(range(len(self.kept))):
            delta = self.layers.activations[l].through(g, self.kept[l].unsqueeze(-3))
            found.insert(0, (g, delta))
            g = _times(delta, self.layers.weights[l])
        return found, g

    def _tangents(self, z: Tensor):
        """From the first hidden layer up: (of z_l, of a_l) for each, and what arrives at the output."""
        found = []
        for l in range(len(self.kept)):
            t = self.layers.activations[l].through(z, self.kept[l].unsqueeze(-3))
            found.append((z, t))
            z = _times(t, self.layers.weights[l + 1].mT)
        return found, z


def values_and_derivatives(layers: Layers, x: Tensor, vectors: Tensor | None = None,
                           directions: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """``Sweeps.values`` and ``Sweeps.derivatives`` as tensors that autograd can go back from, by the closed form.

    >>> model = sobolev_lib.models.MLP(2, 16, 1)
    >>> y, jacobian = values_and_derivatives(Layers.of(model), torch.rand(5, 2))
    >>> (y.square().sum() + jacobian.square().sum()).backward()
    """
    return _ValuesAndDerivatives.apply(layers.activations, x, vectors, directions, *layers.weights, *layers.biases)


@torch.no_grad()
def backward(layers: Layers, x: Tensor, slopes: Callable[[tuple[Tensor, Tensor]], Sequence[Tensor | None]],
             directions: Tensor | None = None) -> None:
    """Add to the layers' ``grad`` that of a loss whose gradient by values and by derivatives is ``slopes((values, derivatives))``.

    >>> model = sobolev_lib.models.MLP(2, 16, 1)                           # for values^2 / 2 + derivatives^2 / 2:
    >>> backward(Layers.of(model), torch.rand(5, 2), lambda found: found)
    >>> model[0].weight.grad.shape
    torch.Size([16, 2])

    The same numbers as by way of ``values_and_derivatives``, without a graph of the network, which takes its time on small
    batches. Hooks on parameters are not called.
    """
    sweeps = Sweeps(layers, x, directions=directions)
    found = _by_parameters(sweeps, layers, *slopes((sweeps.values, sweeps.derivatives)))
    for parameter, slope in zip([*layers.weights, *layers.biases], found):
        if slope is not None and parameter.requires_grad:
            slope = slope.to(parameter.dtype)              # under autocast it is in less than that
            parameter.grad = slope.contiguous() if parameter.grad is None else parameter.grad + slope


class _ValuesAndDerivatives(torch.autograd.Function):
    @staticmethod
    def forward(ctx, activations, x, vectors, directions, *parameters):
        ctx.set_materialize_grads(False)
        # so that autograd notices if somebody changes them meanwhile
        ctx.save_for_backward(x, vectors, directions, *parameters)
        ctx.activations, ctx.cast = activations, _autocast(x)
        ctx.sweeps = sweeps = Sweeps(_layers(activations, parameters), x, vectors, directions)
        outputs = sweeps.values, sweeps.derivatives
        del sweeps.values, sweeps.derivatives              # they would hold ctx, which holds the sweeps: a ring in memory
        return outputs

    @staticmethod
    def backward(ctx, r, s):
        x, vectors, directions, *parameters = ctx.saved_tensors
        sweeps, layers = ctx.sweeps, _layers(ctx.activations, parameters)
        with torch.autocast(x.device.type, **ctx.cast) if ctx.cast["enabled"] else nullcontext():
            if torch.is_grad_enabled():                    # someone wants to go further back: let autograd see it all
                sweeps = Sweeps(layers, x, vectors, directions)
            return None, None, None, None, *_by_parameters(sweeps, layers, r, s)


def _by_parameters(sweeps: Sweeps, layers: Layers, r: Tensor | None, s: Tensor | None) -> list[Tensor | None]:
    """The gradients by weights, then by biases, with None and zeros where autograd has them."""
    by_weights, by_biases = sweeps.gradients(r, s)
    if s is not None:                                      # zero, where the last bias has no part at all
        by_biases[:-1] = [torch.zeros_like(bias) if slope is None and bias is not None else slope
                          for slope, bias in zip(by_biases[:-1], layers.biases)]
    return [None if parameter is None else slope
            for parameter, slope in zip([*layers.weights, *layers.biases], [*by_weights, *by_biases])]


def _layers(activations, parameters) -> Layers:
    count = len(activations) + 1
    return Layers(tuple(parameters[:count]), tuple(parameters[count:]), activations)


def _autocast(x: Tensor) -> dict:
    kind = x.device.type
    return {"enabled": torch.is_autocast_enabled(kind), "dtype": torch.get_autocast_dtype(kind)}


def _affine(a: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if a.ndim == 2:
        return F.linear(a, weight, bias)
    return a @ weight.mT if bias is None else torch.baddbmm(bias.unsqueeze(-2), a, weight.mT)


def _times(t: Tensor, weight: Tensor) -> Tensor:
    """(*K, P, N, h) times (*K, h, h')."""
    if weight.ndim == 2:
        return t @ weight
    return (t.flatten(-3, -2) @ weight).view(*t.shape[:-1], weight.shape[-1])


def _each_row(weight: Tensor, points: int) -> Tensor:
    """(*K, P, h) to (*K, P, N, h): what unit vectors make of a weight matrix, at every point."""
    row = weight.unsqueeze(-2)
    # activations write over what they are given, unless its strides tell that it is a row expanded; of one point they don't
    return row.clone() if points == 1 else row.expand(*weight.shape[:-1], points, weight.shape[-1])


def _outer(out: Tensor | None, into: Tensor | None) -> Tensor:
    """Sum over points and vectors of out into^T; None stands for the unit vectors."""
    if out is None:
        return into.sum(-2)
    if into is None:
        return out.sum(-2).mT
    return out.flatten(-3, -2).mT @ into.flatten(-3, -2)


def _dot(t: Tensor, g: Tensor) -> Tensor:
    """Sum over vectors of t times g, both (*K, P, N, h); a sum of one would be a copy."""
    product = t * g
    return product.squeeze(-3) if product.shape[-3] == 1 else product.sum(-3)


def _weighted(out: Tensor, r: Tensor) -> Tensor:
    """Sum over points and vectors of out (*K, P, N, h), times r (*K, P, N, 1)."""
    out = out.flatten(-3, -2).mT
    if out.ndim == 2:
        return out @ r.flatten()
    return (out @ r.flatten(-3, -2)).squeeze(-1)


def _is_container(module: nn.Module) -> bool:
    kind = type(module)
    return (getattr(kind, "forward", None) in (MLP.forward, nn.Sequential.forward) and not does_more_than_its_class(module)
            and calls_forward_only(kind) and kind.__iter__ is nn.Sequential.__iter__)


def _flattened(model: nn.Sequential):
    """Layers in order, those of containers within containers too."""
    for module in model:
        yield from _flattened(module) if _is_container(module) else [module]
