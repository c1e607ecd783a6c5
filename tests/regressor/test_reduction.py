"""reduce_inputs="gradients": directions without slopes are dropped, and nobody notices but by the errors."""
import numpy as np
import pytest
import torch

import sobolev_lib as sl
from sobolev_lib.regressor.reduction import folded, reduction, rotated, unfolded
from sobolev_lib.scaling import ZScores


def quick(**settings):
    return sl.SobolevRegressor(**{"hidden": (32, 32), "activation": "softplus", "steps": 300, "lr": 1e-2,
                                  "reduce_inputs": "gradients"} | settings)


def spread(n, seed=0):
    """Ten correlated inputs in units of their own, and a function of two directions."""
    random, mix = np.random.default_rng(seed), np.random.default_rng(9).normal(size=(10, 3))
    unit = np.geomspace(1e-2, 1e3, 10)
    X = 1 + 0.1 * random.normal(size=(n, 3)) @ mix.T + 0.02 * random.normal(size=(n, 10))
    a, b = np.full(10, 0.1), np.r_[np.ones(5), -np.ones(5)] * 0.3
    y = np.sin(3 * X @ b) + (X @ a) ** 2
    return X * unit, y, (3 * np.cos(3 * X @ b)[:, None] * b + 2 * (X @ a)[:, None] * a) / unit


def scaled(X, y, dy, **more):
    data = sl.SobolevData(X, y, dy, **more)
    return ZScores.of(data).standardize(data)


def test_directions_are_those_that_have_slopes():
    X, y, dy = spread(200)
    data = scaled(X, y, dy)
    R = reduction(data, 1e-4)
    assert R.shape == (2, 10)
    u = data.inputs @ R.T
    torch.testing.assert_close(u.std(dim=0, correction=0), torch.ones(2, dtype=torch.float64))
    # all slopes lie in them: along u, and back along z, they are the same
    along = rotated(data, R)
    torch.testing.assert_close(along.jacobian @ R, data.jacobian)
    torch.testing.assert_close(along.inputs, u)
    weights = np.r_[np.ones(100), np.full(100, 1e-9)]
    of_half = reduction(scaled(X[:100], y[:100], dy[:100]), 1e-4)
    torch.testing.assert_close(reduction(scaled(X, y, dy, weights=weights), 1e-4).abs(), of_half.abs(), rtol=0.2, atol=0.2)
    # two outputs, each of one direction
    Y, dY = X[:, :2], np.tile(np.eye(2, 10), (200, 1, 1))
    assert reduction(scaled(X, Y, dY), 1e-4).shape == (2, 10)


