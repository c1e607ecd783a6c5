"""Derivatives along directions, against whole ones by double backward, row by row."""
import pytest
import reference
import torch
from old_style import Cube
from torch import nn

import sobolev_lib as sl
from sobolev_lib.closed_form import Layers, values_and_derivatives
from sobolev_lib.products import value_and_products

DOUBLE = torch.float64
SIZES = [(3, 1, 1), (3, 1, 5), (4, 5, 2), (2, 5, 1), (2, 5, 3), (6, 5, 7), (1, 1, 1), (5, 4, 4)]       # d, m, k


def points(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


class Untraceable(nn.Module):
    """Goes through an autograd function of the old style, which torch.func refuses."""

    def __init__(self, d, m):
        super().__init__()
        self.linear = nn.Linear(d, m).to(DOUBLE)

    def forward(self, x):
        return Cube.apply(self.linear(x))


def model_of(kind, d, m):
    if kind == "untraceable":
        return Untraceable(d, m)
    net = sl.models.MLP(d, 8, 7, m, activation=kind.split()[0], generator=torch.Generator().manual_seed(1)).to(DOUBLE)
    return nn.Sequential(net, nn.Mish()) if kind.endswith("open") else net


def expected_of(model, x, directions, order):
    """Whole derivatives, the highest multiplied with each direction in a loop."""
    *lower, highest = reference.derivatives(model, x, order)
    n, k = directions.shape[:2]
    table = highest.reshape(n, lower[0][0].numel(), x[0].numel(), -1)
    columns = [sum(table[:, :, i] * directions[:, j].reshape(n, -1)[:, i, None, None] for i in range(table.shape[2]))
               for j in range(k)]
    shape = (*lower[0].shape, k, *x.shape[1:] * (order - 1))
    return [*lower, torch.stack(columns, 2).reshape(shape)]


@pytest.mark.parametrize("kind", ["relu", "tanh", "silu", "tanh open", "untraceable"])
@pytest.mark.parametrize("size, order", [*[(size, 1) for size in SIZES], *[(size, 2) for size in SIZES[:5]], ((2, 2, 1), 3)],
                         ids=str)
def test_they_are_the_whole_derivatives_times_the_directions(size, order, kind):
    d, m, k = size
    model, x, u = model_of(kind, d, m), points(4, d), points(4, k, d, seed=2)
    found, expected = value_and_products(model, x, u, order), expected_of(model, x, u, order)
    assert found[-1].shape == (4, m, k, *[d] * (order - 1))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    weights = [points(*each.shape, seed=3) for each in found]
    slopes = [reference.gradients(sum((w * each).sum() for w, each in zip(weights, results)), model)
              for results in (found, expected)]
    torch.testing.assert_close(*slopes)


def test_inputs_and_outputs_of_several_axes_and_of_none():
    x, u = points(3, 2, 2), points(3, 4, 2, 2, seed=1)
    model = lambda x: torch.stack([x.square().sum((1, 2)), x.prod(2).prod(1)], 1).unsqueeze(2)
    y, slopes = value_and_products(model, x, u)
    whole = sl.value_and_derivatives(model, x)[1]
    assert y.shape == (3, 2, 1) and slopes.shape == (3, 2, 1, 4)
    torch.testing.assert_close(slopes, torch.einsum("nmoij,nkij->nmok", whole, u))
    x, u = points(3), points(3, 2, seed=1)                 # one number in, one number out
    torch.testing.assert_close(value_and_products(torch.sin, x, u)[1], x.cos()[:, None] * u)
    torch.testing.assert_close(value_and_products(torch.sin, x, u, order=2)[2], -x.sin()[:, None] * u)


def test_a_product_is_the_difference_along_the_direction():
    model, x, u = model_of("tanh", 3, 2), points(5, 3), points(5, 1, 3, seed=4)
    _, jacobian, products = value_and_products(model, x, u, order=2)
    ends = [sl.value_and_derivatives(model, x + sign * 1e-5 * u[:, 0]) for sign in (1, -1)]
    for order, ours in ((0, value_and_products(model, x, u)[1]), (1, products)):
        torch.testing.assert_close(ours[:, :, 0], (ends[0][order] - ends[1][order]) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("k", [1, 4])
def test_the_closed_form_can_be_differentiated_twice(k):
    """Someone who wants gradients of gradients of a loss of products."""
    net, x, u = model_of("tanh", 3, 4), points(4, 3), points(4, k, 3, seed=2)
    closed = values_and_derivatives(Layers.of(net), x, directions=u)
    func = value_and_products(nn.Sequential(net, nn.Identity()), x, u)      # no closed form
    found = []
    for y, slopes in (closed, func):
        first = torch.autograd.grad(slopes.square().sum() + y.sum(), list(net.parameters()), create_graph=True)
        found.append(reference.gradients(sum(each.square().sum() for each in first), net))
    torch.testing.assert_close(*found)


def test_a_linear_model_has_no_second_products():
    *_, products = value_and_products(lambda x: x @ torch.ones(3, 2, dtype=DOUBLE), points(4, 3), points(4, 1, 3), order=2)
    assert products.shape == (4, 2, 1, 3) and not products.any()


def test_one_sweep_a_direction():
    """With few directions no Jacobian is formed: of 40 outputs by 30 inputs at 5 points."""
    class Counts(torch.utils._python_dispatch.TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, function, types, arguments=(), settings=None):
            result = function(*arguments, **(settings or {}))
            if isinstance(result, torch.Tensor) and not result._is_view():
                self.largest = max(self.largest, result.numel())
            return result

    net = sl.models.MLP(30, 8, 40).to(DOUBLE)
    with Counts() as counts:
        value_and_products(net, points(500, 30), points(500, 1, 30))
    assert counts.largest == 500 * 40


@pytest.mark.parametrize("call, error, message", [
    (lambda m, x: value_and_products(m, x, points(5, 3)), ValueError, r"directions: expected shape \(5, k, 3\)"),
    (lambda m, x: value_and_products(m, x, points(4, 1, 3)), ValueError, r"got \(4, 1, 3\)"),
    (lambda m, x: value_and_products(m, x, points(5, 1, 2)), ValueError, r"got \(5, 1, 2\)"),
    (lambda m, x: value_and_products(m, x, points(5, 0, 3)), ValueError, "k >= 1"),
    (lambda m, x: value_and_products(m, x, points(5, 1, 3).float()), TypeError, "expected torch.float64"),
    (lambda m, x: value_and_products(m, x, [[1.0]]), TypeError, "expected a tensor"),
    (lambda m, x: value_and_products(m, x, points(5, 1, 3), order=0), ValueError, "order"),
    (lambda m, x: value_and_products(lambda x: x.detach() * 2, x, points(5, 1, 3)), ValueError, "depends on the input"),
    (lambda m, x: value_and_products(lambda x: x.detach() * 2, x, points(5, 1, 3), 2), ValueError, "depends on the input"),
])
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(model_of("relu", 3, 2), points(5, 3))
