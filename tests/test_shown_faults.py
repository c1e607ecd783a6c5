"""Faults that users' cases showed, each with the right answer: units, digits, rows and runs that end badly."""
import copy

import numpy as np
import pytest
import torch

import sobolev_lib as sl
from sobolev_lib import SobolevData, SobolevLoss, SobolevRegressor

DOUBLE = torch.float64
RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(-2, 2, (60, 2))
Y, DY = np.sin(X[:, 0]) + X[:, 1] ** 2, np.c_[np.cos(X[:, 0]), 2 * X[:, 1]]


# --- units --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("unit", [1.0, 1e-6])
def test_an_input_held_fixed_may_have_any_unit(unit):
    points, slopes = np.c_[X, np.full(60, unit)], np.c_[DY, np.cos(X[:, 0]) / unit]
    fitted = SobolevRegressor().fit(points, Y, slopes)
    assert fitted.score(points, Y) > 0.999999
    np.testing.assert_allclose(fitted.predict_gradient(points)[:, 1], DY[:, 1], atol=1e-3)


@pytest.mark.parametrize("radius", [1e-6, pytest.param(1e3, marks=pytest.mark.slow)])
def test_the_distance_to_a_circle_is_learned_from_its_normals_in_any_unit(radius):
    angles = np.random.default_rng(2).uniform(0, 2 * np.pi, 200)
    normals = np.c_[np.cos(angles), np.sin(angles)]
    fitted = SobolevRegressor().fit(radius * normals, np.zeros(200), normals)
    np.testing.assert_allclose(fitted.predict(1.05 * radius * normals) / radius, 0.05, atol=0.005)


def test_slopes_of_weight_zero_are_as_good_as_missing():
    junk = 1e6 * RANDOM.normal(size=60)
    fits = [SobolevRegressor(derivative_weight=[1.0, 0.0]).fit(X, Y, np.c_[DY[:, 0], second]) for second in (junk, np.full(60, np.nan))]
    np.testing.assert_array_equal(*[fit.predict(X) for fit in fits])
    assert SobolevRegressor(derivative_weight=0.0).fit(X, Y, 1e6 * DY[:, ::-1]).score(X, Y) > 0.99


def test_divisors_of_a_teacher_are_refused_where_squares_vanish():
    points = torch.rand(64, 2)
    loss, slopes = SobolevLoss(1, normalize=True), torch.full((64, 2), 1e-25)
    for source in (sl.Teacher(lambda x: 1e-25 * x.sum(1), points), SobolevData(points, 1e-25 * points.sum(1), slopes)):
        with pytest.raises(ValueError, match="normalize: expected values whose squares torch.float32 can hold"):
            loss.normalized_by(source)
    with pytest.raises(ValueError, match="normalize: expected values whose squares torch.float32 can hold"):
        loss.terms(lambda x: 2e-25 * x.sum(1), SobolevData(points, 1e-25 * points.sum(1), slopes))
    short = (600 * points).half()
    with pytest.raises(ValueError, match="normalize: expected values whose squares torch.float16 can hold"):
        SobolevLoss(0, normalize=True).terms(lambda x: 1.1 * x.sum(1), SobolevData(short, short.sum(1)))
    assert loss.normalized_by(sl.Teacher(lambda x: 0 * x.sum(1), points)).normalize == (1.0, 1.0)


# --- digits -------------------------------------------------------------------------------------------------------

def test_second_differences_go_by_the_distance_really_moved():
    for points, step, middle in ((torch.tensor([[2024.5], [2023.25]]), 3e-4, 2024), (torch.tensor([[1e9]], dtype=DOUBLE), 1e-7, 1e9)):
        found = sl.label(lambda x: (x[:, 0] - middle) ** 2, points, 2, method="finite-difference", step=step)
        np.testing.assert_allclose(found.hessian.ravel(), 2, rtol=1e-6)
    with pytest.raises(ValueError, match="step: expected one that moves the points, got 1e-12"):
        sl.label(lambda x: x[:, 0], torch.tensor([[1e9]], dtype=DOUBLE), 2, method="finite-difference", step=1e-12)