def test_a_folded_network_does_the_same_and_comes_back_bit_for_bit():
    R = reduction(scaled(*spread(200)), 1e-4)
    network = sl.models.MLP(2, 16, 16, 1, activation="tanh", generator=torch.Generator().manual_seed(0))
    z = torch.randn(20, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole = folded(network, R)
    assert whole.sizes == (10, 16, 16, 1)
    back = unfolded(whole, R).float()
    assert all(torch.equal(*pair) for pair in zip(back.parameters(), network.parameters()))
    torch.testing.assert_close(whole(z), network.double()(z @ R.T))


@pytest.mark.slow
def test_signals_in_few_directions_are_learned_better_from_noisy_labels():
    X, y, dy = spread(300)
    random = np.random.default_rng(1)
    noisy = y + random.normal(0, 0.2, 300)
    X_test, y_test, dy_test = spread(500, seed=1)
    errors = {}
    for reduce in (None, "gradients"):
        fitted = quick(reduce_inputs=reduce).fit(X, noisy, dy * random.normal(1, 0.3, (300, 1)))
        values, slopes = fitted.predict(X_test, return_gradient=True)
        errors[reduce] = np.array([np.mean((values - y_test) ** 2), np.mean(((slopes - dy_test) * X.std(0)) ** 2)])
    assert (errors["gradients"] < 0.6 * errors[None]).all()


@pytest.mark.parametrize("outputs, ensemble", [(None, 1), (2, 2)])
def test_predictions_are_in_the_inputs_that_were_given(outputs, ensemble, tmp_path):
    X, y, dy = spread(100)
    if outputs:
        y, dy = np.stack([y, 5 - y], 1), np.stack([dy, -dy], 1)
    fitted = quick(ensemble=ensemble, steps=50).fit(X, y, dy)
    values, slopes = fitted.predict(X, return_gradient=True)
    assert slopes.shape == dy.shape and fitted.reduction_.shape == (2, 10)
    step = 1e-4 * X.std(0)
    differences = np.stack([(fitted.predict(X + move) - fitted.predict(X - move)) / (2 * step[j])
                            for j, move in enumerate(np.diag(step))], axis=-1)
    np.testing.assert_allclose(slopes * X.std(0), differences * X.std(0), atol=1e-6)
    # where nothing was learned, nothing is predicted
    z = (slopes * X.std(0)).reshape(-1, 10)
    assert np.linalg.matrix_rank(z, tol=1e-9 * np.abs(z).max()) == 2
    np.testing.assert_allclose(fitted.to_torch()(torch.as_tensor(X)).detach(), values, rtol=1e-9, atol=1e-9)
    fitted.save(tmp_path / "r.safetensors")
    loaded = sl.SobolevRegressor.load(tmp_path / "r.safetensors")
    assert loaded.reduce_inputs == "gradients" and torch.equal(loaded.reduction_, fitted.reduction_)
    for found, expected in zip(loaded.predict(X, return_gradient=True), (values, slopes)):
        np.testing.assert_array_equal(found, expected)
    for more in (loaded, fitted):
        more.set_params(warm_start=True).fit(X, y, dy)
        more.partial_fit(X[:50], y[:50], dy[:50]).partial_fit(X[50:], y[50:])
        if more is loaded:
            more.save(tmp_path / "r.safetensors")
    np.testing.assert_array_equal(loaded.partial_fit(X, y, dy).predict(X), fitted.partial_fit(X, y, dy).predict(X))
    again = sl.SobolevRegressor.load(tmp_path / "r.safetensors").partial_fit(X, y, dy)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_points_without_any_gradient_and_validation():
    X, y, dy = spread(100)
    dy[::3] = np.nan
    fitted = quick(steps=50, validation_fraction=0.2).fit(X, y, dy)
    assert fitted.reduction_.shape == (2, 10) and fitted.history_.validation["jacobian_mse"]
    assert quick(steps=5).partial_fit(X, y, dy).reduction_.shape == (2, 10)
    assert quick(steps=5, reduce_inputs=None).fit(X, y, dy).reduction_ is None


def test_what_it_can_not_do_is_refused():
    X, y, dy = spread(40)
    some = dy.copy()
    some[3, 1] = some[7, :2] = np.nan
    before = quick(steps=5).fit(X, y, dy)
    predicted = before.predict(X)
    for call, message in (
            (lambda: quick().fit(X, y), "reduce_inputs: expected gradients dy to find directions from, got none"),
            (lambda: before.fit(X, y, some),
             "reduce_inputs: expected whole gradients, or points without any, got 2 of 40 with some partials missing"),
            (lambda: before.partial_fit(X, y, some), "expected whole gradients"),
            (lambda: quick().fit(X, y, np.zeros_like(dy)), "gradients that are known and not zero everywhere, got none"),
            (lambda: quick(reduce_inputs="values").fit(X, y, dy),
             "reduce_inputs: expected \"gradients\", None or \"auto\", got 'values'"),
            (lambda: quick(derivative_weight=np.ones(10)).fit(X, y, dy),
             "derivative_weight: expected a number, or .1, 1. of them"),
            (lambda: before.set_params(reduce_inputs=None).partial_fit(X, y, dy),
             "partial_fit: expected reduce_inputs='gradients' as the networks that are there, got None")):
        with pytest.raises(ValueError, match=message):
            call()
        np.testing.assert_array_equal(before.predict(X), predicted)
    assert quick(steps=5, derivative_weight=[[0.3]]).fit(X, y, dy).score(X, y) < 1
