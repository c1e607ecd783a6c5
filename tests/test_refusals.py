"""Calls that once gave a wrong answer without a word, or failed in PyTorch's words in the middle of the work."""
import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import sobolev_lib as sl
from sobolev_lib import records
from sobolev_lib.atari import Student, load_teacher
from sobolev_lib.synthetic_gradients import networks

F = sl.functions.booth


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


X = torch.rand(20, 2, generator=seeded())
DATA = sl.label(F, X)


def mlp(seed=0, **options):
    return sl.models.MLP(2, 8, 1, generator=seeded(seed), **options)


class Mixing(nn.Module):
    """What it says of a point depends a little on the points beside it."""

    def __init__(self):
        super().__init__()
        self.inside = mlp()

    def forward(self, x):
        return self.inside(x) - 0.1 * x.mean()


class Drawing(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = mlp()

    def forward(self, x):
        return self.inside(x + 0.1 * torch.randn_like(x))


class WithoutGraph(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = mlp()

    @torch.no_grad()
    def forward(self, x):
        return self.inside(x)


# --- defaults and modes of PyTorch --------------------------------------------------------------------------------

@pytest.mark.parametrize("build", [
    lambda: mlp(dtype=torch.float32), lambda: Student(3, generator=seeded()).float(),
    lambda: networks.small_conv(1, 3, width=8, image_size=8, generator=seeded()).float()], ids=["MLP", "Atari student", "small_conv"])
def test_a_seed_gives_the_same_weights_whatever_the_default_dtype(build):
    before = build().state_dict()
    torch.set_default_dtype(torch.float64)
    try:
        after = build().state_dict()
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items() if tensor.is_floating_point())


def test_the_regressor_predicts_the_same_whatever_the_default_dtype():
    X = np.random.default_rng(0).uniform(-1, 1, (40, 2))
    fitted = lambda: sl.SobolevRegressor(hidden=(8,), steps=20).fit(X, X[:, 0] * X[:, 1], X[:, ::-1].copy()).predict(X)
    before = fitted()
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_allclose(fitted(), before, rtol=1e-4, atol=1e-5)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference_mode"])
@pytest.mark.parametrize("layer", [nn.Tanh, nn.Mish], ids=["closed form", "autograd"])
def test_training_is_the_same_in_any_mode(mode, layer):
    start = nn.Sequential(nn.Linear(2, 8), layer(), nn.Linear(8, 1))
    outside, inside, beside = (copy.deepcopy(start) for _ in range(3))
    options = dict(steps=5, validation=DATA, progress=False)
    sl.fit(outside, DATA, **options)
    with mode():
        # PyTorch 2.9 has no transforms in inference mode, and the labels come by one
        data = sl.label(F, X) if mode is torch.no_grad or torch.__version__ >= "2.10" else DATA
        sl.fit(inside, data, **options)
        sl.fit_many([beside], data, **options)
    for name, weight in outside.named_parameters():
        assert torch.equal(weight, inside.get_parameter(name))
        torch.testing.assert_close(weight, beside.get_parameter(name))


def test_data_made_in_inference_mode_can_be_trained_on():
    with torch.inference_mode():
        data = sl.SobolevData(X.clone(), F(X), DATA.jacobian.clone())
    assert not any(tensor.is_inference() for tensor in data.tensors)
    sl.fit(mlp(), data, steps=3, progress=False)


def test_a_model_made_in_inference_mode_is_refused():
    with torch.inference_mode():
        model = mlp()
    for call in (lambda: sl.fit(model, DATA), lambda: sl.fit_many([model], DATA), lambda: sl.errors(model, DATA)):
        with pytest.raises(ValueError, match="made in torch.inference_mode"):
            call()


# --- data ---------------------------------------------------------------------------------------------------------

def test_data_keep_no_graph():
    """Else the second step would go through a graph that is gone, or train the teacher."""
    teacher = mlp(seed=1)
    data = sl.SobolevData(X.clone().requires_grad_(), teacher(X)[:, 0], DATA.jacobian)
    assert not any(tensor.requires_grad for tensor in data.tensors)
    sl.fit(mlp(), data, steps=3, progress=False)
    assert all(p.grad is None for p in teacher.parameters())


@pytest.mark.parametrize("make, error, message", [
    (lambda: sl.SobolevData(X.to_sparse(), DATA.values), TypeError, "inputs: expected a dense tensor"),
    (lambda: sl.SobolevData(X.to("meta"), DATA.values.to("meta")), TypeError, "inputs: expected .* got meta tensors"),
    (lambda: sl.SobolevData(X.to(torch.float8_e4m3fn), DATA.values), TypeError, "of 16 to 64 bits each, got torch.float8"),
    (lambda: sl.SobolevData(torch.rand(3, 0), torch.rand(3)), ValueError, "inputs: expected at least one number a point"),
    (lambda: sl.SobolevData(torch.rand(3, 2), torch.rand(3, 0)), ValueError, "values: expected at least one number a point"),
    (lambda: DATA[True], TypeError, "index: expected an integer, slice, mask or list of integers, got bool"),
    (lambda: DATA[np.array([1.0, 2.0])], TypeError, "index: expected an integer, slice, mask or list of integers, got Tensor"),
    (lambda: DATA.up_to(-1), ValueError, "order: expected an integer >= 0, got -1"),
    (lambda: sl.label(lambda z: np.asarray(z).sum(1), X), TypeError, "wants NumPy arrays; use method='finite-difference'"),
    (lambda: sl.Teacher(lambda z: np.zeros(len(z)), X), TypeError, "f: expected it to return a tensor, got ndarray"),
    (lambda: sl.Standardized(mlp(), DATA)(X[:, :1]), ValueError, r"inputs: expected shape \(..., 2\) as the data have, got "
                                                                 r"\(20, 1\)"),
], ids=range(11))
def test_what_is_no_data_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_standardized_model_takes_single_points_too():
    model = sl.Standardized(mlp(), DATA)
    torch.testing.assert_close(torch.func.vmap(model)(X), model(X))


@pytest.mark.parametrize("f", [lambda x: F(x) - x.mean(), Mixing()], ids=["function", "network"])
def test_rows_that_mix_are_told_also_where_it_changes_little(f):
    with pytest.warns(UserWarning, match="derivatives mix the rows"):
        sl.Teacher(f, X)
    with pytest.warns(UserWarning, match="derivatives mix the rows"):
        sl.label(f, X)


@pytest.mark.parametrize("train", [lambda model: sl.fit(model, DATA, steps=2, progress=False),
                                   lambda model: sl.fit_many([model], DATA, steps=2, progress=False)], ids=["fit", "fit_many"])
def test_a_network_that_mixes_rows_is_told(train):
    with pytest.warns(UserWarning, match="its value at a point changes with the points beside it"):
        train(Mixing())


@pytest.mark.parametrize("layers", [(nn.GroupNorm(2, 8), nn.GELU(approximate="tanh")), (nn.Dropout(0.5), nn.Mish()),
                                    (nn.BatchNorm1d(8).eval(), nn.Mish()), (nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 2, 3, padding=1),
                                                                           nn.Flatten(), nn.Mish())],
                         ids=lambda layers: type(layers[0]).__name__)
