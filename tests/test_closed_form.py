"""The closed form against double backward written out in the slow reference, and the choice between the two ways."""
import copy
import re

import pytest
import reference
import torch
from torch import nn

import sobolev_lib as sl
from sobolev_lib import derivatives
from sobolev_lib.activations import Sine, activation_of
from sobolev_lib.closed_form import Layers, Sweeps
from sobolev_lib.derivatives import path_of, value_and_derivatives, value_and_projections
from sobolev_lib.fast import backward_of
from sobolev_lib.models import MLP

DOUBLE = torch.float64
MODULES = [nn.ReLU(), nn.LeakyReLU(0.2), nn.Tanh(), nn.Sigmoid(), Sine(), nn.Softplus(2.0, threshold=3.0), nn.Softplus(), nn.GELU(),
           nn.SiLU(), nn.ELU(0.7)]
SIZES = [(2, 1), (1, 3), (2, 7, 1), (3, 7, 6, 1), (2, 5, 5, 5, 4), (5, 6, 6, 3), (3, 4, 4, 3), (1, 4, 1)]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def network(sizes, activation=nn.Tanh(), dtype=DOUBLE, bias=True):
    """A Sequential whose biases are not zero."""
    generator, layers = seeded(0), []
    for fan_in, fan_out in zip(sizes, sizes[1:]):
        linear = nn.Linear(fan_in, fan_out, bias=bias, dtype=dtype)
        for parameter in linear.parameters():
            parameter.data.copy_(0.8 * torch.randn(parameter.shape, generator=generator))
        layers += [linear, copy.deepcopy(activation)]
    return nn.Sequential(*layers[:-1])


def points(n, d, dtype=DOUBLE):
    return 2 * torch.randn(n, d, generator=seeded(1), dtype=dtype)


def some_loss(y, derivative, use="both"):
    """Neither symmetric nor quadratic: every entry pulls with another force."""
    weight, other = [torch.arange(1.0, t.numel() + 1, dtype=t.dtype, device=t.device).reshape(t.shape)
                     for t in (derivative, y)]
    values = (y.sin() * other.cos()).sum()
    slopes = (weight.sin() * (derivative + 0.1 * derivative ** 3)).sum()
    return {"both": values + slopes, "values": values, "derivatives": slopes}[use]