def test_a_black_box_in_fewer_digits_wants_a_step():
    points, shorter = torch.rand(20, 2, dtype=DOUBLE), lambda x: np.sin(x.numpy().astype(np.float32)).sum(1)
    for how in ({}, {"directions": torch.ones(20, 1, 2, dtype=DOUBLE)}, {"method": "forward-difference"}):
        with pytest.raises(ValueError, match="f: expected torch.float64 as x has, got torch.float32"):
            sl.label(shorter, points, **{"method": "finite-difference", **how})
    found = sl.label(shorter, points, method="finite-difference", step=1e-2)
    np.testing.assert_allclose(found.jacobian, points.cos(), atol=1e-3)
    listed = sl.label(lambda x: np.sin(x.numpy()).sum(1).tolist(), points, method="finite-difference")
    np.testing.assert_allclose(listed.jacobian, points.cos(), atol=1e-8)


def test_two_networks_that_agree_by_chance_do_not_decide_how_sure_they_are():
    for seed in range(2):
        random = np.random.default_rng(seed)
        points, far = random.uniform(-2, 2, (300, 2)), random.uniform(-2, 2, (1000, 2))
        noisy = lambda x: np.sin(2 * x[:, 0]) * x[:, 1] + 0.1 * random.normal(size=len(x))
        fitted = SobolevRegressor(ensemble=2, validation_fraction=0.3, random_state=seed, hidden=(32, 32), steps=300)
        values, spread = fitted.fit(points, noisy(points)).predict(far, return_std=True)
        errors = noisy(far) - values
        assert 0.5 < np.sqrt((spread**2).mean() / (errors**2).mean()) < 2


# --- rows ---------------------------------------------------------------------------------------------------------

def test_rows_in_another_order_are_refused_and_rows_numbered_otherwise_are_told():
    pandas = pytest.importorskip("pandas")
    table, slopes, values = pandas.DataFrame(X, columns=["a", "b"]), pandas.DataFrame(DY, columns=["a", "b"]), pandas.Series(Y)
    shuffled = table.sample(frac=1, random_state=1)
    for check in (SobolevData, sl.check_labels):
        with pytest.raises(ValueError, match="values: expected rows in the order of the inputs'"):
            check(shuffled, values, slopes)
    part = shuffled.iloc[:30]
    with pytest.warns(UserWarning, match="of its 30 rows are numbered as rows of X, in other places; row k is taken as that"):
        SobolevRegressor(steps=5, hidden=(4,)).fit(part, values.iloc[:30])
    right = values.loc[part.index].to_numpy()              # no pandas, or the same names: nothing to tell
    for told in (right, pandas.Series(right, index=part.index)):
        SobolevRegressor(steps=5, hidden=(4,)).fit(part, told)


def test_columns_of_several_outputs_keep_their_order(tmp_path):
    pandas = pytest.importorskip("pandas")
    values = pandas.DataFrame({"a": Y, "b": X[:, 0]})
    fitted = SobolevRegressor(hidden=(8,), steps=20, warm_start=True).fit(X, values)
    fitted.save(tmp_path / "kept")
    loaded = SobolevRegressor.load(tmp_path / "kept")
    for ask in (fitted.score, fitted.fit, fitted.partial_fit, loaded.score, loaded.partial_fit):
        with pytest.raises(ValueError, match=r"y: expected columns in the order of those of the first fit, \['a', 'b'\], got \['b', 'a'\]"):
            ask(X, values[["b", "a"]])
    assert fitted.score(X, values) == fitted.score(X, values.to_numpy())


def test_pictures_and_files_know_the_order_of_outputs_too(tmp_path):
    pandas = pytest.importorskip("pandas")
    values = pandas.DataFrame({0: Y, 1: X[:, 0]})
    fitted = SobolevRegressor(hidden=(8,), steps=20).fit(X, values)
    fitted.save(tmp_path / "kept")
    for ask in (SobolevRegressor.load(tmp_path / "kept").score, lambda *data: sl.plotting.goodness_of_fit(fitted, *data)):
        with pytest.raises(ValueError, match=r"y: expected columns in the order of those of the first fit, \[0, 1\], got \[1, 0\]"):
            ask(X, values[[1, 0]])