def test_a_network_that_keeps_rows_apart_trains_without_a_word(layers):
    model = nn.Sequential(nn.Linear(2, 8), *layers, nn.Linear(8, 1))
    modes = [module.training for module in model.modules()]
    sl.fit(model, DATA, steps=2, progress=False)
    assert [module.training for module in model.modules()] == modes


# --- settings: before the first step --------------------------------------------------------------------------------

CALLS = [
    (dict(seed=2**64), ValueError, "seed: expected an integer of 64 bits, got 18446744073709551616"),
    (dict(device="gpu"), ValueError, "device: expected a device that this machine has, as 'cpu' or 'cuda', got 'gpu'"),
    (dict(device="meta"), ValueError, "device: expected a device that holds numbers, got 'meta'"),
    (dict(weight_schedule=(1.0, 1.0)), TypeError, "weight_schedule: expected a function from progress .*, got tuple"),
    (dict(weight_schedule=lambda p: None), ValueError, "weight_schedule: expected it to return 2 weights, got None"),
    (dict(weight_schedule=lambda p: 1.0), ValueError, "weight_schedule: expected it to return 2 weights, got 1.0"),
    (dict(scheduler=lambda adam: None), TypeError, "scheduler: expected a schedule of steps alone, got NoneType"),
    (dict(on_step=3), TypeError, "on_step: expected a function of step and models?, got int"),
]


@pytest.mark.parametrize("settings, error, message", CALLS, ids=[next(iter(settings)) for settings, _, _ in CALLS])
def test_settings_are_checked_before_the_first_step(settings, error, message):
    model = mlp()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=message):
        sl.fit(model, DATA, steps=5, progress=False, **settings)
    with pytest.raises(error, match=message):
        sl.fit_many([model], DATA, steps=5, progress=False, **settings)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_an_optimizer_is_no_text():
    with pytest.raises(TypeError, match="optimizer: expected a torch.optim.Optimizer, its class, or a function .*, got str"):
        sl.fit(mlp(), DATA, optimizer="adam")


@pytest.mark.parametrize("model, loss", [
    (WithoutGraph(), sl.SobolevLoss(0)), (mlp(), sl.SobolevLoss(0, value_loss=lambda prediction, label: torch.zeros(len(label))))])
def test_a_loss_without_a_gradient_is_named(model, loss):
    with pytest.raises(ValueError, match="loss: expected one that depends on the model's parameters, got one without a gradient"):
        sl.fit(model, DATA, loss=loss, steps=2, progress=False)