@pytest.mark.parametrize("activation", MODULES, ids=str)
def test_slopes_and_curvatures_are_those_of_the_activation(activation, device):
    closed = activation_of(activation)
    z = torch.tensor([-30.0, -3.0, -0.4, -1e-9, 0.0, 1e-9, 0.3, 1.4, 1.6, 25.0], dtype=DOUBLE, device=device)
    z.requires_grad_()
    a = activation(z)
    slope, = torch.autograd.grad(a.sum(), z, create_graph=True)
    curvature = torch.autograd.grad(slope.sum(), z)[0] if slope.requires_grad else torch.zeros_like(z)
    z, a, slope = z.detach(), a.detach(), slope.detach()
    torch.testing.assert_close(closed.value(z), a, rtol=0, atol=0)
    for within in (torch.enable_grad(), torch.no_grad()):
        with within:
            passed = closed.through(3 * torch.ones_like(z), closed.kept(z, a))
            torch.testing.assert_close(passed, 3 * slope, rtol=1e-13, atol=1e-15)
    if closed.piecewise_linear:
        assert not curvature.any()
    else:
        torch.testing.assert_close(closed.curvature(z, closed.kept(z, a)), curvature, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("use", ["both", "values", "derivatives"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(), nn.Tanh(), nn.SiLU()], ids=str)
def test_values_jacobian_and_gradients_equal_double_backward(sizes, activation, use, device):
    model, x = network(sizes, activation).to(device), points(6, sizes[0]).to(device)
    assert path_of(model, x) == "closed form"
    y, jacobian = value_and_derivatives(model, x)
    expected = reference.derivatives(model, x, 1)
    torch.testing.assert_close((y, jacobian), tuple(expected), rtol=1e-12, atol=1e-13)
    ours = reference.gradients(some_loss(y, jacobian, use), model)
    theirs = reference.gradients(some_loss(*expected, use), model)
    assert theirs.norm() > 0
    assert (ours - theirs).norm() <= 1e-12 * theirs.norm()


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(), nn.Tanh()], ids=str)
def test_few_points_are_right_and_leave_the_weights_alone(sizes, activation, n, device):
    """A row of weights for one point is no expanded view, and must not be written over."""
    model, x = network(sizes, activation).to(device), points(n, sizes[0]).to(device)
    before = copy.deepcopy(model.state_dict())
    expected = reference.derivatives(model, x, 1)
    for _ in range(2):
        found = value_and_derivatives(model, x)
        torch.testing.assert_close(found, tuple(expected), rtol=1e-12, atol=1e-13)
        some_loss(*found).backward()
        with torch.no_grad():
            value_and_derivatives(model, x)
        loss = sl.SobolevLoss(1)
        backward_of(model, loss)(loss, sl.SobolevData(x, *(t.detach() for t in expected)))
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("projections", [1, 3])
@pytest.mark.parametrize("sizes", [(2, 1), (3, 7, 6, 1), (2, 5, 5, 4), (5, 6, 3)], ids=str)
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.GELU()], ids=str)
def test_projections_and_their_gradients_equal_double_backward(sizes, activation, projections, device):
    model, x = network(sizes, activation).to(device), points(6, sizes[0]).to(device)
    vectors = torch.randn(projections, 6, sizes[-1], generator=seeded(2), dtype=DOUBLE).to(device)
    y, found = value_and_projections(model, x, [vectors])
    values, jacobian = reference.derivatives(model, x, 1)
    expected = torch.einsum("pnm,nmd->pnd", vectors, jacobian)
    torch.testing.assert_close((y, found), (values, expected), rtol=1e-12, atol=1e-13)
    for use in ("both", "derivatives"):
        ours = reference.gradients(some_loss(y, found, use), model)
        theirs = reference.gradients(some_loss(values, expected, use), model)
        assert (ours - theirs).norm() <= 1e-12 * theirs.norm()
        y, found = value_and_projections(model, x, [vectors])
        values, jacobian = reference.derivatives(model, x, 1)
        expected = torch.einsum("pnm,nmd->pnd", vectors, jacobian)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "softplus", "gelu", "silu", "elu", "sigmoid", "sine"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_single_precision_keeps_its_digits(activation, outputs, device):
    """Against double backward in double precision, at the size of section 4.1's network."""
    model = MLP(2, 256, 256, outputs, activation=activation, generator=seeded(0), device=device)
    x = torch.randn(64, 2, generator=seeded(1)).to(device)
    exact, x64 = copy.deepcopy(model).double(), x.double().requires_grad_()
    rows = exact(x64)
    slopes = [torch.autograd.grad(rows[:, k].sum(), x64, create_graph=True)[0] for k in range(outputs)]
    theirs = reference.gradients(some_loss(rows, torch.stack(slopes, dim=1)), exact)
    ours = reference.gradients(some_loss(*value_and_derivatives(model, x)), model).double()
    assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("outputs", [(), (1,), (3,)])
@pytest.mark.parametrize("options", [{}, {"weights": (0.3, 2.0), "normalize": True}, {"value_loss": "huber"},
                                     {"weights": (1.0, 0.0)}, {"weights": (0.0, 1.0)}, {"derivative_loss": "norm"}], ids=str)
def test_the_sobolev_loss_is_the_same_either_way(options, outputs, missing, device, monkeypatch):
    model, x = network((3, 8, 8, *(outputs or (1,)))).to(device), points(7, 3)
    jacobian = torch.randn(7, *outputs, 3, generator=seeded(3), dtype=DOUBLE)
    if missing:
        jacobian[torch.rand(jacobian.shape, generator=seeded(4)) < 0.4] = torch.nan
    data = sl.SobolevData(x, torch.randn(7, *outputs, generator=seeded(5), dtype=DOUBLE), jacobian).to(device)
    loss = sl.SobolevLoss(1, **options)
    ours = loss(model, data)
    by_closed_form = reference.gradients(ours, model)
    monkeypatch.setattr(derivatives, "closed_form", lambda *_: (None, "switched off"))
    theirs = loss(model, data)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    torch.testing.assert_close(by_closed_form, reference.gradients(theirs, model), rtol=1e-11, atol=1e-13)


