"""sl.errors: over the labels that are there, whatever the model, and nothing about the model changes."""
import math

import numpy as np
import pytest
import torch
from torch import nn

import sobolev_lib as sl
from sobolev_lib.models import MLP

NAN = float("nan")


def points(n=20, d=2, seed=0, dtype=torch.float64):
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def vector_function(x):
    return torch.stack([x[:, 0] * x[:, 1], x[:, 0] ** 3, x.sin().sum(1)], 1)


def network(outputs=3, activation="tanh", dtype=torch.float64):
    return MLP(2, 8, outputs, activation=activation, generator=torch.Generator().manual_seed(1), dtype=dtype)


def by_hand(predictions, labels):
    """Mean over an entry's labels, summed over entries, with loops; NaN without labels."""
    found = []
    for p, l in zip(predictions, labels):
        p, l = p.reshape(len(p), -1), l.reshape(len(l), -1)
        means = []
        for k in range(l.shape[1]):
            squares = [float(p[i, k] - l[i, k]) ** 2 for i in range(len(l)) if not math.isnan(l[i, k])]
            means += [sum(squares) / len(squares)] if squares else []
        found.append(sum(means) if means else NAN)
    return found


def test_with_all_labels_it_is_what_the_loss_says(device):
    data = sl.label(vector_function, points(), order=2).to(device)
    model = network().to(device)
    expected = [float(term.detach()) for term in sl.SobolevLoss(2).terms(model, data)]
    assert list(sl.errors(model, data)) == ["value_mse", "jacobian_mse", "hessian_mse"]
    assert list(sl.errors(model, data).values()) == pytest.approx(expected, rel=1e-12)


def test_two_labelled_points_of_twenty_are_averaged_over_two():
    data = sl.label(vector_function, points())
    gaps = data.jacobian.clone()
    gaps[2:] = NAN
    sparse, few = sl.SobolevData(data.inputs, data.values, gaps), data[:2]
    found = sl.errors(network(), sparse)
    assert found["jacobian_mse"] == pytest.approx(sl.errors(network(), few)["jacobian_mse"], rel=1e-12)
    assert found["value_mse"] == sl.errors(network(), data)["value_mse"]


def test_scattered_gaps_agree_with_loops():
    data = sl.label(vector_function, points(), order=2)
    generator = torch.Generator().manual_seed(3)
    tables = [torch.where(torch.rand(t.shape, generator=generator) < 0.4, NAN, t) for t in data.derivatives[1:]]
    tables[0][:, 1, 0] = NAN                               # an entry that no point labels
    sparse, model = sl.SobolevData(data.inputs, data.values, *tables), network()
    expected = by_hand([t.detach() for t in sl.value_and_derivatives(model, data.inputs, 2)], sparse.derivatives)
    assert list(sl.errors(model, sparse).values()) == pytest.approx(expected, rel=1e-12)


def test_per_output_adds_up_to_the_whole():
    data, model = sl.label(vector_function, points(), order=2), network()
    whole, parts = sl.errors(model, data), sl.errors(model, data, per_output=True)
    for name, error in whole.items():
        assert isinstance(error, float) and parts[name].shape == (3,) and parts[name].dtype == np.float64
        assert parts[name].sum() == pytest.approx(error, rel=1e-12)
    second = sl.SobolevData(data.inputs, data.values[:, 1], data.jacobian[:, 1])
    assert sl.errors(lambda x: model(x)[:, 1], second)["jacobian_mse"] == pytest.approx(parts["jacobian_mse"][1])
    assert sl.errors(lambda x: model(x)[:, 1], second, per_output=True)["value_mse"].shape == ()


def test_what_has_no_label_at_all_is_nan():
    data = sl.label(vector_function, points())
    none = sl.SobolevData(data.inputs, data.values, torch.full_like(data.jacobian, NAN))
    found = sl.errors(network(), none)
    assert math.isnan(found["jacobian_mse"]) and math.isfinite(found["value_mse"])
    half = none.jacobian.clone()
    half[:, 0] = data.jacobian[:, 0]
    parts = sl.errors(network(), sl.SobolevData(data.inputs, data.values, half), per_output=True)["jacobian_mse"]
    assert np.isnan(parts).tolist() == [False, True, True]


def test_a_model_that_predicts_nan_is_not_taken_for_one_without_errors():
    data = sl.label(vector_function, points())
    assert math.isnan(sl.errors(lambda x: vector_function(x) * NAN, data)["value_mse"])


def test_many_points_go_through_in_batches_with_the_same_result():
    data, sizes = sl.label(vector_function, points(10_000), order=2), []
    model = network()
    model.register_forward_hook(lambda module, inputs, y: sizes.append(len(y)))
    found = sl.errors(model, data)
    assert len(sizes) > 1 and max(sizes) <= 4096
    model = network()
    expected = [float(t.detach()) for t in sl.SobolevLoss(2).terms(model, data)]
    assert list(found.values()) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("model", [
    network(1), network(1, "relu"), sl.Standardized(network(1), sl.label(sl.functions.booth, points())),
    nn.Sequential(nn.Linear(2, 4, dtype=torch.float64), nn.Mish(), nn.Linear(4, 1, dtype=torch.float64)),
    lambda x: x[:, 0] ** 2, lambda x: x[:, :1] ** 2,
], ids=["closed form", "piecewise linear", "standardized", "autograd", "a function", "a function (N, 1)"])
def test_any_model(model):
    data = sl.label(sl.functions.booth, points())
    y, jacobian = [t.detach() for t in sl.value_and_derivatives(model, data.inputs)]
    found = sl.errors(model, data)
    assert found["value_mse"] == pytest.approx(float((y.reshape(-1) - data.values).square().mean()))
    error = (jacobian.reshape(-1, 2) - data.jacobian).square().sum(1).mean()
    assert found["jacobian_mse"] == pytest.approx(float(error))