def test_a_term_of_weight_zero_is_measured_and_order_zero_saves_it():
    measured = sl.fit(mlp(), DATA, loss=sl.SobolevLoss(1, weights=(1.0, 0.0)), steps=3, progress=False).train
    saved = sl.fit(mlp(), DATA, loss=sl.SobolevLoss(0), steps=3, progress=False).train
    assert measured["jacobian"][-1] > 0 and "jacobian" not in saved
    assert measured["loss"] == pytest.approx(saved["loss"], rel=1e-5)


@pytest.mark.parametrize("ask", [
    lambda model: sl.errors(model, DATA), lambda model: sl.label(model, X), lambda model: sl.Teacher(model, X),
    lambda model: sl.SobolevLoss(1)(model, DATA), lambda model: sl.value_and_derivatives(model, X),
    lambda model: sl.StochasticSobolevLoss()(model, DATA)], ids=range(6))
def test_lazy_layers_are_refused_before_they_end_the_process(ask):
    model = nn.Sequential(nn.LazyLinear(8), nn.Mish(), nn.LazyLinear(1))
    with pytest.raises(ValueError, match="model: expected layers that know their sizes, got lazy ones"):
        ask(model)
    model(X)
    ask(model)


def test_complex_parameters_are_refused():
    with pytest.raises(TypeError, match="model: expected parameters of dtype torch.float32 as the inputs have, got torch.complex64"):
        sl.fit(nn.Linear(2, 1, dtype=torch.complex64), DATA)


def test_fit_many_wants_several_networks_that_draw_nothing():
    with pytest.raises(TypeError, match="models: expected a list of networks, got one MLP; fit trains one"):
        sl.fit_many(mlp(), DATA)
    with pytest.raises(ValueError, match="models: expected none that draws at random; train such ones with fit"):
        sl.fit_many([Drawing(), Drawing()], DATA, steps=2, progress=False)


# --- files --------------------------------------------------------------------------------------------------------

def test_a_folder_is_no_file(tmp_path):
    for load in (sl.SobolevRegressor.load, lambda path: load_teacher("pong", path)):
        with pytest.raises(ValueError, match=f"expected a file that can be read, got {tmp_path}"):
            load(tmp_path)


def test_a_record_holds_no_nan(tmp_path):
    path = tmp_path / "step-cost-cpu.json"
    path.write_text('{"experiment": "step-cost", "preset": "cpu", "config": {}, "seeds": [0], "results": {"a": NaN}, '
                    '"provenance": {}}')
    with records.records_in(tmp_path), pytest.raises(ValueError, match=f"record: expected JSON in {path}.*NaN is no number"):
        records.load_record("step-cost")


def test_a_checkpoint_keeps_numpy_numbers_and_refuses_tensors(tmp_path):
    def report(step, model):
        return {"step": np.int64(step), "errors": np.array([0.5, 0.25])}

    options = dict(steps=4, evaluate_every=2, progress=False, on_step=report)
    history = sl.fit(mlp(), DATA, checkpoint=tmp_path / "run", **options)
    again = sl.fit(mlp(), DATA, checkpoint=tmp_path / "run", **options)
    assert len(history.reported) == 2 and again.reported == [{"step": 2, "errors": [0.5, 0.25]}, {"step": 4, "errors": [0.5, 0.25]}]
    with pytest.raises(TypeError, match="checkpoint: expected on_step to return what JSON holds .* got something else: a Tensor"):
        sl.fit(mlp(), DATA, checkpoint=tmp_path / "other", **options | {"on_step": lambda step, model: torch.ones(2)})
    assert not (tmp_path / "other").exists()


# --- check_labels ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("inputs, values", [(1e200, 1e200), (1e-200, 1e-200), (1e200, 1.0), (1.0, 1e-250), (1e-60, 1e60)])
def test_labels_are_checked_whatever_the_units(inputs, values):
    x = np.random.default_rng(0).uniform(1, 2, (100, 2))
    y, dy = x.prod(axis=1), x[:, ::-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right = sl.check_labels(x * inputs, y * values, dy * (values / inputs))
        wrong = sl.check_labels(x * inputs, y * values, -dy * (values / inputs))
    assert right.ok and right.confidence > 0.99 and wrong.problem == "sign"
    assert (right.confidence, wrong.confidence) == (sl.check_labels(x, y, dy).confidence, sl.check_labels(x, y, -dy).confidence)


def test_complex_labels_are_refused():
    x = np.random.default_rng(0).uniform(1, 2, (20, 2))
    with pytest.raises(TypeError, match="y: expected an array of numbers, got ndarray .complex ones"):
        sl.check_labels(x, x.prod(axis=1) + 1j, x[:, ::-1])
    with pytest.raises(TypeError, match="dy: expected an array of numbers, got .* .complex ones"):
        sl.check_labels(x, x.prod(axis=1), torch.tensor(x[:, ::-1].copy()) + 1j)