def test_without_biases_and_with_containers_inside_containers():
    inner = network((4, 6, 5), nn.SiLU(), bias=False)
    model, x = nn.Sequential(nn.Sequential(inner, nn.ReLU()), network((5, 2))), points(6, 4)
    assert path_of(model, x) == "closed form"
    ours = reference.gradients(some_loss(*value_and_derivatives(model, x)), model)
    theirs = reference.gradients(some_loss(*reference.derivatives(model, x, 1)), model)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


def test_a_weight_that_stands_in_two_places_gets_both_gradients():
    shared = nn.Linear(4, 4, dtype=DOUBLE)
    model, x = nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), nn.Linear(4, 1, dtype=DOUBLE)), points(6, 4)
    assert path_of(model, x) == "closed form"
    ours = reference.gradients(some_loss(*value_and_derivatives(model, x)), model)
    theirs = reference.gradients(some_loss(*reference.derivatives(model, x, 1)), model)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Tanh()], ids=str)
def test_gradients_of_gradients(activation, device):
    """Hessian-vector products go through: the backward pass is itself differentiable."""
    model, x = network((2, 5, 5, 2), activation).to(device), points(4, 2).to(device)

    def twice(y, jacobian):
        grads = torch.autograd.grad(some_loss(y, jacobian), list(model.parameters()), create_graph=True)
        return reference.gradients(sum((g * g.cos()).sum() for g in grads), model)

    torch.testing.assert_close(twice(*value_and_derivatives(model, x)), twice(*reference.derivatives(model, x, 1)),
                               rtol=1e-10, atol=1e-11)


def test_frozen_parameters_get_no_gradient_and_the_graph_can_be_used_twice():
    model, x = network((2, 5, 1)), points(4, 2)
    model[0].weight.requires_grad_(False)
    value = some_loss(*value_and_derivatives(model, x))
    value.backward(retain_graph=True)
    once = model[2].weight.grad.clone()
    value.backward()
    assert model[0].weight.grad is None
    torch.testing.assert_close(model[2].weight.grad, 2 * once)


def test_hidden_biases_get_zeros_from_a_loss_of_derivatives_alone_and_the_last_one_nothing():
    """As by automatic differentiation, so that code which asks for their gradients works either way."""
    model, x = network((2, 5, 4, 1), nn.ReLU()), points(4, 2)
    for _, jacobian in (value_and_derivatives(model, x), value_and_derivatives(lambda x: model(x), x)):
        *hidden, last = torch.autograd.grad(jacobian.square().sum(), [model[k].bias for k in (0, 2, 4)], allow_unused=True)
        assert all(slope is not None and not slope.any() for slope in hidden) and last is None


def test_changing_a_weight_before_going_back_is_noticed():
    model, x = network((2, 5, 1)), points(4, 2)
    value = some_loss(*value_and_derivatives(model, x))
    with torch.no_grad():
        model[0].weight.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


def test_under_autocast_products_are_in_bfloat16_and_gradients_are_not(device):
    model, x = network((2, 64, 64, 1), dtype=torch.float32).to(device), points(32, 2, torch.float32).to(device)
    exact = reference.gradients(some_loss(*value_and_derivatives(model, x)), model)
    with torch.autocast(device, torch.bfloat16):
        y, jacobian = value_and_derivatives(model, x)
        assert y.dtype == jacobian.dtype == torch.bfloat16
        value = some_loss(y.float(), jacobian.float())
    rough = reference.gradients(value, model)
    assert rough.dtype == torch.float32
    assert 1e-4 < (rough - exact).norm() / exact.norm() < 0.1


