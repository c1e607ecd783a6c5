"""Standardized: z-scores with the chain rule carried through to every order, and undone at prediction."""
import math

import pytest
import reference
import torch
from torch import nn

import sobolev_lib as sl
from sobolev_lib import SobolevData, SobolevLoss
from sobolev_lib.models import MLP
from sobolev_lib.scaling import Standardized, ZScores

DOUBLE = torch.float64


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def uneven(*shape, seed=0):
    """Inputs whose columns have very different means and spreads."""
    z = torch.randn(*shape, generator=seeded(seed), dtype=DOUBLE)
    k = torch.arange(math.prod(shape[1:]), dtype=DOUBLE).reshape(shape[1:])
    return z * 10 ** (k % 5 - 2) + 7 * k


def smooth(weight):
    """R^in -> R^out, nonlinear and on no particular scale."""
    def f(x):
        flat = x.reshape(len(x), -1)
        return 50 * torch.sin(flat @ weight.T) + 3 + 1e-2 * (flat @ weight.T) ** 2
    return f


CASES = pytest.mark.parametrize("in_shape, outputs", [((3,), 2), ((3,), 1), ((1, 2, 3), 2), ((1,), 4)], ids=str)


def case(in_shape, outputs, order, n=6):
    x = uneven(n, *in_shape)
    d = math.prod(in_shape)
    weight = torch.randn(outputs, d, generator=seeded(1), dtype=DOUBLE) / 10 ** (torch.arange(d, dtype=DOUBLE) % 5 - 2)
    return sl.label(smooth(weight), x, order)


def zscored_net(in_shape, outputs):
    d = math.prod(in_shape)
    return nn.Sequential(nn.Flatten(), MLP(d, 5, outputs, activation="tanh", generator=seeded(2), dtype=DOUBLE))


@CASES
def test_inputs_and_values_are_z_scored(in_shape, outputs, device):
    data = case(in_shape, outputs, 0).to(device)
    z = Standardized(zscored_net(in_shape, outputs), data).standardize(data)
    for tensor, shape in ((z.inputs, in_shape), (z.values, (outputs,))):
        torch.testing.assert_close(tensor.mean(0), torch.zeros(shape, dtype=DOUBLE, device=device), rtol=0, atol=1e-12)
        torch.testing.assert_close(tensor.square().mean(0), torch.ones(shape, dtype=DOUBLE, device=device))


@CASES
def test_standardized_labels_equal_autodiff_of_the_rescaled_function(in_shape, outputs, device):
    """g(z) = (f(mean + std z) - mean_y) / std_y, differentiated row by row; no chain rule written down."""
    data = case(in_shape, outputs, 2, n=4).to(device)
    z = Standardized(zscored_net(in_shape, outputs), data).standardize(data)
    mean, std = data.inputs.mean(0), data.inputs.std(0, correction=0)
    y_mean, y_std = data.values.mean(0), data.values.std(0, correction=0)
    d = math.prod(in_shape)
    weight = (torch.randn(outputs, d, generator=seeded(1), dtype=DOUBLE)
              / 10 ** (torch.arange(d, dtype=DOUBLE) % 5 - 2)).to(device)
    g = lambda z: (smooth(weight)(mean + std * z) - y_mean) / y_std
    for ours, expected in zip(z.derivatives, reference.derivatives(g, (data.inputs - mean) / std, 2), strict=True):
        assert reference.relative_error(ours, expected) < 1e-10


@CASES
def test_derivatives_through_the_model_are_in_original_units(in_shape, outputs, device):
    data = case(in_shape, outputs, 2, n=4).to(device)
    model = Standardized(zscored_net(in_shape, outputs), data).to(device)
    mean, std = data.inputs.mean(0), data.inputs.std(0, correction=0)
    y_mean, y_std = data.values.mean(0), data.values.std(0, correction=0)
    by_hand = lambda x: y_mean + y_std * model.model((x - mean) / std)
    torch.testing.assert_close(model(data.inputs), by_hand(data.inputs), rtol=1e-12, atol=1e-12)
    derivatives = sl.value_and_derivatives(model, data.inputs, 2)
    for ours, expected in zip(derivatives, reference.derivatives(by_hand, data.inputs, 2), strict=True):
        assert reference.relative_error(ours, expected) < 1e-10
    # and back again: the model's own labels, z-scored, are the inner network's derivatives at z
    z = model.standardize(SobolevData(data.inputs, *[t.detach() for t in derivatives]))
    for ours, expected in zip(z.derivatives, reference.derivatives(model.model, z.inputs, 2), strict=True):
        assert reference.relative_error(ours, expected) < 1e-9