@pytest.mark.parametrize("waves", [20, pytest.param(50, marks=pytest.mark.slow)])
def test_slopes_tell_how_fine_the_waves_are(waves):
    x, unseen = np.sort(np.random.default_rng(0).uniform(0, 1, 300)), np.linspace(0.01, 0.99, 500)
    w = 2 * np.pi * waves
    fitted = SobolevRegressor().fit(x[:, None], np.sin(w * x), w * np.cos(w * x)[:, None])
    np.testing.assert_allclose(fitted.predict(unseen[:, None]), np.sin(w * unseen), atol=1e-4)


def test_points_that_only_slopes_of_weight_zero_tell_of_are_left_out():
    lacking = np.r_[np.full(5, np.nan), Y[5:]]
    for weight in (0.0, [0.0, 0.0]):
        assert SobolevRegressor(derivative_weight=weight).fit(X, lacking, DY).score(X, Y) > 0.99
    one = SobolevRegressor(derivative_weight=[[0.0], [1.0]], steps=5).fit(
        X, np.c_[lacking, X[:, 0]], np.stack([DY, np.tile([1.0, 0.0], (60, 1))], 1))
    assert one.predict(X).shape == (60, 2)


def test_stairs_on_a_grid_come_from_no_scaler():
    x = np.linspace(0, 1, 50)[:, None]
    SobolevRegressor(steps=5, hidden=(4,)).fit(x, x[:, 0] + np.floor(5 * x[:, 0]), np.ones((50, 1)))      # warnings are errors


def test_what_was_solved_is_trained_when_someone_says_how():
    fitted = SobolevRegressor(warm_start=True).fit(X, Y, DY)
    assert fitted.choice_.plan.solved and fitted.history_.steps == [1]
    before = fitted.score(X, Y)
    fitted.set_params(steps=30, optimizer="adam", lr=1e-4).fit(X, Y, DY)
    assert fitted.history_.steps[-1] == 30 and fitted.score(X, Y) == pytest.approx(before, abs=1e-6)


def test_labels_with_missing_entries_of_pandas_are_checked():
    pandas = pytest.importorskip("pandas")
    slopes = pandas.DataFrame(-DY, columns=["a", "b"]).astype("Float64")
    slopes.iloc[3, 1] = pandas.NA
    assert sl.check_labels(pandas.DataFrame(X, columns=["a", "b"]), pandas.Series(Y), slopes).problem == "sign"


def test_data_can_be_read_backwards():
    data = sl.label(sl.functions.booth, torch.rand(5, 2))
    for index in (slice(None, None, -1), np.arange(5)[::-1]):
        torch.testing.assert_close(data[index].inputs, data.inputs.flip(0))


def test_one_value_is_enough_beside_slopes_wherever_it_is():
    values = np.full(60, np.nan)
    values[3] = Y[3]
    for seed in range(5):                                  # in some splits the value would have been held out
        assert SobolevRegressor(random_state=seed).fit(X, values, DY).score(X, Y) > 0.99
    missing = np.where(np.arange(60) == 7, np.nan, Y)
    fitted = SobolevRegressor(hidden=(16,), steps=50).fit(X, Y, DY)
    assert fitted.score(X, missing) == pytest.approx(fitted.score(X[missing == missing], Y[missing == missing]))
    with pytest.raises(ValueError, match="y: expected a value of each output at some point"):
        fitted.score(X, np.full(60, np.nan))


def test_an_infinite_slope_is_not_a_missing_one():
    fitted = SobolevRegressor(hidden=(16,), steps=5).fit(X, Y, DY)
    with pytest.raises(ValueError, match="dy: expected finite numbers .NaN for missing ones., got 1 infinite"):
        fitted.score_gradient(X, np.where(DY == DY[2, 0], np.inf, DY))


