"""SobolevRegressor: scikit-learn's own checks, derivatives in the right units, saving."""
import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import sobolev_lib as sl


@parametrize_with_checks([sl.SobolevRegressor(hidden=(32,), steps=150, lr=1e-2)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def quadratic(n, seed=0):
    X = np.random.default_rng(seed).uniform(-2, 2, (n, 3))
    A = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.5]])
    return X, 0.5 * np.einsum("ni,ij,nj->n", X, A, X), X @ A


def test_gradients_help_where_values_are_few(device):
    X, y, dy = quadratic(15)
    X_test, y_test, dy_test = quadratic(500, seed=1)
    with_gradients = sl.SobolevRegressor(hidden=(64, 64), steps=600, device=device).fit(X, y, dy)
    without = sl.SobolevRegressor(hidden=(64, 64), steps=600, device=device).fit(X, y)
    error = lambda regressor: np.mean((regressor.predict(X_test) - y_test) ** 2)
    assert error(with_gradients) < 0.2 * error(without)
    assert with_gradients.score(X_test, y_test) > 0.9
    assert np.mean((with_gradients.predict_gradient(X_test) - dy_test) ** 2) < 0.1 * np.mean(dy_test**2)


def test_predicted_gradient_is_the_derivative_of_the_prediction(device):
    X, y, dy = quadratic(30)
    X, y, dy = 1e4 + 50 * X, 1e6 + 300 * y, 300 / 50 * dy       # awkward units
    regressor = sl.SobolevRegressor(hidden=(16,), steps=50, activation="tanh", device=device).fit(X, y, dy)
    step = 1.0
    for axis in range(3):
        move = step * np.eye(3)[axis]
        slope = (regressor.predict(X + move) - regressor.predict(X - move)) / (2 * step)
        np.testing.assert_allclose(regressor.predict_gradient(X)[:, axis], slope, rtol=0.02, atol=0.05)


def test_units_do_not_matter():
    X, y, dy = quadratic(30)
    plain = sl.SobolevRegressor(hidden=(16,), steps=50).fit(X, y, dy)
    scaled = sl.SobolevRegressor(hidden=(16,), steps=50).fit(8 * X, 4 * y, 4 / 8 * dy)
    np.testing.assert_allclose(scaled.predict(8 * X), 4 * plain.predict(X), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(scaled.predict_gradient(8 * X), 0.5 * plain.predict_gradient(X), rtol=1e-3, atol=1e-4)


def test_vector_outputs():
    X, y, dy = quadratic(30)
    regressor = sl.SobolevRegressor(hidden=(16,), steps=20).fit(X, np.stack([y, -y], 1), np.stack([dy, -dy], 1))
    assert regressor.predict(X).shape == (30, 2)
    assert regressor.predict_gradient(X).shape == (30, 2, 3)


def test_missing_gradient_entries_change_nothing_else():
    X, y, dy = quadratic(30)
    dy[::2] = np.nan
    gaps = sl.SobolevRegressor(hidden=(16,), steps=20).fit(X, y, dy)
    assert np.isfinite(gaps.predict_gradient(X)).all()
    dy[:] = np.nan
    none = sl.SobolevRegressor(hidden=(16,), steps=20).fit(X, y, dy)
    plain = sl.SobolevRegressor(hidden=(16,), steps=20).fit(X, y)
    np.testing.assert_allclose(none.predict(X), plain.predict(X), rtol=1e-5, atol=1e-5)


def test_weight_zero_is_plain_regression():
    X, y, dy = quadratic(30)
    zero = sl.SobolevRegressor(hidden=(16,), steps=20, derivative_weight=0.0).fit(X, y, dy)
    plain = sl.SobolevRegressor(hidden=(16,), steps=20).fit(X, y)
    np.testing.assert_allclose(zero.predict(X), plain.predict(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("columns", [None, 2])
def test_save_and_load_predict_the_same(tmp_path, columns, device):
    X, y, dy = quadratic(30)
    if columns:
        y, dy = np.stack([y] * columns, 1), np.stack([dy] * columns, 1)
    regressor = sl.SobolevRegressor(hidden=(16, 8), steps=20, activation="tanh", device=device).fit(X, y, dy)
    regressor.save(tmp_path / "regressor.safetensors")
    loaded = sl.SobolevRegressor.load(tmp_path / "regressor.safetensors")
    assert loaded.get_params() == regressor.get_params() | {"hidden": [16, 8]}
    # what was saved is read back to the CPU, where it rounds differently than on a GPU
    rounding = 0 if device == "cpu" else 1e-9
    for name in ("predict", "predict_gradient"):
        np.testing.assert_allclose(getattr(loaded, name)(X), getattr(regressor, name)(X), rtol=rounding, atol=rounding)


def test_fits_into_scikit_learn_tools():
    X, y, dy = quadratic(30)
    search = GridSearchCV(sl.SobolevRegressor(hidden=(8,), steps=10), {"lr": [1e-3, 1e-2]}, cv=2).fit(X, y)
    assert search.best_params_["lr"] in (1e-3, 1e-2)
    pipeline = make_pipeline(FunctionTransformer(), sl.SobolevRegressor(hidden=(8,), steps=10)).fit(X, y)
    assert pipeline.predict(X).shape == (30,)


def test_leaves_global_random_state_alone():
    X, y, dy = quadratic(10)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    sl.SobolevRegressor(hidden=(8,), steps=5).fit(X, y, dy)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("wrong, error, message", [
    (lambda X, y, dy: sl.SobolevRegressor().fit(X, y, dy[:, :2]), ValueError, r"dy: expected shape \(30, 3\).*\(30, 2\)"),
    (lambda X, y, dy: sl.SobolevRegressor().fit(X, y[:, None], dy), ValueError, r"dy: expected shape \(30, 1, 3\)"),
    (lambda X, y, dy: sl.SobolevRegressor().fit(X, y, "slopes"), TypeError, "dy: expected an array"),
    (lambda X, y, dy: sl.SobolevRegressor(activation="step").fit(X, y, dy), ValueError, "activation: expected one of"),
    (lambda X, y, dy: sl.SobolevRegressor(derivative_weight=-1).fit(X, y, dy), ValueError, "derivative_weight"),
    (lambda X, y, dy: sl.SobolevRegressor(steps=0).fit(X, y, dy), ValueError, "steps: expected a positive"),
    (lambda X, y, dy: sl.SobolevRegressor().predict_gradient(X), ValueError, "not fitted"),
])
def test_bad_input(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong(*quadratic(30))


def test_load_refuses_other_files(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="SobolevRegressor.save"):
        sl.SobolevRegressor.load(tmp_path / "other.safetensors")
