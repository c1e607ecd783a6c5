"""What SobolevRegressor chooses where it is left the choice, and that it says so."""
import copy
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

import sobolev_lib as sl
from sobolev_lib.regressor import networks
from sobolev_lib.regressor.plans import Plan, as_given, plans_for


def wave(n, noise=0.0, seed=0, d=2):
    random = np.random.default_rng(seed)
    X = random.uniform(-1, 1, (n, d))
    y, dy = np.sin(2 * X[:, 0]) * X[:, 1], np.zeros((n, d))
    dy[:, 0], dy[:, 1] = 2 * np.cos(2 * X[:, 0]) * X[:, 1], np.sin(2 * X[:, 0])
    return X, y + noise * y.std() * random.normal(size=n), dy + noise * dy.std() * random.normal(size=dy.shape)


@pytest.fixture
def brisk(monkeypatch):
    """Trainings of a quarter of their length: enough where labels are exact."""
    plans = sl.SobolevRegressor._plans
    cut = lambda plan: replace(plan, settings=replace(plan.settings, steps=plan.settings.steps // 4))
    monkeypatch.setattr(sl.SobolevRegressor, "_plans", lambda self, data: [cut(plan) for plan in plans(self, data)])


def errors(regressor, d=2):
    X, y, dy = wave(500, seed=9, d=d)
    values, slopes = regressor.predict(X, return_gradient=True)
    return np.sqrt([np.mean((values - y)**2) / y.var(), np.mean((slopes - dy)**2) / np.mean(dy**2)])


SEEDS = [0, pytest.param(1, marks=pytest.mark.slow)]


def pathwise(n, d, seed=0):
    """Payoffs of a basket option along one path a point, and their slopes: as Huge and Savine train on."""
    random = np.random.default_rng(seed)
    X = random.normal(1, 0.3, (n, d))
    S = X + random.normal(0, 0.4, (n, d))
    on = S.mean(1) > 1
    return X, np.where(on, S.mean(1) - 1, 0.0), on[:, None] * np.full((n, d), 1 / d)


def test_exact_labels_are_followed_exactly(brisk):
    regressor = sl.SobolevRegressor().fit(*wave(60))
    # what is solved is exact here, so nothing else need be tried
    assert regressor.choice_.plan.name == "waves" and max(errors(regressor)) < 1e-4
    assert set(regressor.choice_.held_out) == {"waves"}
    assert "\"waves\" was chosen" in str(regressor.choice_) and "noisy" not in str(regressor.choice_)
    trained = sl.SobolevRegressor(dtype="float32").fit(*wave(60))
    assert trained.choice_.plan.name == "exact" and max(errors(trained)) < 0.02
    assert set(trained.choice_.held_out) == {"smooth", "brief", "exact"}


@pytest.mark.slow
def test_noise_is_found_and_said_and_not_learned():
    X, y, dy = wave(100, noise=0.5)
    regressor = sl.SobolevRegressor().fit(X, y, dy)
    assert regressor.choice_.plan.name in ("smooth", "waves", "brief")
    value, slope = regressor.choice_.held_out[regressor.choice_.plan.name]
    assert 0.3 < value < 0.7 and 0.3 < slope < 0.7        # the noise is half the size of the labels without it
    assert "the labels are noisy, or the function is finer than the points" in str(regressor.choice_)
    followed = sl.SobolevRegressor(optimizer="lbfgs").fit(X, y, dy)
    assert (errors(regressor) < [0.8, 0.4] * errors(followed)).all()


@pytest.mark.slow
def test_a_long_training_goes_on_from_its_trial_unless_told_how(monkeypatch):
    few = [replace(plan, settings=replace(plan.settings, steps=100)) for plan in plans_for(30, d=2, q=1) if plan.name in ("brief", "exact")]
    monkeypatch.setattr(networks, "plans_for", lambda n, d, q: few)
    X, y, dy = wave(30)
    alone, told, both = (sl.SobolevRegressor(**given).fit(X, y, dy) for given in ({}, {"lr": 0.01}, {"ensemble": 2}))
    assert {each.choice_.plan.name for each in (alone, told, both)} == {"exact"}
    # ten iterations a step; the ensemble's second has had no trial
    assert [[history.steps[-1] for history in each.histories_] for each in (alone, told, both)] == [[3], [10], [10, 10]]
    assert max(errors(alone)) < 1.5 * max(errors(told))
    np.testing.assert_allclose(alone.scaling_.input_mean, X.mean(axis=0), rtol=1e-12)      # of all points


@pytest.mark.parametrize("plans", ["one_plan", pytest.param("all", marks=pytest.mark.slow)])
def test_pathwise_labels_of_a_basket(plans, request):
    # a user's case: the defaults of before reached 0.0112 and 0.0486 here, Huge and Savine's network 0.0042 and 0.0121
    from scipy.special import ndtr

    if plans != "all":
        request.getfixturevalue(plans)
    regressor = sl.SobolevRegressor().fit(*pathwise(2048, 5))
    X = np.random.default_rng(1).normal(1, 0.3, (2000, 5))
    deep, sigma = X.mean(1) - 1, 0.4 / np.sqrt(5)
    price = deep * ndtr(deep / sigma) + sigma * np.exp(-(deep / sigma)**2 / 2) / np.sqrt(2 * np.pi)
    delta = ndtr(deep / sigma)[:, None] * np.full((2000, 5), 1 / 5)
    values, slopes = regressor.predict(X, return_gradient=True)
    assert np.sqrt(np.mean((values - price)**2)) < 0.006 and np.sqrt(np.mean((slopes - delta)**2)) < 0.01
    # one direction holds all slopes
    assert regressor.reduction_.shape == (1, 5) and "noisy" in str(regressor.choice_)


def test_inputs_without_slopes_are_dropped_of_exact_labels_too():
    X, y, dy = wave(100, d=6)
    regressor = sl.SobolevRegressor().fit(X, y, dy)
    assert regressor.reduction_.shape == (2, 6) and max(errors(regressor, d=6)) < 0.01
    assert sl.SobolevRegressor(reduce_inputs=None, steps=10).fit(X, y, dy).reduction_ is None
    dy[0, 3] = np.nan                                      # of which no other direction's slope can be told
    assert sl.SobolevRegressor().fit(X[:40], y[:40], dy[:40]).reduction_ is None


@pytest.mark.parametrize("given", [{"steps": 20}, {"epochs": 3}, {"optimizer": "adam", "hidden": (8,), "epochs": 2},
                                   {"optimizer": "lbfgs", "steps": 20, "hidden": 8}], ids=str)
def test_who_gives_steps_or_optimiser_is_obeyed(given):
    regressor = sl.SobolevRegressor(**given).fit(*wave(40))
    choice = regressor.choice_
    assert choice.plan.name == "given" and choice.held_out == {} and str(choice) == "Trained as told."
    assert choice.plan.settings.steps == given.get("steps", choice.plan.settings.steps)
    assert choice.plan.dtype == ("float64" if given.get("optimizer") == "lbfgs" else "float32")


def test_what_is_given_is_kept_in_every_plan(short):
    X, y, dy = wave(40)
    regressor = sl.SobolevRegressor(hidden=(12, 12), activation="tanh", lr=1e-3, batch_size=10, dtype="float64").fit(X, y, dy)
    assert regressor.choice_.held_out.keys() == {"smooth", "brief", "exact"}
    assert regressor.network_.sizes == (2, 12, 12, 1) and regressor.network_.activation == "tanh"
    for plan in plans_for(40, 2, 1):
        if plan.solved:
            continue
        plan = as_given(plan, {"hidden": (12, 12), "lr": 1e-3, "batch_size": 10, "dtype": "float64"})
        assert (plan.hidden, plan.settings.lr, plan.settings.batch_size, plan.dtype) == ((12, 12), 1e-3, 10, "float64")
    decayed = sl.SobolevRegressor(hidden=(8,), weight_decay=0.1)
    assert {plan.settings.optimizer for plan in decayed._plans(sl.SobolevData(X, y, dy))} == {"adam"}


def test_few_points_and_many():
    few = sl.SobolevRegressor().fit(*wave(12)).choice_
    assert few.plan.name == "waves" and few.held_out == {} and str(few).startswith("Fewer than 20 points: too few to compare plans by")
    assert [plan.name for plan in plans_for(5_000, 3, 1)] == ["smooth", "waves", "brief", "long"]
    assert "waves" not in {plan.name for plan in plans_for(5_000, 3, 5)}                   # sines for each of many outputs
    assert plans_for(100_000, 3, 1)[-1].settings.steps == 40 * 391 and plans_for(100_000, 3, 1)[0].settings.batch_size == 2_048


@pytest.mark.slow
def test_values_alone_are_chosen_for_as_well():
    X, y, _ = wave(60, noise=0.5)
    regressor = sl.SobolevRegressor().fit(X, y)
    assert regressor.choice_.plan.name != "exact"
    assert all(slope is None for _, slope in regressor.choice_.held_out.values())


@pytest.mark.slow
def test_outputs_of_any_slope_count_alike():
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, (40, 2))
    Y = np.stack([np.sin(X[:, 0]) * X[:, 1], np.sin(12 * X[:, 0])], 1)
    dY = np.stack([np.stack([np.cos(X[:, 0]) * X[:, 1], np.sin(X[:, 0])], 1),
                   np.stack([12 * np.cos(12 * X[:, 0]), 0 * X[:, 0]], 1)], 1)
    how = {"hidden": (64, 64), "steps": 1500}
    both, alone = sl.SobolevRegressor(**how).fit(X, Y, dY), sl.SobolevRegressor(**how).fit(X, Y[:, 0], dY[:, 0])
    T = random.uniform(-1, 1, (200, 2))
    truth = np.sin(T[:, 0]) * T[:, 1]
    error = lambda found: np.sqrt(np.mean((found - truth)**2)) / truth.std()
    assert error(both.predict(T)[:, 0]) < 5 * error(alone.predict(T)) + 0.02


def test_a_choice_is_kept_in_the_file_and_by_a_warm_start(tmp_path, short):
    X, y, dy = wave(40)
    regressor = sl.SobolevRegressor(random_state=3).fit(X, y, dy)
    regressor.save(tmp_path / "r.safetensors")
    loaded = sl.SobolevRegressor.load(tmp_path / "r.safetensors")
    assert loaded.hidden == "auto" and str(loaded.choice_) == str(regressor.choice_)
    assert loaded.choice_.held_out == regressor.choice_.held_out
    assert loaded.choice_.plan.settings.steps == regressor.choice_.plan.settings.steps
    np.testing.assert_array_equal(loaded.predict(X), regressor.predict(X))
    again = loaded.set_params(warm_start=True, steps=20).fit(X, y, dy)
    assert again.choice_.plan.settings.steps == 20 and again.choice_.plan.name == "waves"
    loaded.partial_fit(X, y, dy)
    fresh = clone(regressor).fit(X, y, dy)
    np.testing.assert_array_equal(fresh.predict(X), regressor.predict(X))


def test_a_trial_that_diverges_is_out(monkeypatch):
    plan = lambda name, lr: Plan(name, settings=as_given(plans_for(40, 2, 1)[1], {"lr": lr, "steps": 20}).settings)
    plans = [plan("wild", 1e30), plan("tame", 1e-2)]
    monkeypatch.setattr(sl.SobolevRegressor, "_plans", lambda self, data: plans)
    regressor = sl.SobolevRegressor().fit(*wave(40))
    assert list(regressor.choice_.held_out) == ["tame"]
    plans[1:] = []
    plans.append(plan("wilder", 1e30))
    with pytest.raises(FloatingPointError):
        sl.SobolevRegressor().fit(*wave(40))


def test_labels_that_are_not_known_are_no_errors_of_zero(short):
    X, y, dy = wave(40)
    regressor = sl.SobolevRegressor().fit(X, y, np.full_like(dy, np.nan))
    assert all(value > 0 and slope is None for value, slope in regressor.choice_.held_out.values())
    assert "slopes" not in str(regressor.choice_)
    one = np.where(np.arange(40) == 7, y, np.nan)
    assert {value for value, _ in sl.SobolevRegressor().fit(X, one, dy).choice_.held_out.values()} == {None}


@pytest.mark.slow
def test_where_half_of_the_labels_are_unknown_the_error_is_that_of_the_others(two_plans):
    X, y, dy = wave(40)
    some = dy.copy()
    some[:, 0] = np.nan
    for table in (dy, some):
        found = sl.SobolevRegressor(hidden=(8,)).fit(X, y, table).choice_.held_out["smooth"]
        assert 0.005 < found[1] < 1


def test_a_few_held_out_points_are_enough_for_a_large_gain():
    """By a standard error alone, four points with one large gain among them would keep the worse plan."""
    from sobolev_lib.regressor.trials import _surely_less

    old = np.array([1e-3, 1e-3, 1e-3, 1.0])
    assert _surely_less(old[None] / 10, old[None], sure=2.0)
    noise = np.random.default_rng(0).normal(size=(2, 1, 400))**2
    assert not _surely_less(noise[0] + noise[1].mean(), noise[1] + noise[0].mean(), sure=1.0)


def test_a_plan_that_follows_one_table_exactly_beats_one_that_misses_both():
    """By the sum of squares a compromise between values and slopes that contradict each other would win."""
    from sobolev_lib.regressor.trials import _surely_less

    noise = np.random.default_rng(0).normal(size=(2, 100))**2
    values_alone, both = noise * [[1e-6], [0.3]], noise * [[0.05], [0.2]]
    assert values_alone.sum() > both.sum() and _surely_less(values_alone, both, sure=1.0)
    assert not _surely_less(both, values_alone, sure=1.0)


@pytest.mark.parametrize("spoil, said", [
    (lambda y, dy, draw: (y, 1.25 * dy), "Values are followed, slopes are not"),
    pytest.param(lambda y, dy, draw: (y, np.where(draw.random(len(dy)) < 0.5, 0.0, 1.0)[:, None] * dy),
                 "Values are followed, slopes are not", marks=pytest.mark.slow),
    pytest.param(lambda y, dy, draw: (y, dy * (1 + 0.4 * draw.normal(size=dy.shape))), "Values are followed, slopes are not",
                 marks=pytest.mark.slow),
    pytest.param(lambda y, dy, draw: (y + 0.3 * y.std() * draw.normal(size=len(y)), dy), "Slopes are followed, values are not",
                 marks=pytest.mark.slow),
], ids=["a factor", "zeros for unknown ones", "noisy slopes", "noisy values"])
@pytest.mark.filterwarnings("ignore:.*check_labels")
@pytest.mark.parametrize("seed", SEEDS)
def test_of_tables_that_contradict_each_other_the_exact_one_is_followed(spoil, said, seed, two_plans):
    X, y, dy = wave(100, seed=seed)
    regressor = sl.SobolevRegressor().fit(X, *spoil(y, dy, np.random.default_rng(seed)))
    value, slope = errors(regressor)                       # of noisy values no slope tells the mean
    assert value < 0.06 and slope < 0.01 and said in regressor.choice_.message


@pytest.mark.parametrize("seed", SEEDS)
def test_a_few_wild_slopes_are_not_met_by_waves_as_fine_as_they_ask_for(seed):
    X, y, dy = wave(100, seed=seed)
    dy[:2] *= -20
    regressor = sl.SobolevRegressor().fit(X, y, dy)
    assert regressor.choice_.plan.kind == "waves" and max(errors(regressor)) < 0.01


def test_a_known_slope_that_hardly_matters_does_not_outvote_the_values(two_plans):
    X, y, _ = wave(100)
    draw, unknown = np.random.default_rng(0), np.full(len(X), np.nan)
    tiny = 1e-6 * draw.normal(size=len(X))                 # of a third input, and nothing but rounding
    X = np.column_stack([X, draw.uniform(-1, 1, len(X))])
    told = sl.SobolevRegressor().fit(X, y, np.column_stack([unknown, unknown, tiny]))
    T, truth, _ = wave(500, seed=9)
    T = np.column_stack([T, draw.uniform(-1, 1, len(T))])
    assert np.sqrt(np.mean((told.predict(T) - truth)**2)) / truth.std() < 0.05      # once 1: all plans missed the values


def test_where_the_function_jumps_the_message_names_what_helps(two_plans):
    X = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    y = np.sin(2 * X[:, 0]) * np.cos(X[:, 1]) + (X[:, 1] > 0.1) * (1 + X[:, 0])
    dy = np.c_[2 * np.cos(2 * X[:, 0]) * np.cos(X[:, 1]) + (X[:, 1] > 0.1), -np.sin(2 * X[:, 0]) * np.sin(X[:, 1])]
    assert "jumps, of which no slope tells: fit(X, y) may come closer there" in sl.SobolevRegressor().fit(X, y, dy).choice_.message


@pytest.mark.filterwarnings("ignore:.*check_labels")
@pytest.mark.parametrize("factor", [[1, 10], [1 / 30, 1 / 30]], ids=["of one column", "of all"])
def test_values_are_followed_alone_where_wrong_slopes_hinder(factor, two_plans, tmp_path):
    """Once 0.6 and 0.97 of the spread: slopes were followed, or both were missed."""
    X, y, dy = wave(30)
    regressor = sl.SobolevRegressor().fit(X, y, dy * factor)
    assert max(errors(regressor)) < 0.03
    assert regressor.choice_.plan.values_alone and regressor.choice_.held_out["waves, values alone"][1] is None
    assert None not in regressor.choice_.held_out["waves"]
    assert "With slopes values were missed" in str(regressor.choice_) and "Slopes are" not in str(regressor.choice_)
    regressor.save(tmp_path / "alone")
    again = sl.SobolevRegressor.load(tmp_path / "alone")
    assert again.choice_ == regressor.choice_
    again.partial_fit(X, y, dy * factor)
    assert max(errors(again)) < 0.03
    with pytest.raises(ValueError, match="y: expected some values, got none; this regressor leaves slopes out"):
        again.partial_fit(X, np.full(len(X), np.nan), dy)


@pytest.mark.filterwarnings("ignore:.*check_labels")
def test_who_gives_the_weight_of_slopes_is_obeyed(two_plans):
    X, y, dy = wave(30)
    assert not sl.SobolevRegressor(derivative_weight=1).fit(X, y, dy / 30).choice_.plan.values_alone


def test_right_slopes_of_a_function_that_jumps_do_not_cost_the_values(two_plans):
    """Once 1.5 of the spread, where a constant has 1 and values alone 0.2."""
    def saw(seed, n):
        X = np.random.default_rng(seed).uniform(-1, 1, (n, 2))
        return X, (4 * X[:, 0] % 1) / 2 + np.sin(2 * X[:, 1]), np.c_[np.full(n, 2.0), 2 * np.cos(2 * X[:, 1])]

    regressor = sl.SobolevRegressor().fit(*saw(1, 60))
    X, y, _ = saw(9, 500)
    assert np.sqrt(np.mean((regressor.predict(X) - y)**2)) < 0.3 * y.std() and "the function has jumps" in str(regressor.choice_)


@pytest.mark.parametrize("known, draw", [(6, 10), (8, 7), (14, 2)])
@pytest.mark.filterwarnings("ignore:.*check_labels")
def test_a_few_values_do_not_outvote_all_slopes(known, draw, solved_plan):
    """Although what is solved for the other values alone comes near to them, by luck."""
    X, y, dy = wave(60)
    y[np.random.default_rng(draw).permutation(60)[known:]] = np.nan
    assert not sl.SobolevRegressor().fit(X, y, dy * [1, 10]).choice_.plan.values_alone


@pytest.mark.filterwarnings("ignore:.*check_labels")
def test_points_without_a_value_are_no_hindrance_to_following_values_alone(two_plans):
    X, y, dy = wave(80)
    y[::4] = np.nan
    regressor = sl.SobolevRegressor(validation_fraction=0.1).fit(X, y, dy / 30)
    assert regressor.choice_.plan.values_alone and max(errors(regressor)) < 0.01


def jump(n):
    """A step beside a slope that is told, and the slopes."""
    X = np.sort(np.random.default_rng(0).uniform(-1, 1, (n, 1)), axis=0)
    return X, np.sign(X[:, 0]) + 0.1 * X[:, 0], np.full((n, 1), 0.1)


def test_what_leaves_slopes_out_goes_on_without_them(two_plans):
    X, y, dy = jump(40)
    regressor = sl.SobolevRegressor().fit(X, y, dy)
    assert regressor.choice_.plan.values_alone
    for more in ("partial_fit", "fit"):
        again = copy.deepcopy(regressor).set_params(warm_start=True)
        getattr(again, more)(X, y)                         # once an AssertionError
        assert np.isfinite(again.predict(X)).all()


def test_where_slopes_are_left_out_points_without_values_are_no_watch(two_plans):
    """Once a ValueError."""
    X, y, dy = jump(60)
    y[np.random.default_rng(1).permutation(60)[:38]] = np.nan
    regressor = sl.SobolevRegressor(random_state=6, validation_fraction=0.05)      # of whose three points none has one
    assert regressor.fit(X, y, dy).choice_.plan.values_alone and regressor.history_.validation == {}


def test_an_output_that_jumps_does_not_cost_the_others_their_slopes(two_plans, tmp_path):
    X, y, dy = wave(60)
    both = sl.SobolevRegressor().fit(X, np.c_[np.sign(X[:, 0]), y], np.stack([0.1 + 0 * dy, dy], axis=1))
    T, truth, slopes = wave(500, seed=9)
    assert np.abs(both.predict(T)[:, 1] - truth).max() < 1e-3 and np.abs(both.predict_gradient(T)[:, 1] - slopes).max() < 1e-2
    assert np.mean((both.predict(T)[:, 0] - np.sign(T[:, 0]))**2) < 0.3
    assert both.choice_.plan.values_alone == (0,) and "With slopes of output 0 values were missed" in str(both.choice_)
    both.save(tmp_path / "both")
    again = sl.SobolevRegressor.load(tmp_path / "both")
    assert again.choice_ == both.choice_
    again.partial_fit(X, np.c_[np.sign(X[:, 0]), y], np.stack([0.1 + 0 * dy, dy], axis=1))
    assert np.abs(again.predict(T)[:, 1] - truth).max() < 1e-2


@pytest.mark.filterwarnings("ignore:.*check_labels")
def test_wrong_slopes_of_one_output_are_left_out_and_those_of_another_kept(two_plans):
    """Once all were followed: values off by 0.8 of their spread."""
    X, y, dy = wave(60)
    both = sl.SobolevRegressor().fit(X, np.c_[y, y + X[:, 0]], np.stack([dy / 30, dy + [1, 0]], axis=1))
    T, truth, slopes = wave(500, seed=9)
    assert np.abs(both.predict(T) - np.c_[truth, truth + T[:, 0]]).max() < 0.01
    assert np.abs(both.predict_gradient(T)[:, 1] - slopes - [1, 0]).max() < 1e-2
    assert both.choice_.plan.name == "waves, values of 0 alone"


@pytest.mark.filterwarnings("ignore:.*check_labels")
def test_slopes_half_too_large_are_left_out_of_a_network_that_was_given(last_plan):
    """Values were missed by 0.12 of their spread, less than what once was asked for."""
    X, y, dy = wave(60)
    regressor = sl.SobolevRegressor(hidden=(32,)).fit(X, y, 1.5 * dy)
    assert regressor.choice_.plan.name == "exact, values alone" and max(errors(regressor)) < 0.1


def test_right_slopes_stay_where_values_are_missed_by_little_and_only_a_little_less_without_them(last_plan):
    """A small step: values 0.06 in place of 0.12, but slopes 0.37 in place of 0.09."""
    def stepped(n, seed):
        X = np.random.default_rng(seed).uniform(-1, 1, (n, 2))
        return X, np.sin(2 * X[:, 0]) + X[:, 1] + 0.4 * (X[:, 0] > 0.2), np.c_[2 * np.cos(2 * X[:, 0]), np.ones(n)]

    regressor, (T, _, slopes) = sl.SobolevRegressor(hidden=(3,)).fit(*stepped(60, 0)), stepped(500, 9)
    assert not regressor.choice_.plan.values_alone
    assert np.sqrt(np.mean((regressor.predict_gradient(T) - slopes)**2) / np.mean(slopes**2)) < 0.15


def pair(wrong):
    """Two outputs, the second with its slopes times ``wrong``."""
    X, w = np.random.default_rng(0).uniform(-1, 1, (60, 2)), np.array([1, 1.3])
    y = np.sin(X[:, :1] * w) + X[:, 1:] * X[:, :1]
    dy = np.stack([np.cos(X[:, :1] * w) * w + X[:, 1:], np.broadcast_to(X[:, :1], (60, 2))], axis=2)
    dy[:, 1] *= wrong
    return X, y, dy


@pytest.mark.filterwarnings("ignore:.*check_labels")
def test_in_a_shared_network_right_slopes_stay_although_wrong_ones_spoiled_their_values(last_plan):
    """Once those of both outputs were left out. Where nothing else is known of a point it goes with them: once a ValueError."""
    X, y, dy = pair(wrong=-4)
    y[:3, 0] = dy[:3, 0] = np.nan
    regressor = sl.SobolevRegressor(hidden=(16, 16)).fit(X, y, dy)
    assert regressor.choice_.plan.values_alone == (1,)
    assert np.abs(regressor.predict(X) - pair(wrong=1)[1]).max() < 0.05


@pytest.mark.filterwarnings("ignore:.*check_labels")
def test_a_value_that_stands_for_unknown_is_out_without_slopes_too(two_plans):
    """It was left out in the trial, and would be trained on in the end."""
    X, y, dy = wave(40)
    y[3] = -999
    regressor = sl.SobolevRegressor(ensemble=2).fit(X, y, dy / 30)
    assert regressor.choice_.plan.values_alone and max(errors(regressor)) < 0.01
    assert regressor.choice_.plan.trims and "The values of 1 point" in str(regressor.choice_)


def test_a_kink_among_few_points_is_trained_where_sines_miss_it():
    """Once an error of 0.65 of the values' spread without a word: below twenty points nothing but sines was tried."""
    def spread(n, seed):
        X = np.random.default_rng(seed).uniform(-1, 1, (n, 2))
        return X, np.maximum(X[:, 0] - X[:, 1], 0), (X[:, 0] > X[:, 1])[:, None] * np.array([1.0, -1.0])

    T, truth, _ = spread(500, 9)
    fitted = sl.SobolevRegressor().fit(*spread(19, 1))
    assert fitted.choice_.plan.name == "exact" and "Of 2 plans" in str(fitted.choice_)
    assert np.sqrt(np.mean((fitted.predict(T) - truth)**2)) < 0.05 * truth.std()
    assert sl.SobolevRegressor().fit(*wave(19)).choice_.plan.name == "waves"


def test_few_points_are_not_tried_where_nothing_stands_by(monkeypatch):
    trained, estimate = [], networks.estimate
    monkeypatch.setattr(networks, "estimate", lambda *given: trained.append(len(given[1])) or estimate(*given))
    sl.SobolevRegressor(hidden=(8,)).fit(*wave(15))
    assert trained == [15]
