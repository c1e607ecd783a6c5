"""SobolevRegressor: weights, scores, metadata routing, validation, going on, optimisers, ensembles, PyTorch modules."""
import functools
import os
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from forks import fork, run_code
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sobolev_lib as sl
from sobolev_lib.training.estimating import Settings


def saddle(n=40, seed=0):
    X = np.random.default_rng(seed).uniform(-1, 1, (n, 2))
    return X, np.sin(X[:, 0]) * X[:, 1], np.stack([np.cos(X[:, 0]) * X[:, 1], np.sin(X[:, 0])], 1)


def quick(**settings):
    return sl.SobolevRegressor(**{"hidden": (16,), "steps": 30} | settings)


def error(regressor, X, y):
    return np.sqrt(np.mean((regressor.predict(X) - y) ** 2))


# --- weights --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("ensemble", [1, 2])
def test_a_whole_weight_is_as_good_as_copies(ensemble):
    X, y, dy = saddle()
    dy[3, 1] = y[7] = np.nan
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    make = lambda: quick(ensemble=ensemble, batch_size=16)
    copies = make().fit(*[np.repeat(table, counts, axis=0) for table in (X, y, dy)])
    weighted = make().fit(X, y, dy, sample_weight=counts)
    np.testing.assert_array_equal(weighted.predict(X), copies.predict(X))
    np.testing.assert_allclose(weighted.scaling_.input_std, np.repeat(X, counts, axis=0).std(0))
    # the unit of weights is nobody's business
    np.testing.assert_allclose(make().fit(X, y, dy, sample_weight=1e3 * counts).predict(X), weighted.predict(X), atol=1e-4)
    alike = make().fit(X, y, dy, sample_weight=np.full(40, 3.0))
    np.testing.assert_array_equal(alike.predict(X), make().fit(X, y, dy).predict(X))


def test_wrong_points_of_little_weight_do_little_harm():
    X, y, dy = saddle(80)
    spoilt = y.copy()
    spoilt[::4] += 2
    weights = np.where(np.arange(80) % 4, 1.0, 1e-3)
    settings = {"hidden": (32, 32), "steps": 200, "batch_size": 20}
    weighted, plain = (quick(**settings).fit(X, spoilt, dy, sample_weight=w) for w in (weights, None))
    assert error(weighted, X[1::4], y[1::4]) < 0.3 * error(plain, X[1::4], y[1::4])


@pytest.mark.slow
def test_derivative_weights_by_input_and_output():
    X, y, dy = saddle()
    Y, dY = np.stack([y, -y], 1), np.stack([dy, -dy], 1)
    plain = lambda weight: quick(derivative_weight=weight).fit(X, Y, dY).predict(X)
    same = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    for weight in ([0.3, 0.3], [[0.3], [0.3]], 0.3 * np.ones((2, 2)), torch.full((2, 2), 0.3)):
        same(plain(weight), plain(0.3))
    # the weighted input's slopes are learned, the other's are not
    X, y, dy = saddle(12)
    dy[:, 1] *= -1                                         # contradicts the values
    learn = lambda w: quick(hidden=(64, 64), steps=600, derivative_weight=w).fit(X, y, dy)
    slopes = {w: learn(w).predict_gradient(X) - dy for w in ((1, 0), (0, 1))}
    for used in (0, 1):
        given = [np.abs(slopes[w][:, used]).mean() for w in ((1, 0), (0, 1))]
        assert given[used] < 0.2 * given[1 - used]


@pytest.mark.parametrize("weight", [
    [1.0], [1.0, 2.0, 3.0], [1.0, -1.0], [1.0, np.nan], "much", np.ones((2, 1)), [[1.0, 2.0], [1.0]]])
def test_derivative_weights_that_do_not_fit_are_refused(weight):
    with pytest.raises(ValueError, match=r"derivative_weight: expected a number >= 0, or \(2,\) of them"):
        quick(derivative_weight=weight).fit(*saddle())


