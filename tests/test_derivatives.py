"""Derivatives of models against row-by-row double backward, on the traced path and on the fallback."""
import gc
import warnings

import pytest
import reference
import torch
from old_style import Cube
from torch import nn
from torch.func import functional_call

from sobolev_lib import _rows, value_and_derivatives, value_and_projections

DOUBLE = torch.float64


def seeded(make):
    """A module in float64 whose weights do not depend on which tests ran before."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().to(DOUBLE)


def points(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        return x * self.inner(x).sin() + x.square().sum(1, keepdim=True)


class Branching(nn.Module):
    """Python control flow on the numbers: nothing that could be compiled, yet differentiable."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)

    def forward(self, x):
        y = self.inner(x)
        return y.exp() if y.detach().sum() > -1e9 else y


class InPlace(nn.Module):
    """Fills a new tensor piece by piece, as much scientific code does."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)

    def forward(self, x):
        y = x.new_zeros(len(x), 3)
        y[:, :2] = self.inner(x).tanh()
        y[:, 2] = x[:, 0] ** 3
        return y


class Old(nn.Module):
    def __init__(self, inputs=3, outputs=2):
        super().__init__()
        self.first, self.second = nn.Linear(inputs, 4), nn.Linear(4, outputs)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.second(Cube.apply(self.first(x)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(2, 3, batch_first=True)

    def forward(self, x):
        return self.rnn(x)[0][:, -1]


def image_net(activation):
    return nn.Sequential(nn.Conv2d(1, 2, 3), activation, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 2))


MODELS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)), (3,)),
    "more outputs than inputs": (lambda: nn.Sequential(nn.Linear(2, 5), nn.Softplus(), nn.Linear(5, 4)), (2,)),
    "scalar": (lambda: nn.Sequential(nn.Linear(3, 5), nn.GELU(), nn.Linear(5, 1), nn.Flatten(0)), (3,)),
    "conv": (lambda: image_net(nn.Tanh()), (1, 5, 5)),
    "conv in place": (lambda: image_net(nn.ReLU(inplace=True)), (1, 5, 5)),
    "max pool": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.SiLU(), nn.MaxPool2d(2), nn.Flatten()), (1, 4, 4)),
    "group norm": (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.Tanh(), nn.Flatten(),
                                         nn.Linear(16, 2)), (1, 4, 4)),
    "batch norm in eval": (lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(),
                                                 nn.Linear(4, 2)).eval(), (3,)),
    "rms norm": (lambda: nn.Sequential(nn.Linear(2, 4), nn.RMSNorm(4), nn.Tanh(), nn.Linear(4, 3)), (2,)),
    "glu": (lambda: nn.Sequential(nn.Linear(2, 8), nn.GLU(), nn.Linear(4, 3)), (2,)),
    "residual": (Residual, (3,)),
    "branching": (Branching, (3,)),
    "in place": (InPlace, (3,)),
    "old-style function": (Old, (3,)),
    "recurrent": (Recurrent, (3, 2)),
    "linear": (lambda: nn.Linear(3, 2), (3,)),
}


# --- against the reference --------------------------------------------------------------------------------------

@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_derivatives_and_their_parameter_gradients_equal_double_backward(name, order, device, monkeypatch):
    make, in_shape = MODELS[name]
    model, x = seeded(make).to(device), points(2, *in_shape).to(device)
    if name == "recurrent":                                # cuDNN differentiates its recurrent networks once only
        monkeypatch.setattr(torch.backends.cudnn, "enabled", False)
    results = value_and_derivatives(model, x, order)
    expected = reference.derivatives(model, x, order)
    assert len(results) == order + 1
    for k, (a, b) in enumerate(zip(results, expected)):
        assert a.shape == (2, *results[0].shape[1:], *in_shape * k)
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    mixed = [points(*tensor.shape, seed=k).to(device) for k, tensor in enumerate(expected)]
    ours, theirs = [reference.gradients(sum((t * c).sum() for t, c in zip(tensors, mixed)), model)
                    for tensors in (results, expected)]
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["mlp", "scalar", "more outputs than inputs", "old-style function"])
def test_third_order(name):
    make, in_shape = MODELS[name]
    model, x = seeded(make), points(2, *in_shape)
    for a, b in zip(value_and_derivatives(model, x, 3), reference.derivatives(model, x, 3)):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.RMSNorm, lambda n: nn.GroupNorm(2, n)],
                         ids=["layer", "rms", "group"])
@pytest.mark.parametrize("inputs, outputs", [(2, 3), (3, 2)])
def test_gradients_through_normalisation_equal_finite_differences(norm, inputs, outputs):
    """PyTorch's forward mode gives wrong gradients for LayerNorm: a reference by autograd alone might share them."""
    model = seeded(lambda: nn.Sequential(nn.Linear(inputs, 6), nn.Tanh(), norm(6), nn.Tanh(), nn.Linear(6, outputs)))
    x, mixed = points(4, inputs), points(4, outputs, inputs, seed=1)
    value = lambda: (value_and_derivatives(model, x)[1] * mixed).sum()
    directions = points(4, sum(p.numel() for p in model.parameters()), seed=2)
    slopes = reference.directional_differences(value, model, directions)
    torch.testing.assert_close(directions @ reference.gradients(value(), model), slopes, rtol=1e-7, atol=1e-7)


