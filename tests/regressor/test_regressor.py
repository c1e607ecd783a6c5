"""SobolevRegressor: scikit-learn's own checks, derivatives in the right units, saving."""
import json

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import sobolev_lib as sl


@parametrize_with_checks([sl.SobolevRegressor(hidden=(32,), steps=40, lr=3e-2)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def quadratic(n, seed=0):
    X = np.random.default_rng(seed).uniform(-2, 2, (n, 3))
    A = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.5]])
    return X, 0.5 * np.einsum("ni,ij,nj->n", X, A, X), X @ A


def test_gradients_help_where_values_are_few(device):
    X, y, dy = quadratic(15)
    X_test, y_test, dy_test = quadratic(500, seed=1)
    with_gradients = sl.SobolevRegressor(hidden=(64, 64), steps=300, device=device).fit(X, y, dy)
    without = sl.SobolevRegressor(hidden=(64, 64), steps=300, device=device).fit(X, y)
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
    (lambda X, y, dy: sl.SobolevRegressor().fit(X, y[:, None], dy[:, :2]), ValueError, r"dy: expected shape \(30, 1, 3\)"),
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


# --- what must not pass silently ------------------------------------------------------------------------------------

def quick(**settings):
    return sl.SobolevRegressor(**{"hidden": (8,), "steps": 20} | settings)


def test_masked_and_missing_entries_take_no_part():
    X, y, dy = quadratic(20)
    hole = np.zeros(dy.shape, dtype=bool)
    hole[3] = hole[5, 1] = True
    expected = quick().fit(X, y, np.where(hole, np.nan, dy)).predict(X)
    np.testing.assert_array_equal(quick().fit(X, y, np.ma.array(np.where(hole, 1e20, dy), mask=hole)).predict(X), expected)
    gaps = np.zeros(20, dtype=bool)
    gaps[[2, 7]] = True
    missing = quick().fit(X, np.where(gaps, np.nan, y), dy)
    np.testing.assert_array_equal(missing.predict(X), quick().fit(X, np.ma.array(np.where(gaps, 9e36, y), mask=gaps), dy).predict(X))
    assert missing.scaling_.output_mean == pytest.approx(y[~gaps].mean())
    for X_, y_, dy_ in ((np.ma.array(X, mask=hole), y, dy), (X, np.ma.array(y, mask=gaps), None),
                        (X, np.where(gaps, np.nan, y), np.where(gaps[:, None], np.nan, dy))):
        with pytest.raises(ValueError, match="NaN"):
            quick().fit(X_, y_, dy_)


def test_tables_in_another_order_are_matched_by_name():
    pandas = pytest.importorskip("pandas", reason="not installed")
    X, y, dy = quadratic(20)
    table, slopes = pandas.DataFrame(X, columns=list("abc")), pandas.DataFrame(dy, columns=list("abc"))
    right = quick().fit(table, y, slopes)
    np.testing.assert_array_equal(right.predict(table), quick().fit(X, y, dy).predict(X))
    np.testing.assert_array_equal(quick().fit(table, y, slopes[["b", "a", "c"]]).predict(table), right.predict(table))


@pytest.mark.parametrize("size", [1e160, 1e-170])
def test_values_of_any_size(size):
    X, y, dy = quadratic(20)
    plain = quick().fit(X, y, dy)
    np.testing.assert_allclose(quick().fit(X, size * y, size * dy).predict(X) / size, plain.predict(X), rtol=1e-3, atol=1e-3)


def test_numpy_numbers_in_a_grid_and_in_a_file(tmp_path):
    X, y, dy = quadratic(20)
    found = GridSearchCV(quick(), {"steps": np.arange(5, 8), "hidden": [np.int64(4)], "lr": np.array([1e-3])}, cv=2).fit(X, y).best_estimator_
    found.set_params(random_state=np.random.RandomState(0), derivative_weight=np.float32(0.5), device=torch.device("cpu"))
    found.fit(X, y, dy).save(tmp_path / "r.safetensors")
    loaded = sl.SobolevRegressor.load(tmp_path / "r.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), found.predict(X))
    assert loaded.random_state is None and loaded.device == "cpu" and loaded.steps == found.steps


def test_another_default_dtype_changes_nothing(tmp_path):
    X, y, dy = quadratic(20)
    try:
        torch.set_default_dtype(torch.float64)
        regressor = quick().fit(X, y, dy)
        regressor.save(tmp_path / "r.safetensors")
    finally:
        torch.set_default_dtype(torch.float32)
    assert regressor.predict(X).dtype == np.float64 and np.isfinite(regressor.predict(X)).all()
    np.testing.assert_array_equal(sl.SobolevRegressor.load(tmp_path / "r.safetensors").predict(X), regressor.predict(X))


@pytest.fixture
def saved(tmp_path):
    from safetensors import safe_open

    X, y, dy = quadratic(20)
    path = tmp_path / "r.safetensors"
    quick().fit(X, y, dy).save(path)
    with safe_open(path, framework="pt") as file:
        return path, {name: file.get_tensor(name) for name in file.keys()}, file.metadata()["SobolevRegressor"]


WRONG = {
    "no scale": lambda t: t.pop("scaling.input_std"), "one scale": lambda t: t.update({"scaling.input_std": torch.ones(1).double()}),
    "a scale of zero": lambda t: t["scaling.input_std"].zero_(), "NaN": lambda t: t["network.0.weight"].fill_(float("nan")),
    "whole numbers": lambda t: t.update({"network.0.weight": t["network.0.weight"].long()}),
    "an output more": lambda t: t.update({"scaling.output_mean": torch.zeros(2).double()}),
    "a tensor more": lambda t: t.update(other=torch.zeros(2)), "no weights": lambda t: t.pop("network.0.weight"),
}


@pytest.mark.parametrize("kept, now", [(False, ()), (True, (0,)), ([0], (0,))])
def test_a_file_in_which_slopes_were_left_out_of_all_or_none_is_read(kept, now, saved):
    from safetensors.torch import save_file

    path, tensors, header = saved
    told = json.loads(header)
    told["choice"]["plan"]["values_alone"] = kept
    save_file(tensors, path, metadata={"SobolevRegressor": json.dumps(told)})
    assert sl.SobolevRegressor.load(path).choice_.plan.values_alone == now


@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_is_no_whole_regressor_is_refused(what, saved):
    from safetensors.torch import save_file

    path, tensors, header = saved
    save_file(tensors, path, metadata={"SobolevRegressor": header})
    sl.SobolevRegressor.load(path)                         # an earlier version's file has no sum, and is as good
    WRONG[what](tensors)
    save_file(tensors, path, metadata={"SobolevRegressor": header})
    with pytest.raises(ValueError, match="load: expected a file written by SobolevRegressor.save, got .*r.safetensors"):
        sl.SobolevRegressor.load(path)


def test_a_flipped_bit_anywhere_is_noticed(saved):
    path, _, _ = saved
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
        with pytest.raises(ValueError, match="r.safetensors"):
            pytest.fail(f"byte {place}: {sl.SobolevRegressor.load(path)}")
    for length in (0, 5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="r.safetensors"):
            sl.SobolevRegressor.load(path)