def test_slopes_teach_where_no_value_is_known():
    X, y, dy = saddle(40)
    known = np.where(np.arange(40) < 4, y, np.nan)
    taught = quick(hidden=(64, 64), steps=300).fit(X, known, dy)
    alone = quick(hidden=(64, 64), steps=300).fit(X[:4], y[:4], dy[:4])
    assert error(taught, X, y) < 0.25 * error(alone, X, y)
    with pytest.raises(ValueError, match="expected a value of each output at some point"):
        quick().fit(X, np.full(40, np.nan), dy)


# --- answers --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("outputs", [None, 3])
@pytest.mark.parametrize("ensemble", [1, 3])
def test_values_and_gradients_from_one_pass(outputs, ensemble, monkeypatch):
    X, y, dy = saddle()
    if outputs:
        y, dy = np.stack([y] * outputs, 1), np.stack([dy] * outputs, 1)
    regressor = quick(ensemble=ensemble).fit(X, y, dy)
    values, gradients = regressor.predict(X, return_gradient=True)
    np.testing.assert_allclose(values, regressor.predict(X), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(gradients, regressor.predict_gradient(X))
    assert values.shape == y.shape and gradients.shape == dy.shape
    monkeypatch.setattr("sobolev_lib.regressor.answers.BYTES", 2000)                             # a point or a few at a time
    for whole, pieces in zip((values, gradients), regressor.predict(X, return_gradient=True)):
        np.testing.assert_allclose(pieces, whole, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(regressor.predict(X.astype(np.float32), return_gradient=True)[1], gradients, atol=1e-5)


MEMORY = """
import numpy as np, re
import sobolev_lib as sl
def now(what): return 1024 * int(re.search(what + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
X = np.random.default_rng(0).uniform(-1, 1, (120_000, 16))
regressor = sl.SobolevRegressor(hidden=(16, 16), steps=2).fit(X[:100], X[:100].sum(1), np.ones((100, 16)))
regressor.predict(X[:20_000], return_gradient=True)
open("/proc/self/clear_refs", "w").write("5")
before = now("VmRSS")
found = regressor.predict(X, return_gradient=True)
print((now("VmHWM") - before) / sum(table.nbytes for table in found))
"""


def test_gradients_take_little_more_memory_than_their_own(tmp_path):
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("the peak of memory can be reset on Linux only")
    process = fork(run_code, MEMORY, output=tmp_path / "output")
    process.join(120)
    printed = (tmp_path / "output").read_text()
    assert process.exitcode == 0, printed
    assert 0.9 < float(printed) < 1.5                      # the tables themselves take as much


def test_score_gradient_is_the_share_that_is_predicted():
    X, y, dy = saddle()
    regressor = quick(steps=150).fit(X, y, dy)
    predicted, spread = regressor.predict_gradient(X), X.std(0)
    expected = 1 - (((predicted - dy) * spread) ** 2).sum() / ((dy * spread) ** 2).sum()
    assert regressor.score_gradient(X, dy) == pytest.approx(expected) and 0.5 < expected < 1
    assert regressor.score_gradient(X, predicted) == pytest.approx(1)
    half = np.where(np.arange(40)[:, None] < 20, dy, np.nan)
    assert regressor.score_gradient(X, half) == pytest.approx(regressor.score_gradient(X[:20], dy[:20]))
    weights = np.arange(40.0)
    copies = np.repeat(np.arange(40), np.arange(40))
    assert regressor.score_gradient(X, dy, weights) == pytest.approx(regressor.score_gradient(X[copies], dy[copies]))
    # other units change nothing
    assert quick(steps=150).fit(8 * X, 4 * y, dy / 2).score_gradient(8 * X, dy / 2) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ValueError, match="dy: expected slopes to compare with"):
        regressor.score_gradient(X, np.zeros_like(dy))
    with pytest.raises(ValueError, match=r"dy: expected shape \(40, 2\)"):
        regressor.score_gradient(X, dy[:, :1])


# --- scikit-learn's tools -------------------------------------------------------------------------------------------

def test_searches_pass_slopes_on_and_score_by_them():
    X, y, dy = saddle(40)
    assert cross_val_score(quick(steps=50, lr=2e-2), X, y, params={"dy": dy}, cv=2).min() > 0.5   # no routing needed
    with config_context(enable_metadata_routing=True):
        for scoring in (sl.gradient_scorer, sl.GradientScorer(0.5)):
            search = GridSearchCV(quick(steps=50, lr=2e-2), {"derivative_weight": [0.0, 1.0]}, scoring=scoring, cv=2)
            search.fit(X, y, dy=dy)
            assert search.best_params_ == {"derivative_weight": 1.0}
            assert search.cv_results_["mean_test_score"][1] > 0.5
        steps = make_pipeline(FunctionTransformer(), quick(steps=50, lr=2e-2))
        scores = cross_val_score(steps, X, y, params={"dy": dy}, cv=2, scoring=sl.gradient_scorer)
        assert scores.min() > 0.5
        best = search.best_estimator_
        both = (best.score(X, y) + best.score_gradient(X, dy)) / 2
        assert sl.GradientScorer(0.5)(best, X, y, dy=dy) == pytest.approx(both)
        asking = quick().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        weighted = GridSearchCV(asking, {"lr": [1e-3]}, cv=2).fit(X, y, dy=dy, sample_weight=np.ones(40))
        assert weighted.best_params_ == {"lr": 1e-3}
        np.testing.assert_array_equal(make_pipeline(quick()).fit(X, y, dy=dy).predict(X, return_gradient=True)[1],
                                      quick().fit(X, y, dy).predict_gradient(X))
    with pytest.raises(ValueError, match="dy: expected gradients to score with, got none; switch on"):
        sl.gradient_scorer(quick().fit(X, y, dy), X, y)
    with pytest.raises(ValueError, match="weight: expected a number from 0 to 1"):
        sl.GradientScorer(2)


def test_a_transformed_target_has_transformed_slopes():
    X, y, dy = saddle(60)
    y, dy = np.exp(3 * y), np.exp(3 * y)[:, None] * 3 * dy
    with config_context(enable_metadata_routing=True):
        logs = TransformedTargetRegressor(quick(hidden=(32, 32), steps=400), func=np.log, inverse_func=np.exp)
        logs.fit(X, y, dy=dy / y[:, None])
    assert logs.score(X, y) > 0.98


# --- validation, going on -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("ensemble", [1, 2])
def test_held_out_points_stop_the_training_and_the_best_weights_stay(ensemble):
    X, y, dy = saddle(30)
    y, dy = y + np.random.default_rng(1).normal(0, 1, 30), dy + np.random.default_rng(2).normal(0, 1, dy.shape)
    settings = {"hidden": (64, 64), "steps": 1000, "lr": 1e-2, "schedule": "constant", "ensemble": ensemble}
    regressor = quick(**settings, validation_fraction=0.3, patience=10).fit(X, y, dy)
    for history in regressor.histories_:
        assert history.stopped_early and history.steps[-1] < 1000
        losses = history.validation["loss"]
        assert history.best_step == history.steps[int(np.argmin(losses))] and np.argmin(losses) == len(losses) - 11
    data, held = sl.training.estimating.held_out(sl.SobolevData(X, y, dy), 0.3, 0)
    assert (len(data), len(held)) == (21, 9)
    assert sorted(data.inputs[:, 0].tolist() + held.inputs[:, 0].tolist()) == sorted(X[:, 0].tolist())
    if ensemble == 1:
        # the best weights, not the last: the loss there is the lowest that was measured
        random = np.random.RandomState(0).randint(2**31 - 1)
        data, held = sl.training.estimating.held_out(sl.SobolevData(X, y, dy), 0.3, int(random))
        measured = sl.errors(regressor.to_torch(), held)["value_mse"]
        unit = float(regressor.scaling_.output_std) ** 2
        assert measured == pytest.approx(history.validation["value_mse"][int(np.argmin(losses))] * unit, rel=1e-3)


@pytest.mark.parametrize("fraction, message", [
    (1.0, "from 0 to below 1"), (-0.1, "from 0 to below 1"), (0.99, "leave points to train on")])
def test_validation_fractions_out_of_range(fraction, message):
    with pytest.raises(ValueError, match=f"validation_fraction: expected .*{message}"):
        quick(validation_fraction=fraction).fit(*saddle(3))


def test_warm_start_goes_on():
    X, y, dy = saddle()
    regressor = quick(steps=100, warm_start=True, schedule="constant")
    first = error(regressor.fit(X, y, dy), X, y)
    scaling = regressor.scaling_
    assert error(regressor.fit(X, y, dy), X, y) < first and regressor.scaling_ is scaling
    cold = quick(steps=100, schedule="constant").fit(X, y, dy)
    again = cold.predict(X)
    np.testing.assert_array_equal(cold.fit(X, y, dy).predict(X), again)
    for change in ({"hidden": (8,)}, {"activation": "tanh"}, {"ensemble": 2}):
        with pytest.raises(ValueError, match="warm_start: expected data and parameters of the networks that are there"):
            pickle.loads(pickle.dumps(regressor)).set_params(**change).fit(X, y, dy)
    with pytest.raises(ValueError, match="1 features, but SobolevRegressor is expecting 2"):
        regressor.fit(X[:, :1], y, dy[:, :1])


@pytest.mark.parametrize("ensemble", [1, 2])
def test_partial_fit_takes_points_as_they_come(ensemble):
    X, y, dy = saddle(200)
    regressor = quick(hidden=(32,), batch_size=25, lr=1e-2, ensemble=ensemble)
    errors = []
    for k in range(20):
        rows = slice(50 * (k % 4), 50 * (k % 4 + 1))
        assert regressor.partial_fit(X[rows], y[rows], dy[rows]) is regressor
        errors.append(error(regressor, X, y))
    assert errors[-1] < 0.3 * errors[0] and len(regressor.histories_) == ensemble
    assert regressor.history_.steps == list(range(1, 41)) and len(regressor.history_.train["loss"]) == 40
    # Adam goes on where it was, through a file of pickle's too: the same as without
    copy = pickle.loads(pickle.dumps(regressor))
    np.testing.assert_array_equal(copy.partial_fit(X, y, dy).predict(X), regressor.partial_fit(X, y, dy).predict(X))
    # and after fit, from its weights
    fitted = quick(steps=100).fit(X, y, dy)
    before = error(fitted, X, y)
    assert error(fitted.set_params(lr=1e-4).partial_fit(X, y), X, y) < 2 * before
    with pytest.raises(ValueError, match="y: expected values of shape"):
        fitted.partial_fit(X, np.stack([y, y], 1))
    with pytest.raises(ValueError, match="features"):
        fitted.partial_fit(X[:, :1], y)
    with pytest.raises(ValueError, match="partial_fit: expected optimizer=\"adam\""):
        quick(optimizer="lbfgs").partial_fit(X, y)


# --- how it is trained ----------------------------------------------------------------------------------------------

def test_lbfgs_in_double_precision_is_exact_on_few_points():
    X, y, dy = saddle(15)
    settings = {"hidden": (20, 20), "activation": "tanh", "steps": 200}
    found = sl.SobolevRegressor(**settings, optimizer="lbfgs", dtype="float64").fit(X, y, dy)
    assert error(found, X, y) < 0.2 * error(sl.SobolevRegressor(**settings).fit(X, y, dy), X, y)
    assert np.abs(found.predict_gradient(X) - dy).max() < 1e-2


@pytest.mark.parametrize("settings", [
    {"optimizer": torch.optim.RMSprop}, {"optimizer": functools.partial(torch.optim.SGD, lr=1e-2)}, {"weight_decay": 0.1},
    {"schedule": "cosine"}, {"schedule": "constant"},
    {"schedule": functools.partial(torch.optim.lr_scheduler.ExponentialLR, gamma=0.99)},
    {"epochs": 4, "batch_size": 10}, {"dtype": "float64"}, {"batch_size": None}], ids=str)
@pytest.mark.parametrize("ensemble", [1, 2])
def test_optimisers_schedules_and_the_like(settings, ensemble, tmp_path):
    X, y, dy = saddle()
    regressor = quick(ensemble=ensemble, **settings).fit(X, y, dy)
    assert regressor.history_.train["loss"][-1] < regressor.history_.train["loss"][0]
    assert regressor.history_.steps[-1] == (16 if "epochs" in settings else 30)
    regressor.save(tmp_path / "r.safetensors")
    np.testing.assert_array_equal(sl.SobolevRegressor.load(tmp_path / "r.safetensors").predict(X), regressor.predict(X))
    assert repr(clone(regressor)) == repr(regressor)


def test_weight_decay_keeps_weights_small():
    X, y, dy = saddle()
    free, pulled = (quick(steps=150, weight_decay=decay).fit(X, y, dy).network_ for decay in (0.0, 1.0))
    norm = lambda network: sum(float(p.detach().square().sum()) for p in network.parameters())
    assert norm(pulled) < 0.7 * norm(free)


@pytest.mark.parametrize("settings, message", [
    ({"optimizer": "newton"}, "optimizer: expected one of adam, lbfgs or a callable, got 'newton'"),
    ({"schedule": "steps"}, "schedule: expected one of one-cycle, cosine, constant or a callable"),
    ({"optimizer": "lbfgs", "weight_decay": 0.1}, "weight_decay: expected 0 beside optimizer='lbfgs'"),
    ({"weight_decay": -1.0}, "weight_decay: expected a number >= 0"), ({"epochs": 0}, "epochs: expected a positive integer"),
    ({"dtype": "float16"}, "dtype: expected \"float32\", \"float64\" or \"auto\""), ({"ensemble": 0}, "ensemble: expected a positive"),
    ({"patience": 0}, "patience: expected a positive"), ({"lr": 0}, "lr: expected a positive"),
    ({"batch_size": 0}, "batch_size: expected a positive")])
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        quick(**settings).fit(*saddle())


def test_epochs_are_counted_in_batches():
    assert Settings(epochs=3, batch_size=10).steps_for(25) == 9 and Settings(epochs=3, batch_size=None).steps_for(25) == 3
    assert Settings(epochs=np.int64(2), batch_size=np.int64(100)).steps_for(25) == 2


# --- ensembles ------------------------------------------------------------------------------------------------------

def test_an_ensemble_is_the_mean_of_networks_trained_alone():
    X, y, dy = saddle()
    regressor = quick(ensemble=3).fit(X, y, dy)
    np.testing.assert_allclose(quick().fit(X, y, dy).network_(torch.zeros(1, 2).double()).detach(),
                               regressor.networks_[0](torch.zeros(1, 2).double()).detach(), atol=1e-4)
    values, std = regressor.predict(X, return_std=True)
    z = regressor.scaling_.inputs(torch.as_tensor(X))
    members = np.stack([regressor.scaling_.outputs(network(z)[:, 0]).detach().numpy() for network in regressor.networks_])
    np.testing.assert_allclose(values, members.mean(0))
    np.testing.assert_allclose(std, members.std(0, ddof=1))
    all_three = regressor.predict(X, return_std=True, return_gradient=True)
    assert [table.shape for table in all_three] == [(40,), (40,), (40, 2)]
    with pytest.raises(ValueError, match="return_std: expected an ensemble=2 or more"):
        quick().fit(X, y, dy).predict(X, return_std=True)


def test_the_spread_is_calibrated_on_held_out_points():
    X, y, dy = saddle(300)
    y = y + np.random.default_rng(1).normal(0, 0.3, 300)
    regressor = quick(ensemble=4, steps=200, validation_fraction=0.3).fit(X, y)
    X_test, y_test, _ = saddle(2000, seed=9)
    y_test = y_test + np.random.default_rng(2).normal(0, 0.3, 2000)
    values, std = regressor.predict(X_test, return_std=True)
    assert 0.5 < np.sqrt(np.mean((values - y_test) ** 2) / np.mean(std**2)) < 2
    assert float(regressor.std_scale_[0]) > 3              # networks agree on more than they know


def test_a_network_that_diverges_is_an_error():
    with pytest.raises(FloatingPointError, match="no longer finite"):
        quick(ensemble=2, lr=1e30, schedule="constant").fit(*saddle())


# --- files and modules ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("ensemble", [1, 3])
def test_a_file_keeps_history_and_ensemble(ensemble, tmp_path):
    X, y, dy = saddle()
    regressor = quick(ensemble=ensemble, validation_fraction=0.2, derivative_weight=np.ones(2)).fit(X, y, dy)
    regressor.save(tmp_path / "r.safetensors")
    loaded = sl.SobolevRegressor.load(tmp_path / "r.safetensors")
    assert loaded.histories_ == regressor.histories_ and loaded.history_.train["loss"]
    for found, expected in zip(loaded.predict(X, return_std=ensemble > 1, return_gradient=True),
                               regressor.predict(X, return_std=ensemble > 1, return_gradient=True)):
        np.testing.assert_array_equal(found, expected)
    assert error(loaded.set_params(warm_start=True).fit(X, y, dy), X, y) < 1               # and can go on


@pytest.mark.filterwarnings("ignore:.*torch.jit")           # that it is deprecated: PyTorch's own, of several kinds
@pytest.mark.parametrize("outputs", [None, 2])
@pytest.mark.parametrize("ensemble", [1, 2])
def test_a_module_in_original_units(outputs, ensemble, tmp_path):
    X, y, dy = saddle()
    X, y, dy = 1e4 + 50 * X, 7 + 3 * y, 3 / 50 * dy
    if outputs:
        y, dy = np.stack([y] * outputs, 1), np.stack([dy] * outputs, 1)
    regressor = quick(ensemble=ensemble, activation="tanh").fit(X, y, dy)
    module, x = regressor.to_torch(), torch.as_tensor(X)
    same = functools.partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-12)
    same(module(x).detach(), regressor.predict(X))
    gradient = sl.value_and_derivatives(module, x)[1].detach()
    same(gradient, regressor.predict_gradient(X))
    scripted = torch.jit.script(module)
    torch.jit.save(scripted, tmp_path / "module.pt")
    same(torch.jit.load(tmp_path / "module.pt")(x).detach(), regressor.predict(X))
    exported = torch.export.export(module, (x,), dynamic_shapes={"x": {0: torch.export.Dim("points")}})
    same(exported.module()(x[:7]).detach(), regressor.predict(X[:7]))
    assert regressor.to_torch().float()(x.float()).dtype == torch.float32
    regressor.partial_fit(X, y, dy)                                                        # a copy: this leaves it as it was
    assert not np.allclose(regressor.to_torch()(x).detach(), exported.module()(x).detach(), rtol=1e-9)
    if not outputs:
        # the other form, by PyTorch's own autodiff
        x = x.requires_grad_()
        slopes, = torch.autograd.grad(exported.module()(x).sum(), x)
        same(slopes, gradient)


@pytest.mark.parametrize("heavy, said", [(1, "sample_weight: 1 of 80 points has 99 % of the weight"),
                                         (3, "sample_weight: 3 of 80 points have 99 % of the weight"), (40, None)])
def test_weights_that_leave_few_points_to_count_are_told(heavy, said):
    X, y, dy = saddle(80)
    weights = np.where(np.arange(80) < heavy, 1e6, 1.0)
    with pytest.warns(UserWarning, match=said) if said else nullcontext():
        quick(steps=2).fit(X, y, dy, sample_weight=weights)


def test_copies_that_leave_few_points_to_count_are_told():
    X, y, dy = (np.concatenate([table, np.repeat(table[:1], 10_000, axis=0)]) for table in saddle(80))
    with pytest.warns(UserWarning, match="copies of points: 1 of 80 points has 99 % of the weight"):
        quick(steps=2).fit(X, y, dy)