def test_scalar_labels_without_an_output_axis():
    f = sl.functions.styblinski_tang
    data = sl.label(f, f.sample(20, generator=seeded(0), dtype=DOUBLE), order=2)
    model = Standardized(MLP(2, 5, 1, activation="tanh", generator=seeded(1), dtype=DOUBLE), data)
    assert model(data.inputs).shape == (20, 1)
    flat = Standardized(lambda x: model.model(x)[:, 0], data)
    torch.testing.assert_close(flat(data.inputs), model(data.inputs)[:, 0])
    std = data.values.std(correction=0)
    torch.testing.assert_close(model(data.inputs)[:, 0], data.values.mean() + std * model.model(
        (data.inputs - data.inputs.mean(0)) / data.inputs.std(0, correction=0))[:, 0])
    z = model.standardize(data)
    assert z.values.shape == (20,) and z.jacobian.shape == (20, 2) and z.hessian.shape == (20, 2, 2)
    # minimising the z-scored loss to zero is the same as fitting the original function: errors differ by factors only
    value_term = SobolevLoss(1).terms(model.model, z)[0]
    torch.testing.assert_close(value_term * std**2, SobolevLoss(1).terms(model, data)[0])


def test_a_function_of_one_number():
    x = 100 + 3 * torch.rand(10, generator=seeded(0), dtype=DOUBLE)
    data = sl.label(lambda x: x**3, x, 2)
    model = Standardized(lambda z: z.sin(), data)
    z = model.standardize(data)
    scale, value_scale = x.std(correction=0), (x**3).std(correction=0)
    torch.testing.assert_close(z.jacobian, 3 * x**2 * scale / value_scale)
    torch.testing.assert_close(z.hessian, 6 * x * scale**2 / value_scale)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE], ids=str)
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8 / 3, -1e-30])
def test_columns_that_do_not_vary_have_the_scale_that_slopes_tell(constant, dtype):
    x = torch.randn(50, 3, generator=seeded(0), dtype=dtype)
    x[:, 1] = constant
    values = torch.stack([x[:, 0], torch.full((50,), constant, dtype=dtype)], 1)
    alone = Standardized(nn.Linear(3, 2, dtype=dtype), SobolevData(x, values))
    assert alone.input_std[1] == 1 and alone.output_std[1] == 1 and alone.input_std[0] != 1
    data = SobolevData(x, values, torch.ones(50, 2, 3, dtype=dtype))
    model = Standardized(nn.Linear(3, 2, dtype=dtype), data)
    z = model.standardize(data)
    assert z.inputs[:, 1].abs().max() <= 1e-6 * max(1, abs(constant)) and all(t.isfinite().all() for t in z.tensors)
    # an output that doesn't vary rises by as much as over the inputs that do; an input that doesn't has slopes of size one
    torch.testing.assert_close(z.jacobian[:, 1, [0, 2]].square().sum(1), torch.ones(50, dtype=dtype))
    torch.testing.assert_close(z.jacobian[:, :, 1].square().mean(), torch.tensor(1, dtype=dtype))
    assert model(x).isfinite().all()


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_no_z_score_depends_on_the_unit_of_what_does_not_vary(unit):
    x = torch.randn(50, 3, generator=seeded(0), dtype=DOUBLE)
    x[:, 1], slopes = 2.0, torch.randn(50, 1, 3, generator=seeded(1), dtype=DOUBLE)
    values = torch.full((50, 1), 5.0, dtype=DOUBLE)
    ours = ZScores.of(SobolevData(x, values, slopes)).standardize(SobolevData(x, values, slopes))
    scaled, steep = x * torch.tensor([1, unit, 1]), slopes / torch.tensor([1, unit, 1])
    for data in (SobolevData(scaled, values, steep), SobolevData(x, values * unit, slopes * unit)):
        theirs = ZScores.of(data).standardize(data)
        torch.testing.assert_close(theirs.jacobian, ours.jacobian)
        torch.testing.assert_close(theirs.inputs, ours.inputs)


def test_a_point_of_weight_zero_does_not_decide_what_counts_as_constant():
    x = torch.rand(50, 2, generator=seeded(0))
    y, weights = 1e-3 * (3 * x[:, 0]).sin(), torch.ones(50)
    without = ZScores.of(SobolevData(x[1:], y[1:], weights=weights[1:] / 2))
    y[0], x[0, 1], weights[0] = -9999.0, 1e9, 0.0
    found = ZScores.of(SobolevData(x, y, weights=weights))
    for name in vars(found):
        torch.testing.assert_close(getattr(found, name), getattr(without, name))