def test_weights_reach_the_scorer_of_gradients():
    import sklearn
    from sklearn.model_selection import cross_val_score

    estimator = SobolevRegressor(hidden=(16,), steps=50)
    weights = np.r_[np.full(30, 1e-9), np.ones(30)]
    with sklearn.config_context(enable_metadata_routing=True):
        estimator.set_fit_request(sample_weight=True)
        scores = cross_val_score(estimator, X, Y, scoring=sl.gradient_scorer, params={"dy": DY, "sample_weight": weights}, cv=2)
    assert np.isfinite(scores).all()


def test_fit_works_where_nothing_is_recorded():
    with torch.inference_mode():
        fitted = SobolevRegressor(steps=20, hidden=(8,)).fit(X, Y, DY)
    np.testing.assert_array_equal(fitted.predict(X), SobolevRegressor(steps=20, hidden=(8,)).fit(X, Y, DY).predict(X))


def test_settings_out_of_range_are_told_at_the_call():
    from sobolev_lib.datasets import BasketOption

    for name, settings in (("schedule", {"optimizer": "lbfgs", "schedule": "cosine"}),
                           ("lr", {"steps": 10, "optimizer": lambda parameters: torch.optim.SGD(parameters, 0.1), "lr": 3.0})):
        with pytest.raises(ValueError, match=f"{name}: expected none beside .*; it would have no effect"):
            SobolevRegressor(**settings).fit(X, Y, DY)
    for correlation in (1.0, -0.5):
        with pytest.raises(ValueError, match="correlation: expected a number above -0.167"):
            BasketOption(7, correlation)


# --- runs that end badly ------------------------------------------------------------------------------------------

class Explodes(torch.optim.lr_scheduler.LambdaLR):
    def __init__(self, optimizer):
        super().__init__(optimizer, lambda step: 1.0 if step < 60 else 1e30)


def test_a_run_that_explodes_gives_its_best_weights_back():
    data = sl.label(sl.functions.booth, sl.functions.booth.sample(20))
    model = sl.Standardized(sl.models.MLP(2, 8, 1, generator=torch.Generator().manual_seed(0)), data)
    before = sl.errors(model, data)["value_mse"]
    with pytest.raises(FloatingPointError):
        sl.fit(model, data, steps=200, lr=1e-2, scheduler=Explodes, validation=data, patience=50, progress=False)
    assert sl.errors(model, data)["value_mse"] < before


class Stop(BaseException):
    """As an interruption from the keyboard."""


def test_many_networks_keep_what_they_have_learned_when_they_are_interrupted():
    data = sl.label(sl.functions.booth, sl.functions.booth.sample(20))
    models = [sl.models.MLP(2, 8, 1) for _ in range(2)]
    before, calls = copy.deepcopy(models[0].state_dict()), []

    def rates(optimizer):
        def rate(step):
            calls.append(step)
            if len(calls) > 100:
                raise Stop
            return 1.0
        return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)

    with pytest.raises(Stop):
        sl.fit_many(models, data, steps=100_000, scheduler=rates, progress=False)
    assert not torch.equal(models[0].state_dict()["0.weight"], before["0.weight"])


def test_a_pass_that_is_interrupted_and_a_copy_leave_the_stream_alone(monkeypatch):
    from sobolev_lib.training import streaming

    plain = SobolevRegressor(hidden=(8,), steps=20).fit(X, Y, DY)
    told = copy.deepcopy(plain)
    with monkeypatch.context() as patch:
        patch.setattr(streaming, "fit", lambda *arguments, **settings: (_ for _ in ()).throw(Stop()))
        with pytest.raises(Stop):
            told.partial_fit(X, 9 * Y, 9 * DY)
    copy.copy(told).partial_fit(X, 3 * Y, 3 * DY)
    np.testing.assert_array_equal(told.partial_fit(X, Y, DY).predict(X), plain.partial_fit(X, Y, DY).predict(X))


def test_a_record_holds_numbers_of_numpy():
    from sobolev_lib.records import rounded

    assert rounded({"mse": [np.float32(0.5), np.int64(3)]}) == {"mse": [0.5, 3]}
