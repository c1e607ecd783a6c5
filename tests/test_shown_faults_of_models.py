"""Faults that users' models showed, each with the right answer: TorchScript, layers used twice, drawing, losses of their own."""
import copy
import logging
import warnings

import numpy as np
import pytest
import torch
from old_style import Cube
from torch import nn

import sobolev_lib as sl

POINTS = torch.rand(20, 2, generator=torch.Generator().manual_seed(0))
BOOTH = sl.label(sl.functions.booth, POINTS)
QUIET = {"progress": False}


def mlp(**settings):
    return sl.models.MLP(2, 8, 1, generator=torch.Generator().manual_seed(0), **settings)


def same(model, other):
    for mine, theirs in zip(model.parameters(), other.parameters()):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


# --- models -------------------------------------------------------------------------------------------------------

@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")       # PyTorch's own
def test_torchscript_keeps_its_derivatives_after_the_first_call():
    plain = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    part, whole = nn.Sequential(torch.jit.script(plain[:2]), plain[2]), torch.jit.script(plain)
    right = sl.value_and_derivatives(plain, POINTS, 2)
    rule = lambda model: torch.autograd.grad(sl.value_and_derivatives(model, POINTS)[1].square().sum(), plain[0].weight)[0]
    for model in (part, whole, lambda x: whole(x)):
        for _ in range(3):
            for mine, its in zip(sl.value_and_derivatives(model, POINTS, 2), right):
                torch.testing.assert_close(mine, its)
            torch.testing.assert_close(rule(model), rule(plain))
        vector = torch.ones(1, 20, 1)
        torch.testing.assert_close(sl.value_and_projections(model, POINTS, [vector])[1][0], right[1][:, 0])


def test_a_layer_used_twice_trains_side_by_side_as_alone():
    layer, last = nn.Linear(8, 8), nn.Linear(8, 8)
    last.weight = layer.weight                             # and two layers of one weight
    for second in (layer, last):
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), layer, nn.Mish(), second, nn.Linear(8, 1))
        alone = copy.deepcopy(model)
        sl.fit_many([model], BOOTH, steps=20, lr=1e-2, **QUIET)
        sl.fit(alone, BOOTH, steps=20, lr=1e-2, **QUIET)
        same(model, alone)


def test_complex_outputs_are_refused():
    with pytest.raises(TypeError, match="model: expected it to return real numbers, got torch.complex64"):
        sl.value_and_derivatives(lambda x: torch.exp(1j * x.sum(1)), POINTS)


class Halved(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 1)

    def forward(self, x):
        return self.last(self.drop(self.first(x)).square())


def test_products_and_derivatives_inside_come_of_one_draw():
    u = torch.eye(2).expand(20, 2, 2)
    model = Halved()
    with torch.no_grad():
        model.first.bias.zero_()
    y, jacobian, products = sl.value_and_products(model, POINTS, u, 2)       # a quadratic form: J = H x, y = J x / 2 + bias
    torch.testing.assert_close(jacobian, torch.einsum("nqij,nj->nqi", products, POINTS))
    torch.testing.assert_close(y, torch.einsum("nqi,ni->nq", jacobian, POINTS) / 2 + model.last.bias)
    y, hidden, jacobian = sl.internal_derivatives(model, POINTS, "first")
    torch.testing.assert_close(y, torch.einsum("nqh,nh->nq", jacobian, hidden) / 2 + model.last.bias)


def test_models_may_work_in_place_on_their_points():
    model = nn.Sequential(nn.ELU(inplace=True), nn.Linear(2, 1))
    points = POINTS - 0.5
    before = points.clone()
    twin = nn.Sequential(nn.ELU(), model[1])
    for order in (1, 2):
        torch.testing.assert_close(sl.value_and_derivatives(model, points, order), sl.value_and_derivatives(twin, points, order))
    assert torch.equal(points, before)

    def in_place(prediction, target):
        return prediction.sub_(target).square_()

    sl.SobolevLoss(0, value_loss=in_place)(mlp(), BOOTH).backward()


def test_a_smooth_network_may_begin_with_second_derivatives_of_zero():
    model = mlp(activation="tanh")
    nn.init.zeros_(model[-1].weight)
    data = sl.label(sl.functions.booth, POINTS, 2)
    sl.fit(model, data, steps=3, **QUIET)
    assert model[-1].weight.any()
    with pytest.raises(ValueError, match="piecewise linear"):
        sl.fit(mlp(), data, steps=3, **QUIET)