def test_linear_solves_inside_a_model_equal_finite_differences():
    class Solve(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 3)

        def forward(self, x):
            y = self.inner(x).tanh()
            return torch.linalg.solve(3 * torch.eye(3, dtype=DOUBLE) + y.unsqueeze(2) * y.unsqueeze(1), y)

    model, x, mixed = seeded(Solve), points(4, 2), points(4, 3, 2, seed=1)
    value = lambda: (value_and_derivatives(model, x)[1] * mixed).sum()
    directions = points(4, 9, seed=2)
    slopes = reference.directional_differences(value, model, directions)
    torch.testing.assert_close(directions @ reference.gradients(value(), model), slopes, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("make", [lambda: nn.LayerNorm(4), lambda: nn.InstanceNorm1d(5)], ids=["layer", "instance"])
def test_norms_whose_third_derivatives_pytorch_gets_wrong_warn_at_order_two(make):
    model = seeded(lambda: nn.Sequential(nn.Linear(3, 4), make(), nn.Linear(4, 1)))
    x = points(2, 5, 3) if isinstance(model[1], nn.InstanceNorm1d) else points(2, 3)
    if isinstance(model[1], nn.LayerNorm):
        value_and_derivatives(model, x, 1)
    with pytest.warns(UserWarning, match=r"1 is a (Layer|Instance)Norm.*GroupNorm or RMSNorm"):
        value_and_projections(model, x, [torch.ones(1, *model(x).shape, dtype=DOUBLE), torch.ones(1, *x.shape).to(x)])


def test_a_linear_model_has_second_derivative_zero():
    for model in (nn.Linear(3, 2), nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))):
        assert (value_and_derivatives(model, torch.randn(4, 3), 2)[2] == 0).all()


# --- projections ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "linear"])
def test_projections_equal_contractions_of_the_full_derivatives(name, count, device, monkeypatch):
    make, in_shape = MODELS[name]
    model, x = seeded(make).to(device), points(2, *in_shape).to(device)
    if name == "recurrent":
        monkeypatch.setattr(torch.backends.cudnn, "enabled", False)
    y, jacobian, hessian = reference.derivatives(model, x, 2)
    v1, v2 = points(count, *y.shape, seed=5).to(device), points(count, *x.shape, seed=6).to(device)
    values, p1, p2 = value_and_projections(model, x, [v1, v2])
    n, m, d = 2, y[0].numel(), x[0].numel()
    first = torch.einsum("pnm,nmd->pnd", v1.reshape(count, n, m), jacobian.reshape(n, m, d))
    second = torch.einsum("pnm,nmde,pnd->pne", v1.reshape(count, n, m), hessian.reshape(n, m, d, d),
                          v2.reshape(count, n, d))
    assert p1.shape == p2.shape == (count, *x.shape) and values.shape == y.shape
    torch.testing.assert_close(values, y, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(p1, first.reshape(p1.shape), rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(p2, second.reshape(p2.shape), rtol=1e-10, atol=1e-11)
    mixed = points(*p2.shape, seed=7).to(device)
    torch.testing.assert_close(reference.gradients((p1 * mixed).sum() + (p2 * mixed).sum(), model),
                               reference.gradients((first.reshape(p1.shape) * mixed).sum()
                                                   + (second.reshape(p2.shape) * mixed).sum(), model),
                               rtol=1e-9, atol=1e-11)


# --- the fallback -----------------------------------------------------------------------------------------------

def test_an_untraceable_model_is_remembered_and_forgotten_with_it():
    model, x = seeded(Old), points(3, 3)
    value_and_derivatives(model, x)
    assert model in _rows._untraceable
    before = model.calls
    value_and_derivatives(model, x)
    assert model.calls == before + 1, "the traced path was tried again"
    size = len(_rows._untraceable)
    del model
    gc.collect()
    assert len(_rows._untraceable) < size


def test_a_broken_model_raises_its_own_error():
    def broken(x):
        return x @ torch.zeros(5, 1, dtype=x.dtype)

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        value_and_derivatives(broken, points(2, 3))
    assert broken not in _rows._untraceable


def test_batch_norm_in_training_mode_warns_and_equals_plain_autograd():
    model = seeded(lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)))
    x = points(5, 3)
    with pytest.warns(UserWarning, match="1 is a BatchNorm1d in training mode.*eval.*GroupNorm"):
        _, jacobian = value_and_derivatives(model, x)
    x.requires_grad_()
    y = model(x)
    expected = [torch.autograd.grad(y[:, k].sum(), x, retain_graph=True)[0] for k in range(2)]
    torch.testing.assert_close(jacobian, torch.stack(expected, 1))


