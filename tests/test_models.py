"""MLP: its layers, its initialisation, repeatability."""
import math

import pytest
import reference
import torch
from torch import nn

import sobolev_lib as sl
from sobolev_lib.models import ACTIVATIONS, MLP


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_the_networks_of_the_paper():
    model = MLP(2, 256, 256, 1)
    assert [type(layer) for layer in model] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert sum(p.numel() for p in model.parameters()) == 2 * 256 + 256 + 256 * 256 + 256 + 256 + 1
    assert model(torch.rand(10, 2)).shape == (10, 1)


def test_it_computes_what_its_layers_say():
    model = MLP(3, 4, 2, activation="tanh")
    x = torch.rand(5, 3)
    hidden = torch.tanh(x @ model[0].weight.T + model[0].bias)
    torch.testing.assert_close(model(x), hidden @ model[2].weight.T + model[2].bias)
    assert model(x[0]).shape == (2,) and model(torch.rand(2, 5, 3)).shape == (2, 5, 2)
    assert len(MLP(3, 2)) == 1  # no hidden layer: a linear map


@pytest.mark.parametrize("name, f", [
    ("relu", lambda t: t.clamp_min(0)), ("leaky_relu", lambda t: torch.where(t > 0, t, 0.01 * t)), ("tanh", torch.tanh),
    ("softplus", lambda t: torch.log1p(t.exp())), ("gelu", lambda t: t * 0.5 * (1 + torch.erf(t / math.sqrt(2)))),
    ("silu", lambda t: t / (1 + (-t).exp())), ("elu", lambda t: torch.where(t > 0, t, t.exp() - 1)),
    ("sigmoid", lambda t: 1 / (1 + (-t).exp())), ("sine", torch.sin),
])
def test_activations(name, f):
    model, x = MLP(2, 6, 1, activation=name, dtype=torch.float64), torch.randn(20, 2, dtype=torch.float64)
    torch.testing.assert_close(model(x), model[2](f(model[0](x))))
    assert model.activation == name


def test_every_activation_is_tested():
    assert set(ACTIVATIONS) == {"relu", "leaky_relu", "tanh", "softplus", "gelu", "silu", "elu", "sigmoid", "sine"}


@pytest.mark.parametrize("activation", ["tanh", "softplus", "gelu", "silu", "elu", "sigmoid", "sine"])
def test_smooth_activations_carry_second_order(activation):
    model, x = MLP(2, 6, 1, activation=activation, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    hessian = sl.value_and_derivatives(model, x, 2)[2]
    assert hessian.abs().max() > 1e-3
    torch.testing.assert_close(hessian, reference.derivatives(model, x, 2)[2])


def test_the_initial_weights_have_the_variance_that_the_docstring_says():
    model = MLP(2, 400, 400, 400, generator=seeded(0))
    first, second, last = [layer for layer in model if isinstance(layer, nn.Linear)]
    for layer, variance in ((first, 1.0), (second, 2 / 400), (last, 1 / 400)):
        n = layer.weight.numel()
        assert abs(layer.weight.var() / variance - 1) < 5 * math.sqrt(2 / n)
        assert abs(layer.weight.mean()) < 5 * math.sqrt(variance / n)
    assert (second.bias == 0).all() and (last.bias == 0).all()
    offsets = (first.bias / first.weight.norm(dim=1)).detach()
    assert offsets.abs().max() <= math.sqrt(3) * (1 + 1e-6)
    assert abs(offsets.var() - 1) < 5 * math.sqrt(0.8 / 400) and abs(offsets.mean()) < 5 / math.sqrt(400)


def test_signals_keep_their_size_in_depth():
    x = torch.randn(500, 10, generator=seeded(1))
    y = MLP(10, 200, 200, 200, 200, 1000, generator=seeded(0))(x)
    assert 0.2 < y.detach().square().mean() < 5


def test_a_generator_makes_weights_repeatable_in_any_dtype():
    a, b, other = [MLP(2, 8, 1, generator=seeded(seed)) for seed in (0, 0, 1)]
    for p, q in zip(a.parameters(), b.parameters()):
        assert torch.equal(p, q)
    assert not torch.equal(a[0].weight, other[0].weight)
    double = MLP(2, 8, 1, generator=seeded(0), dtype=torch.float64)
    assert double[0].weight.dtype == torch.float64
    for p, q in zip(a.parameters(), double.parameters()):
        torch.testing.assert_close(p.double(), q, rtol=1e-6, atol=1e-7)
    a.reset_parameters(seeded(1))
    assert torch.equal(a[0].weight, other[0].weight)


def test_two_networks_without_a_generator_differ():
    assert not torch.equal(MLP(2, 8, 1)[0].weight, MLP(2, 8, 1)[0].weight)


def test_state_can_be_saved_and_loaded():
    a, b = MLP(2, 8, 1), MLP(2, 8, 1)
    b.load_state_dict(a.state_dict())
    x = torch.rand(4, 2)
    assert torch.equal(a(x), b(x))