class Moody(nn.Module):
    """Batch normalisation that stays as it was trained, dropout, and now and then an exception."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.dropout, self.last = nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1)
        self.norm.eval()
        self.raises = False

    def forward(self, x):
        if self.raises:
            raise RuntimeError("not today")
        return self.last(self.dropout(torch.tanh(self.norm(self.first(x)))))


def state(model):
    return [module.training for module in model.modules()], {k: v.clone() for k, v in model.state_dict().items()}


@pytest.mark.parametrize("raises", [False, True])
def test_modes_weights_and_gradients_stay_as_they_were(raises):
    torch.manual_seed(0)
    model, data = Moody(), sl.label(sl.functions.booth, points(dtype=torch.float32))
    model.first.weight.grad = torch.ones_like(model.first.weight)
    modes, weights = state(model)
    model.raises = raises
    if raises:
        with pytest.raises(RuntimeError, match="not today"):
            sl.errors(model, data)
    else:
        assert sl.errors(model, data) == sl.errors(model, data)              # no dropout
    assert state(model)[0] == modes == [True, True, False, True, True]
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(model.first.weight.grad, torch.ones_like(model.first.weight)) and model.last.weight.grad is None
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_a_caller_may_have_switched_gradients_off(context):
    data, model = sl.label(sl.functions.booth, points()), network(1, "tanh")
    expected = sl.errors(model, data)
    with context():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert sl.errors(model, data) == expected
        assert sl.errors(model, sl.SobolevData(data.inputs.clone(), data.values, data.jacobian)) == expected
        assert sl.errors(nn.Sequential(model, nn.Identity()), data) == pytest.approx(expected)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_any_dtype(dtype, device):
    data = sl.label(sl.functions.booth, points()).to(dtype)
    model = network(1).to(dtype).to(device)                # the data stay where they are
    reference = sl.errors(network(1), sl.label(sl.functions.booth, points()))
    precision = {torch.float64: 1e-9, torch.float32: 1e-5, torch.bfloat16: 0.05}[dtype]
    assert sl.errors(model, data) == pytest.approx(reference, rel=precision)


def test_squares_too_large_for_the_data_are_not():
    x = points(dtype=torch.float16)
    data = sl.SobolevData(x, torch.zeros(20, dtype=torch.float16))
    assert sl.errors(lambda x: 1000 + 0 * x[:, 0], data) == {"value_mse": 1e6}


def test_inputs_of_any_shape():
    x = points(6, 12).reshape(6, 3, 2, 2)
    data = sl.label(lambda x: x.square().flatten(1).sum(1), x)
    assert sl.errors(lambda x: 2 * x.square().flatten(1).sum(1), data)["jacobian_mse"] == pytest.approx(
        float(4 * x.square().flatten(1).sum(1).mean()))


def test_validation_in_fit_counts_labelled_points_only():
    data = sl.label(sl.functions.booth, points())
    gaps = data.jacobian.clone()
    gaps[2:] = NAN
    model, sparse = network(1), sl.SobolevData(data.inputs, data.values, gaps)
    history = sl.fit(model, data, steps=2, validation=sparse, progress=False)
    assert history.validation["jacobian_mse"][-1] == pytest.approx(sl.errors(model, data[:2])["jacobian_mse"], rel=1e-12)


def test_validation_in_fit_restores_each_modules_mode():
    torch.manual_seed(0)
    model, data = Moody(), sl.label(sl.functions.booth, points(dtype=torch.float32))
    sl.fit(model, data, loss=sl.SobolevLoss(0), steps=3, validation=data, progress=False)
    assert state(model)[0] == [True, True, False, True, True]


def test_early_stopping_refuses_a_metric_without_labels():
    data = sl.label(sl.functions.booth, points())
    none = sl.SobolevData(data.inputs, data.values, torch.full_like(data.jacobian, NAN))
    with pytest.raises(ValueError, match="metric: expected validation data with labels for 'jacobian_mse'"):
        sl.fit(network(1), data, steps=3, validation=none, patience=2, metric="jacobian_mse", progress=False)


@pytest.mark.parametrize("call, error, message", [
    (lambda data: sl.errors(network(1), data.inputs), TypeError, "data: expected SobolevData .*got Tensor"),
    (lambda data: sl.errors(None, data), TypeError, "model: expected an nn.Module or a callable, got NoneType"),
    (lambda data: sl.errors(network(2), data), ValueError, r"outputs of shape \(20,\) as the labels have, got \(20, 2\)"),
    (lambda data: sl.errors(network(1).float(), data), TypeError, "parameters of dtype torch.float64"),
    (lambda data: sl.errors(lambda x: x.detach()[:, 0], data), ValueError, "output that depends on the input"),
    (lambda data: sl.errors(network(1), data[:0]), ValueError, "data: expected at least one point"),
])
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(sl.label(sl.functions.booth, points()))