class Sub(MLP):
    def forward(self, x):
        return super().forward(x) + 1


def hooked():
    model = network((2, 4, 1))
    model[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    return model


def replaced():
    model = network((2, 4, 1))
    model.forward = lambda x: nn.Sequential.forward(model, x) * 3
    return model


@pytest.mark.parametrize("make, x, reason", [
    (lambda: Sub(2, 4, 1, dtype=DOUBLE), points(3, 2), "Sub is not a plain MLP or Sequential"),
    (lambda: (lambda x: x.square()), points(3, 2), "function is not a plain MLP or Sequential"),
    (lambda: nn.Sequential(nn.Linear(2, 4, dtype=DOUBLE), nn.Mish(), nn.Linear(4, 1, dtype=DOUBLE)), points(3, 2),
     "Mish where an activation with a closed form is needed"),
    (lambda: nn.Sequential(nn.Linear(2, 4, dtype=DOUBLE), nn.GELU("tanh"), nn.Linear(4, 1, dtype=DOUBLE)), points(3, 2),
     "GELU where an activation with a closed form is needed"),
    (lambda: nn.Sequential(nn.Linear(2, 4, dtype=DOUBLE), nn.LeakyReLU(-0.1), nn.Linear(4, 1, dtype=DOUBLE)), points(3, 2),
     "LeakyReLU where an activation with a closed form is needed"),
    (lambda: nn.Sequential(nn.Tanh(), nn.Linear(2, 1, dtype=DOUBLE)), points(3, 2), "Tanh where a Linear layer is needed"),
    (lambda: nn.Sequential(nn.Linear(2, 1, dtype=DOUBLE), nn.Tanh()), points(3, 2), "the last layer is not a Linear one"),
    (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 1, dtype=DOUBLE)), points(3, 2), "is not a plain MLP"),
    (hooked, points(3, 2), "Linear where a Linear layer is needed"),
    (replaced, points(3, 2), "Sequential is not a plain MLP or Sequential"),
    (lambda: network((2, 4, 1)), points(3, 2).requires_grad_(), "inputs that require a gradient"),
    (lambda: network((2, 4, 1)), torch.zeros(3, 5, 2, dtype=DOUBLE), r"inputs \(3, 5, 2\), expected \(N, d\)"),
    (lambda: network((2, 4, 1)), points(3, 4), "4 inputs for a network of 2"),
])
def test_other_models_take_the_general_way_and_it_says_why(make, x, reason):
    path = path_of(make(), x)
    assert path.startswith("autograd: ") and re.search(reason, path)


@pytest.mark.parametrize("make", [lambda: Sub(2, 4, 1, dtype=DOUBLE), hooked, replaced])
def test_what_a_model_does_beyond_its_layers_is_not_lost(make):
    model, x = make(), points(3, 2)
    torch.testing.assert_close(value_and_derivatives(model, x), tuple(reference.derivatives(model, x, 1)))


def test_order_two_and_functional_transforms_take_the_general_way():
    model, x = network((2, 4, 1)), points(3, 2)
    assert path_of(model, x, order=2) == "autograd: order 2, the closed form has order 1"
    value = lambda parameters: torch.func.functional_call(
        Wrapped(model), {f"model.{name}": p for name, p in parameters.items()}, (x,))
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    ours = torch.cat([g.flatten() for g in torch.func.grad(value)(parameters).values()])
    torch.testing.assert_close(ours, reference.gradients(some_loss(*reference.derivatives(model, x, 1)), model))


