"""A scaler that changes X or y and not dy is noticed, and nothing else is taken for one."""
import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import sobolev_lib as sl
from sobolev_lib.regressor.scaled_inputs import scaler_at_work

FUNCTIONS = {
    "product": lambda X: (np.sin(X[:, 0]) * X[:, 1], np.stack([np.cos(X[:, 0]) * X[:, 1], np.sin(X[:, 0])], 1)),
    "exponential": lambda X: (np.exp(X @ [1, 0.3]), np.exp(X @ [1, 0.3])[:, None] * np.array([1, 0.3])),
    "fifth power": lambda X: ((X**5).sum(1), 5 * X**4),
    "waves": lambda X: (np.sin(4 * X[:, 0]) + X[:, 1], np.stack([4 * np.cos(4 * X[:, 0]), 1 + 0 * X[:, 1]], 1)),
}


def labelled(name, n, size, seed):
    X = np.random.default_rng(seed).uniform(-size, size, (n, 2))
    return X, *FUNCTIONS[name](X)


def quick():
    return sl.SobolevRegressor(hidden=(8,), steps=5)


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()])
def test_a_scaler_in_a_pipeline_is_named(scaler):
    X, y, dy = labelled("product", 30, 1.0, seed=3)
    with config_context(enable_metadata_routing=True):
        with pytest.warns(UserWarning, match="X comes from a scaler .* and dy does not.*a step before .* in a pipeline"):
            make_pipeline(scaler, quick()).fit(X, y, dy=dy)


def test_a_scaled_target_is_named():
    X, y, dy = labelled("product", 60, 1.0, seed=3)
    with pytest.warns(UserWarning, match="y comes from a scaler .*TransformedTargetRegressor"):
        TransformedTargetRegressor(quick(), transformer=StandardScaler()).fit(X, y, dy=dy)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_labels_that_were_scaled_as_well_pass(name, noise):
    for n, size, seed in ((30, 1.0, 10), (30, 2.0, 11), (200, 1.0, 12), (200, 3.0, 13)):
        X, y, dy = labelled(name, n, size, seed)
        random = np.random.default_rng(seed)
        y, dy = y + noise * y.std() * random.normal(size=n), dy + noise * dy.std(0) * random.normal(size=dy.shape)
        Z, ys = (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()
        for x_, y_, dy_ in ((X, y, dy), (Z, y, dy * X.std(0)), (X, ys, dy / y.std()), (Z, ys, dy * X.std(0) / y.std())):
            assert scaler_at_work(x_, y_[:, None], dy_[:, None]) is None


@pytest.mark.parametrize("name", FUNCTIONS)
def test_labels_that_were_not_scaled_are_found_where_points_are_dense(name):
    X, y, dy = labelled(name, 200, 1.0, seed=20)
    for Z in ((X - X.mean(0)) / X.std(0), (X - X.min(0)) / np.ptp(X, axis=0)):
        assert "X comes from a scaler" in scaler_at_work(Z, y[:, None], dy[:, None])


def test_noisy_pathwise_labels_by_their_means():
    random, n, d = np.random.default_rng(5), 2048, 5
    X = random.normal(1, 0.3, (n, d))
    ends = X + random.normal(0, 0.4, (n, d))
    on = ends.mean(1) > 1
    y, dy = np.where(on, ends.mean(1) - 1, 0.0), on[:, None] * np.full((n, d), 1 / d)
    Z = (X - X.mean(0)) / X.std(0)
    assert "X comes from a scaler" in scaler_at_work(Z, y[:, None], dy[:, None])
    assert scaler_at_work(Z, y[:, None], (dy * X.std(0))[:, None]) is None


def test_nothing_is_said_without_labels_or_points():
    X = np.array([[-1.0], [1.0]] * 3)
    assert scaler_at_work(X, X, np.full((6, 1, 1), np.nan)) is None
    X = np.linspace(-1, 1, 50)[:, None]
    X = (X - X.mean()) / X.std()
    assert scaler_at_work(X, np.ones((50, 1)), np.ones((50, 1, 1))) is None
    assert scaler_at_work(X, X**2, np.full((50, 1, 1), np.nan)) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick().fit(X, X[:, 0] ** 2, np.full((50, 1), np.nan))
