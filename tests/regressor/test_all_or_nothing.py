"""A regressor is never left between two fits, and never learns or scores rows, columns or values that are not its own."""
import copy

import numpy as np
import pandas as pd
import pytest
import torch

import sobolev_lib as sl

RANDOM = np.random.default_rng(0)
X = pd.DataFrame({"a": RANDOM.uniform(-1, 1, 60), "b": RANDOM.uniform(-1e3, 1e3, 60)})
Y = np.sin(3 * X.a) + X.b / 1e3
DY = np.stack([3 * np.cos(3 * X.a), np.full(60, 1e-3)], axis=1)


def fitted(**settings):
    return sl.SobolevRegressor(hidden=(8,), steps=30, **settings).fit(X, Y, DY)


@pytest.mark.parametrize("settings", [{}, {"warm_start": True}, {"reduce_inputs": "gradients", "warm_start": True}, {"ensemble": 2}])
@pytest.mark.parametrize("spoilt", [
    lambda: (X[["b", "a"]], Y, np.zeros((60, 5))), lambda: (X[["b", "a"]], Y * np.nan, None),
    lambda: (X.assign(c=X.a), Y, np.zeros((60, 7))), lambda: (X.iloc[:5], Y, None)])
def test_a_fit_that_fails_leaves_the_regressor_as_it_was(settings, spoilt, tmp_path):
    regressor = fitted(**settings)
    before = copy.deepcopy(regressor)
    with pytest.raises((ValueError, TypeError)):
        regressor.fit(*spoilt())
    assert vars(regressor).keys() == vars(before).keys()
    assert list(regressor.feature_names_in_) == ["a", "b"] and regressor.n_features_in_ == 2
    assert np.array_equal(regressor.predict(X), before.predict(X))
    regressor.save(tmp_path / "regressor.safetensors")
    assert np.array_equal(sl.SobolevRegressor.load(tmp_path / "regressor.safetensors").predict(X), before.predict(X))


def test_a_warm_start_that_fails_in_training_has_its_weights_back():
    regressor = fitted(warm_start=True)
    before = regressor.predict(X)
    regressor.set_params(lr=1e30)
    with pytest.raises(FloatingPointError):
        regressor.fit(X, Y, DY)
    assert np.array_equal(regressor.predict(X), before)


@pytest.mark.parametrize("other", [X[["b", "a"]], X.rename(columns={"a": "u", "b": "v"})])
def test_a_warm_start_refuses_columns_in_another_order_or_of_other_names(other):
    with pytest.raises(ValueError, match="feature names"):
        fitted(warm_start=True).fit(other, Y, DY)


def test_a_fit_anew_takes_other_columns():
    regressor = fitted().fit(X[["b"]], X.b / 1e3)
    assert list(regressor.feature_names_in_) == ["b"]


def test_a_score_wants_values_of_the_shape_of_predictions():
    x = np.asarray(X)
    two = sl.SobolevRegressor(hidden=(8,), steps=30).fit(x[:2], np.eye(2))
    with pytest.raises(ValueError, match=r"y: expected shape \(2, 2\), as predictions have, got \(4,\)"):
        two.score(x[:2], np.eye(2).reshape(-1))
    one = sl.SobolevRegressor(hidden=(8,), steps=30).fit(x, np.asarray(Y))
    assert one.score(x, np.asarray(Y)[:, None]) == one.score(x, np.asarray(Y))
    for wrong in (np.asarray(Y)[None], np.asarray(Y)[:-1]):
        with pytest.raises(ValueError, match="y: expected shape"):
            one.score(x, wrong)
        with pytest.raises(ValueError, match="y: expected shape"):
            sl.plotting.goodness_of_fit(one, x, wrong)
    with pytest.raises(ValueError, match="y: expected real numbers"):
        one.score(x, np.asarray(Y) * 1j)


@pytest.mark.parametrize("times", [pd.Series(pd.to_timedelta([1.0, np.nan] * 30, unit="s")),
                                   pd.Series(pd.to_datetime(["2026-01-01"] * 60)), np.arange(60).astype("timedelta64[s]")])
def test_times_are_no_numbers(times):
    for call in (lambda: sl.SobolevRegressor(steps=1).fit(X, times), lambda: fitted().score(X, times)):
        with pytest.raises(TypeError, match="y: expected numbers, got dates or times"):
            call()


def test_two_slopes_of_one_name_are_refused():
    with pytest.raises(ValueError, match="names that occur twice"):
        sl.SobolevRegressor(steps=1).fit(X, Y, pd.DataFrame(DY, columns=["a", "a"]))


def test_learning_curves_go_on_where_only_a_part_was_measured():
    regressor = sl.SobolevRegressor(hidden=(8,), steps=50, validation_fraction=0.2).fit(X, Y, DY)
    measured = len(regressor.histories_[0].validation["loss"])
    regressor.partial_fit(X, Y)
    history = regressor.histories_[0]
    assert {len(values) for part in (history.train, history.validation) for values in part.values()} == {len(history.steps)}
    assert np.isnan(history.validation["loss"][measured:]).all() and not np.isnan(history.validation["loss"][:measured]).any()
    axes = sl.plotting.learning_curves(regressor).axes[0]
    assert len(axes.lines) == 2


def test_dollars_in_names_are_no_formulas(tmp_path):
    table = X.rename(columns={"a": "$a^$", "b": "$"})
    regressor = sl.SobolevRegressor(hidden=(8,), steps=5).fit(table, Y, DY)
    for figure in (sl.plotting.sensitivity_profiles(regressor, table), sl.plotting.goodness_of_fit(regressor, table, Y, DY)):
        figure.savefig(tmp_path / "figure.png")


def test_only_what_a_stochastic_loss_projects_matters():
    x = torch.rand(10, 2)
    jacobian, products = torch.rand(10, 3, 2), torch.rand(10, 3, 1, 2)
    data = sl.SobolevData(x, torch.rand(10, 3), jacobian, products, directions=torch.rand(10, 1, 2))
    model = sl.models.MLP(2, 8, 3, activation="tanh")
    assert sl.StochasticSobolevLoss(1)(model, data) > 0
    with pytest.raises(ValueError, match="got directions, too"):
        sl.StochasticSobolevLoss(2)(model, data)