def test_a_column_of_rounding_noise_counts_as_constant():
    x = torch.randn(50, 2, generator=seeded(0), dtype=DOUBLE)
    x[:, 1] = 0.3
    x[::2, 1] = 0.1 + 0.2  # one unit in the last place away
    model = Standardized(nn.Linear(2, 1, dtype=DOUBLE), SobolevData(x, x[:, 1]))
    assert x[:, 1].std() > 0 and model.input_std[1] == 1 and model.output_std == 1


def test_one_point_is_enough():
    data = SobolevData([[1.0, 2.0]], [3.0], [[4.0, 5.0]])
    model = Standardized(nn.Linear(2, 1), data)
    z = model.standardize(data)
    assert z.inputs.tolist() == [[0, 0]] and z.values.tolist() == [0] and z.jacobian.tolist() == [[1, 1]]


def test_missing_entries_stay_missing(device):
    data = case((3,), 2, 2).to(device)
    data.jacobian[1, 0, 2] = float("nan")
    data.hessian[2] = float("nan")
    z = Standardized(zscored_net((3,), 2), data).standardize(data)
    for ours, given in zip(z.derivatives, data.derivatives):
        assert torch.equal(ours.isnan(), given.isnan())


def test_the_scales_belong_to_the_training_data_and_travel_with_the_model(device):
    data, other = case((3,), 2, 1, n=8), case((3,), 2, 1, n=3)
    model = Standardized(zscored_net((3,), 2), data).to(device)
    data, other = data.to(device), other.to(device)
    part = model.standardize(other)
    torch.testing.assert_close(part.inputs * data.inputs.std(0, correction=0) + data.inputs.mean(0), other.inputs)
    again = Standardized(zscored_net((3,), 2).to(device), other)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(data.inputs), model(data.inputs))
    assert model.float()(data.inputs.float()).dtype == torch.float32
    assert len(list(model.parameters())) == 4, "scales must not be trained"


@pytest.mark.parametrize("size", [1e160, 1e300, 1e-170, 1e-300])
def test_numbers_whose_squares_leave_the_range_are_scaled_all_the_same(size):
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    data = sl.SobolevData(x * size, x[:, 0] * size)
    scaled = sl.Standardized(torch.nn.Identity(), data).standardize(data)
    for tensor in (scaled.inputs[:, 0], scaled.values):
        torch.testing.assert_close(tensor, (x / x.std(correction=0))[:, 0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_numbers_that_vary_are_no_constants(dtype):
    x = (10 + 0.05 * torch.arange(-4, 5))[:, None].to(dtype)
    assert x.float().std() > 0
    model = sl.Standardized(torch.nn.Identity(), sl.SobolevData(x, x[:, 0]))
    torch.testing.assert_close(model.input_std.float(), x.float().std(0, correction=0), rtol=1e-2, atol=0)
    flat = sl.Standardized(torch.nn.Identity(), sl.SobolevData(torch.full((5, 1), 10.1, dtype=dtype), x[:5, 0]))
    assert float(flat.input_std) == 1


@pytest.mark.parametrize("outputs", [None, 2])
def test_a_teacher_in_z_scores_answers_what_its_labels_become(outputs):
    f = lambda x: x.prod(1) if outputs is None else torch.stack([x.prod(1), x.square().sum(1)], 1)
    x = 5 + 3 * torch.randn(9, 3, dtype=DOUBLE, generator=seeded(0))
    data = sl.label(f, x, 2)
    scores = ZScores.of(data)
    expected, teacher = scores.standardize(data), scores.standardize(sl.Teacher(f, x))
    torch.testing.assert_close(teacher.up_to(2).tensors, expected.tensors)
    torch.testing.assert_close(teacher[2:5].up_to(1).tensors, expected[2:5].up_to(1).tensors)
    torch.testing.assert_close(scores.jacobian(expected.jacobian), data.jacobian)
    torch.testing.assert_close(scores.outputs(expected.values), data.values)


def test_scores_are_shared_by_models():
    x = torch.randn(9, 2, dtype=DOUBLE, generator=seeded(0))
    data = SobolevData(x, x.sum(1))
    one, other = Standardized(nn.Linear(2, 1, dtype=DOUBLE), data), nn.Linear(2, 1, dtype=DOUBLE)
    again = Standardized(other, one.scores)
    other.load_state_dict(one.model.state_dict())
    assert torch.equal(again(x), one(x)) and all(torch.equal(a, b) for a, b in zip(again.buffers(), one.buffers()))