# --- a model that does not depend on its input ------------------------------------------------------------------

def _under_no_grad(model, x):
    with torch.no_grad():
        return model(x)


INDEPENDENT = {
    "detached": lambda model, x: model(x.detach()),
    "through .data": lambda model, x: model(x.data),
    "under no_grad": _under_no_grad,
    "through numpy": lambda model, x: torch.as_tensor(x.detach().numpy()).sum(1) ** 2,
    "constant": lambda model, x: torch.ones(len(x), 2, dtype=DOUBLE),
    "zeros_like": lambda model, x: torch.zeros_like(x),
    "of its parameters only": lambda model, x: model(torch.ones(len(x), 3, dtype=DOUBLE)),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", INDEPENDENT)
def test_a_model_independent_of_its_input_is_refused(name, order):
    model, x = seeded(lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))), points(4, 3)
    f = lambda x: INDEPENDENT[name](model, x)
    with pytest.raises(ValueError, match="depends on the input.*detach.*no_grad"):
        value_and_derivatives(f, x, order)
    outputs = f(x).shape[1:]
    for count in (1, 2):
        vectors = [torch.ones(count, 4, *outputs, dtype=DOUBLE), torch.ones(count, 4, 3, dtype=DOUBLE)][:order]
        with pytest.raises(ValueError, match="depends on the input"):
            value_and_projections(f, x, vectors)


def test_a_model_whose_slope_happens_to_be_zero_is_accepted():
    x = points(4, 3)
    assert (value_and_derivatives(lambda x: 0 * x, x)[1] == 0).all()
    assert (value_and_derivatives(lambda x: x.round().sum(1), x)[1] == 0).all()


# --- composition ------------------------------------------------------------------------------------------------

def test_values_and_derivatives_see_the_same_dropout_mask():
    # y = W (mask * x) is linear, so y = J x only if both come from one mask
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 5, bias=False)).to(DOUBLE)
    x = points(20, 3)
    y, jacobian = value_and_derivatives(model, x)
    torch.testing.assert_close(torch.einsum("nmd,nd->nm", jacobian, x), y)
    assert (jacobian == 0).any()


@pytest.mark.parametrize("make", [lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)), Old],
                         ids=["traced", "fallback"])
def test_under_no_grad_the_derivatives_are_still_there(make):
    model, x = seeded(make), points(3, 3)
    expected = value_and_derivatives(model, x)[1].detach()
    with torch.no_grad():
        assert torch.equal(value_and_derivatives(model, x)[1].detach(), expected)
    if make is not Old:  # plain autograd can't run in inference mode
        with torch.inference_mode():
            result = value_and_derivatives(model, x)[1]
        assert torch.equal(result, expected)


@pytest.mark.parametrize("make", [lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)), Old],
                         ids=["traced", "fallback"])
def test_the_callers_tensors_are_left_alone(make):
    model, x = seeded(make), points(3, 3)
    before = x.clone()
    value_and_derivatives(model, x, 2)[2].sum().backward()
    assert not x.requires_grad and x.grad is None and torch.equal(x, before)


def test_vmap_over_parameters(device):
    models = [seeded(lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))).to(device) for _ in range(3)]
    for k, model in enumerate(models):
        for p in model.parameters():
            p.data.mul_(k + 1)
    parameters, _ = torch.func.stack_module_state(models)
    x = points(3, 4, 3).to(device)
    f = lambda p, x: value_and_derivatives(lambda x: functional_call(models[0], p, (x,)), x, 2)
    stacked = torch.vmap(f)(parameters, x)
    for k, model in enumerate(models):
        for a, b in zip(stacked, reference.derivatives(model, x[k], 2)):
            torch.testing.assert_close(a[k], b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("outputs, order", [(1, 2), (2, 1), *[pytest.param(*case, marks=pytest.mark.slow)
                                                              for case in ((1, 1), (2, 2), (5, 1), (5, 2))]])
def test_compiles_into_one_graph(outputs, order):
    model = seeded(lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, outputs)))
    x = points(4, 3)
    compiled = torch.compile(lambda x: value_and_derivatives(model, x, order), fullgraph=True, backend="eager")
    for a, b in zip(compiled(x), reference.derivatives(model, x, order)):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_no_warning_reaches_the_caller():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for make, in_shape in MODELS.values():
            value_and_derivatives(seeded(make), points(2, *in_shape), 2)