def test_silu_can_be_differentiated_on_and_on():
    model = mlp(activation="silu").double()
    other = nn.Sequential(model[0], nn.SiLU(), model[2], nn.Identity())     # no closed form

    def twice(net):
        slope, = torch.autograd.grad(sl.value_and_derivatives(net, POINTS.double())[1].square().sum(), model[0].weight, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), model[0].weight)[0]

    torch.testing.assert_close(twice(model), twice(other))


def test_gradients_by_directions_and_vectors_are_there():
    model = mlp(activation="tanh")
    u, v = torch.randn(20, 1, 2, requires_grad=True), torch.randn(1, 20, 1, requires_grad=True)
    sl.value_and_products(model, POINTS, u)[1].sum().backward()
    sl.value_and_projections(model, POINTS, [v])[1].sum().backward()
    jacobian = sl.value_and_derivatives(model, POINTS)[1].detach()
    torch.testing.assert_close(u.grad, jacobian)
    torch.testing.assert_close(v.grad[0], jacobian.sum(2))


def test_gradients_by_points_go_through_what_torch_func_refuses():
    x = POINTS.clone().requires_grad_()
    sl.value_and_derivatives(lambda x: Cube.apply(x).sum(1), x)[1].sum().backward()
    torch.testing.assert_close(x.grad, 6 * POINTS)


# --- losses -------------------------------------------------------------------------------------------------------

class Penalised(sl.SobolevLoss):
    def __call__(self, model, batch, *, generator=None):
        return super().__call__(model, batch, generator=generator) + sum(p.square().sum() for p in model.parameters())


class Doubled(sl.SobolevLoss):
    """Compares twice the slopes, and has a number of its own."""

    def __init__(self, factor):
        super().__init__(1, normalize=True)
        self.factor = factor

    def predict(self, model, batch):
        y, jacobian = super().predict(model, batch)
        return y, self.factor * jacobian


def test_a_loss_of_ones_own_is_trained_or_refused():
    with pytest.raises(TypeError, match="loss: expected what Penalised does otherwise in ask, predict, .* got __call__ of its own"):
        sl.fit(mlp(), BOOTH, loss=Penalised(1), steps=1, **QUIET)
    loss = Doubled(2.0)
    right = [float(term.detach()) for term in loss.terms(mlp(), BOOTH)]
    one, many = mlp(), mlp()
    first = sl.fit(one, BOOTH, loss=loss, steps=1, weight_schedule=sl.linear_weights((1, 1), (1, 1)), **QUIET)
    second, = sl.fit_many([many], BOOTH, loss=loss, steps=1, **QUIET)
    for history in (first, second):
        assert [history.train[name][0] for name in ("values", "jacobian")] == pytest.approx(right, rel=1e-5)
    same(one, many)


def test_logits_are_not_standardised():
    logits = torch.stack([3 * POINTS[:, 0], 0.1 * POINTS[:, 1], POINTS.prod(1)], 1)
    data, kl = sl.SobolevData(POINTS, logits), sl.SobolevLoss(0, value_loss="kl")
    network = sl.models.MLP(2, 8, 3)
    for train in (sl.fit, lambda model, *rest, **more: sl.fit_many([model], *rest, **more)):
        with pytest.raises(ValueError, match="z-scores of logits are another distribution"):
            train(sl.Standardized(network, data), data, loss=kl, steps=1, **QUIET)
    scores = sl.Standardized(network, data).scores
    inputs_alone = type(scores)(scores.input_mean, scores.input_std, torch.zeros(3), torch.ones(3))
    model = sl.Standardized(network, inputs_alone)
    history = sl.fit(model, data, loss=kl, steps=50, lr=1e-2, **QUIET)
    assert history.train["loss"][-1] == pytest.approx(float(kl(model, data).detach()), rel=0.2)


def test_validation_takes_no_vectors_from_training_and_has_its_own():
    loss = sl.StochasticSobolevLoss(1, distribution="gaussian")
    models = mlp(), mlp()
    for model, watched in zip(models, (None, BOOTH[:10])):
        sl.fit(model, BOOTH, loss=loss, steps=30, lr=1e-2, validation=watched, evaluate_every=3, **QUIET)
    same(*models)
    history = sl.fit(mlp(), BOOTH, loss=loss, steps=10, lr=1e-30, validation=BOOTH, evaluate_every=1, **QUIET)
    assert len({round(each, 4) for each in history.validation["loss"]}) == 1


def test_means_of_many_half_precision_labels_stay_in_range():
    ones = torch.ones(70_000).half()
    data = sl.SobolevData(torch.rand(70_000, 1).half(), ones, ones[:, None])
    assert float(sl.SobolevLoss(0)(lambda x: 0 * x[:, 0], data)) == 1
    assert sl.SobolevLoss(1, normalize=True).normalized_by(data).normalize == (1.0, 1.0)