class Wrapped(nn.Module):
    """Lets ``functional_call`` put other tensors in the parameters' place."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return some_loss(*value_and_derivatives(self.model, x))


def test_sweeps_of_networks_side_by_side(device):
    models = [network((3, 5, 4, 2), nn.ReLU()).to(device) for _ in range(2)]
    for p in models[1].parameters():
        p.data.mul_(1.3)
    x = torch.stack([points(6, 3), points(6, 3) + 1]).to(device)
    alone = [Layers.of(model) for model in models]
    stacked = Layers(tuple(torch.stack(ws).detach() for ws in zip(*[l.weights for l in alone])),
                     tuple(torch.stack(bs).detach() for bs in zip(*[l.biases for l in alone])), alone[0].activations)
    for vectors in (None, torch.randn(2, 3, 6, 2, generator=seeded(2), dtype=DOUBLE).to(device)):
        together = Sweeps(stacked, x, vectors)
        r, s = torch.randn_like(together.values), torch.randn_like(together.derivatives)
        weights, biases = together.gradients(r, s)
        for k, layers in enumerate(alone):
            own = Sweeps(layers, x[k], None if vectors is None else vectors[k])
            torch.testing.assert_close((together.values[k], together.derivatives[k]), (own.values, own.derivatives))
            own_weights, own_biases = own.gradients(r[k], s[k])
            torch.testing.assert_close([w[k] for w in weights], own_weights)
            torch.testing.assert_close([b[k] for b in biases], own_biases)


def tied():
    shared = nn.Linear(4, 4, dtype=DOUBLE)
    return nn.Sequential(nn.Linear(2, 4, dtype=DOUBLE), nn.ReLU(), shared, nn.Tanh(), shared, nn.Tanh(),
                         nn.Linear(4, 1, dtype=DOUBLE))


def frozen():
    model = network((2, 5, 1))
    model[0].weight.requires_grad_(False)
    return model


@pytest.mark.parametrize("make", [
    lambda: network((2, 6, 5, 1), nn.ReLU()), lambda: network((2, 6, 1)), lambda: network((2, 6, 3), nn.SiLU()),
    lambda: network((2, 6, 2), nn.ReLU()), lambda: network((2, 6, 1), nn.GELU(), bias=False), lambda: network((2, 1)), tied,
    frozen])
def test_the_quick_backward_leaves_what_backward_leaves(make, device):
    model, x = make().to(device), points(7, 2)
    outputs = model[-1].out_features
    data = sl.SobolevData(x, points(7, outputs), points(7, 2 * outputs).reshape(7, outputs, 2)).to(device)
    loss, twin = sl.SobolevLoss(1, normalize=True), copy.deepcopy(model)
    for _ in range(2):                                     # gradients add up
        total, terms = backward_of(model, loss)(loss.weighted((0.5, 2.0)), data)
        again = loss.terms(lambda x: twin(x), data)
        (0.5 * again[0] + 2.0 * again[1]).backward()
        torch.testing.assert_close((total, *terms), (0.5 * again[0] + 2.0 * again[1], *again))
    for a, b in zip(model.parameters(), twin.parameters()):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-11, atol=1e-13)


def test_the_quick_backward_reaches_parameters_of_the_loss():
    scale = torch.tensor(2.0, dtype=DOUBLE, requires_grad=True)
    loss = sl.SobolevLoss(1, derivative_loss=lambda p, t: scale * (p - t).square().flatten(1).sum(1))
    model, data = network((2, 5, 1)), sl.label(sl.functions.booth, points(6, 2))
    _, terms = backward_of(model, loss)(loss, data)
    torch.testing.assert_close(scale.grad, terms[1].detach() / 2)


def test_the_quick_backward_under_autocast(device):
    model = network((2, 64, 64, 1), dtype=torch.float32).to(device)
    data = sl.label(sl.functions.booth, points(32, 2, torch.float32).to(device))
    twin, loss = copy.deepcopy(model), sl.SobolevLoss(1, normalize=True)
    with torch.autocast(device, torch.bfloat16):
        backward_of(model, loss)(loss, data)
    loss(twin, data).backward()
    ours, exact = (torch.cat([p.grad.flatten() for p in m.parameters()]) for m in (model, twin))
    assert ours.dtype == torch.float32 and 1e-4 < (ours - exact).norm() / exact.norm() < 0.1


@pytest.mark.parametrize("make, loss, message", [
    (lambda: network((2, 4, 1), nn.Mish()), sl.SobolevLoss(1), "Mish where an activation"),
    (lambda: network((2, 4, 1)), sl.SobolevLoss(2), "expected one of whole derivatives of order 1"),
    (lambda: network((2, 4, 1)), sl.StochasticSobolevLoss(1), "expected one of whole derivatives of order 1")])
def test_the_quick_backward_says_what_it_does_not_do(make, loss, message):
    with pytest.raises(ValueError, match=message):
        backward_of(make(), loss)


def test_fit_calls_hooks_on_parameters():
    """Clipping by hooks is common, and must not be lost on the quick way."""
    data, models = sl.label(sl.functions.booth, points(20, 2)), [network((2, 8, 1)) for _ in range(2)]
    for p in models[0].parameters():
        p.register_hook(lambda slope: 0 * slope)
    before = copy.deepcopy(models[0].state_dict())
    history = sl.fit(models[0], data, steps=3, progress=False, optimizer=lambda ps: torch.optim.SGD(ps, lr=0.1))
    assert history.path == "closed form"
    torch.testing.assert_close(dict(models[0].state_dict()), dict(before), rtol=0, atol=0)
    with pytest.raises(ValueError, match="without hooks"):
        sl.fit(models[0], data, steps=3, progress=False, compile=True)


@pytest.mark.parametrize("model, loss, path", [
    (MLP(2, 8, 1), sl.SobolevLoss(1), "closed form"),
    (MLP(2, 8, 1), sl.StochasticSobolevLoss(1), "closed form"),
    (MLP(2, 8, 1), sl.SobolevLoss(0), "autograd: order 0, the closed form has order 1"),
    (nn.Sequential(nn.Linear(2, 8), nn.Mish(), nn.Linear(8, 1)), sl.SobolevLoss(1),
     "autograd: Mish where an activation with a closed form is needed"),
])
def test_fit_tells_which_way_it_went(model, loss, path):
    data = sl.label(sl.functions.booth, torch.rand(10, 2))
    assert sl.fit(model, data, loss=loss, steps=2, progress=False).path == path
    scaled = sl.Standardized(model, data)
    assert sl.fit(scaled, data, loss=loss, steps=2, progress=False).path == path


def test_fit_is_the_same_either_way(device, monkeypatch):
    data = sl.label(sl.functions.booth, points(20, 2))
    models = [network((2, 8, 8, 1)).to(device) for _ in range(2)]
    sl.fit(models[0], data, steps=20, batch_size=8, lr=1e-2, progress=False)
    monkeypatch.setattr(derivatives, "closed_form", lambda *_: (None, "switched off"))
    assert sl.fit(models[1], data, steps=20, batch_size=8, lr=1e-2, progress=False).path == "autograd: switched off"
    for a, b in zip(models[0].parameters(), models[1].parameters()):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def test_the_regressor_tells_too():
    X = points(20, 2).numpy()
    regressor = sl.SobolevRegressor(hidden=(8,), steps=2).fit(X, X.sum(1), 0 * X + 1)
    assert regressor.history_.path == "closed form"


@pytest.mark.parametrize("name", ["__call__", "_call_impl", "__iter__"])
@pytest.mark.parametrize("kind", [nn.Sequential, MLP])
def test_a_container_that_does_more_than_its_layers_has_no_closed_form(kind, name):
    class Tripled(kind):
        pass

    def tripled(self, *args):
        found = getattr(kind, name)(self, *args)
        return found if name == "__iter__" else 3 * found

    make = lambda container: container(2, 4, 1) if kind is MLP else container(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    model, plain = make(Tripled), make(kind)
    Layers.of(model), setattr(Tripled, name, tripled)
    with pytest.raises(ValueError, match="Tripled is not a plain MLP or Sequential"):
        Layers.of(model)
    plain.load_state_dict(model.state_dict())
    x = torch.rand(3, 2)
    factor = 1 if name == "__iter__" else 3
    for ours, theirs in zip(sl.value_and_derivatives(model, x), sl.value_and_derivatives(plain, x)):
        torch.testing.assert_close(ours, factor * theirs)
