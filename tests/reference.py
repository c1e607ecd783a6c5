"""Slow, plain references for the tests: double backward row by row and entry by entry, and sums written as loops.

Nothing here uses ``sobolev_lib`` or ``torch.func``, so that a mistake in the library can't hide in its own reference.
"""
import math

import torch

ELEMENTWISE = {
    "mse": lambda e: e * e,
    "l1": lambda e: e.abs(),
    "huber": lambda e: torch.where(e.abs() <= 1, 0.5 * e * e, e.abs() - 0.5),
}


def derivatives(model, x, order):
    """[values, jacobian, ...] of ``model``, one ``torch.autograd.grad`` per row and entry; keeps the graph."""
    rows = [_row(model, x[i:i + 1], order) for i in range(len(x))]
    return [torch.stack(tensors) for tensors in zip(*rows)]


def _row(model, row, order):
    row = row.detach().clone().requires_grad_()
    results = [model(row)[0]]
    for _ in range(order):
        entries = []
        for entry in results[-1].flatten():
            gradient = None
            if entry.requires_grad:
                gradient, = torch.autograd.grad(entry, row, create_graph=True, allow_unused=True)
            entries.append(torch.zeros_like(row)[0] if gradient is None else gradient[0])
        results.append(torch.stack(entries).reshape(*results[-1].shape, *row.shape[1:]))
    return results


def loss(model, inputs, labels, weights=None, elementwise=None):
    """Equation 1: over orders and points, the sum over the entries that have a label; mean over points."""
    order = len(labels) - 1
    weights = weights or [1.0] * (order + 1)
    elementwise = elementwise or ["mse"] * (order + 1)
    total = 0.0
    for weight, name, predicted, label in zip(weights, elementwise, derivatives(model, inputs, order), labels):
        for p, l in zip(predicted.reshape(len(inputs), -1), label.reshape(len(inputs), -1)):
            present = [k for k in range(len(l)) if not math.isnan(l[k])]
            if present:
                total = total + weight * ELEMENTWISE[name](p[present] - l[present]).sum() / len(inputs)
    return total


def gradients(value, model):
    """d value / d parameters as one flat vector; zero for parameters that take no part."""
    parameters = list(model.parameters())
    grads = torch.autograd.grad(value, parameters, allow_unused=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(parameters, grads)])


def directional_differences(value, model, directions, step=1e-6):
    """Central differences of ``value()`` along directions (k, parameters) of the parameters."""
    parameters = list(model.parameters())
    start = torch.nn.utils.parameters_to_vector(parameters).detach().clone()
    slopes = []
    for direction in directions:
        ends = []
        for sign in (1, -1):
            torch.nn.utils.vector_to_parameters(start + sign * step * direction, parameters)
            ends.append(float(value().detach()))
        slopes.append((ends[0] - ends[1]) / (2 * step))
    torch.nn.utils.vector_to_parameters(start, parameters)
    return start.new_tensor(slopes)


def relative_error(actual, expected):
    """Largest difference over the largest entry, so that entries near zero do not decide."""
    return float((actual - expected).detach().abs().max() / expected.detach().abs().max())