# --- runs ---------------------------------------------------------------------------------------------------------

def test_an_interruption_gives_the_best_weights_back():
    def steep(optimizer):
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 if step < 30 else 1e4)

    def stop(step, model):
        if step == 60:
            raise KeyboardInterrupt

    model = mlp()
    with pytest.raises(KeyboardInterrupt):
        sl.fit(model, BOOTH, steps=200, lr=1e-2, scheduler=steep, validation=BOOTH, patience=90, on_step=stop, **QUIET)
    assert sl.errors(model, BOOTH)["value_mse"] <= sl.errors(mlp(), BOOTH)["value_mse"]


def test_weights_that_end_as_no_numbers_are_told():
    root = lambda prediction, target: (prediction - prediction.detach()).sqrt() + (prediction - target).square()
    loss = sl.SobolevLoss(0, value_loss=root)              # a finite loss with a slope that is none
    with pytest.raises(FloatingPointError, match="its weights are no longer finite after the last step"):
        sl.fit(mlp(activation="tanh"), BOOTH, loss=loss, steps=1, **QUIET)
    with pytest.warns(UserWarning, match=r"losses of networks \[0\] are no longer finite"):
        sl.fit_many([mlp(activation="tanh")], BOOTH, loss=loss, steps=1, **QUIET)


def test_side_by_side_nothing_can_be_frozen_on_the_way():
    def freeze(step, models):
        models[0][0].weight.requires_grad_(False)

    with pytest.raises(ValueError, match="on_step: expected parameters that go on training, got 0.weight of number 0 frozen"):
        sl.fit_many([mlp()], BOOTH, steps=4, on_step=freeze, report=[2], **QUIET)


def test_what_cannot_be_compared_is_told_without_a_word_of_checkpoints():
    model = mlp()
    model.log = logging.getLogger("a test's")
    with pytest.raises(ValueError, match="^models: expected something whose contents can be compared .* fit takes such models"):
        sl.fit_many([model], BOOTH, steps=1, **QUIET)


SETTINGS = {"rate": 1.0}


def scheduled(progress):
    return 1.0, SETTINGS["rate"]


def test_a_checkpoint_knows_the_dictionaries_that_a_function_reads(tmp_path, monkeypatch):
    call = {"steps": 2, "weight_schedule": scheduled, "checkpoint": tmp_path / "run", **QUIET}
    sl.fit(mlp(), BOOTH, **call)
    monkeypatch.setitem(SETTINGS, "rate", 2.0)
    with pytest.raises(ValueError, match="belongs to another run .*weight_schedule differ"):
        sl.fit(mlp(), BOOTH, **call)


def test_data_converted_in_inference_mode_can_be_trained_on():
    with torch.inference_mode():
        data = BOOTH.to(torch.float64)
    sl.fit(nn.Sequential(nn.Linear(2, 8), nn.Mish(), nn.Linear(8, 1)).double(), data, steps=1, **QUIET)


def test_warnings_about_layers_name_the_callers_line():
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        sl.fit(model, BOOTH, steps=1, **QUIET)
    assert {warning.filename for warning in told if "BatchNorm1d" in str(warning.message)} == {__file__}


# --- labels -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("method", ["finite-difference", "forward-difference"])
def test_a_step_wider_than_the_points_is_told(method):
    x = torch.rand(50, 2, dtype=torch.float64)
    wave = lambda z: torch.sin(z * 1e6).sum(1)
    if method == "finite-difference":
        with pytest.warns(UserWarning, match="step: expected one in the units of input 0, whose 50 points lie within"):
            sl.label(wave, x * 1e-6, method=method)
    found = sl.label(wave, x * 1e-6, method=method, step=1e-12)            # told, nothing is warned of
    torch.testing.assert_close(found.jacobian, 1e6 * torch.cos(x), rtol=1e-3, atol=1e2)
    sl.label(lambda z: z.sum(1), x, method=method)


@pytest.mark.parametrize("frequency", [40, 44])
def test_copies_of_grid_points_tell_no_more_than_the_points(frequency):
    x = np.round(np.random.default_rng(0).uniform(-1, 1, (300, 1)), 1)
    assert sl.check_labels(x, np.sin(frequency * x[:, 0]), frequency * np.cos(frequency * x)).ok
    finer = np.repeat(np.linspace(-1, 1, 101), 3)[:, None]
    assert sl.check_labels(finer, np.sin(3 * finer[:, 0]), -3 * np.cos(3 * finer)).problem == "sign"
