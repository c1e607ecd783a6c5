"""Pictures of a regressor hold its predictions, its scores and its histories."""
import warnings

import matplotlib
import matplotlib.pyplot
import numpy as np
import pytest
from sklearn.metrics import r2_score

matplotlib.use("agg")

import sobolev_lib as sl
from sobolev_lib import plotting
from sobolev_lib.plotting.style import POINTS, SLOPES

pandas = pytest.importorskip("pandas", reason="not installed")


def quick(**settings):
    return sl.SobolevRegressor(**{"hidden": (16,), "steps": 60} | settings)


def saddle(n=60):
    X = np.random.default_rng(0).uniform(-1, 1, (n, 3))
    a, b, c = X.T
    return X, np.sin(2 * a) * b, np.stack([2 * np.cos(2 * a) * b, np.sin(2 * a), 0 * c], 1)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


def dots(axes):
    return np.asarray(axes.collections[0].get_offsets())


def colours(figure):
    return [matplotlib.colors.to_hex(axes.collections[0].get_facecolor()[0]) for axes in figure.axes]


def test_goodness_of_fit_shows_every_label_its_prediction_and_the_score():
    X, y, dy = saddle()
    y[4] = dy[7, 0] = np.nan
    fitted = quick().fit(X, y, dy)
    values, gradients = fitted.predict(X, return_gradient=True)
    figure = plotting.goodness_of_fit(fitted, X, y, dy)
    there = np.isfinite(y)
    np.testing.assert_allclose(dots(figure.axes[0]), np.stack([y, values], 1)[there])
    np.testing.assert_allclose(dots(figure.axes[1]), np.stack([dy[:, 0], gradients[:, 0]], 1)[np.isfinite(dy[:, 0])])
    np.testing.assert_allclose(dots(figure.axes[2]), np.stack([dy[:, 1], gradients[:, 1]], 1))
    share = 1 - np.sum((gradients - dy)[:, 1] ** 2) / np.sum(dy[:, 1] ** 2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == f"y: {r2_score(y[there], values[there]):.3f}" and titles[3] == "∂y/∂x₃"
    assert titles[2] == f"∂y/∂x₂: {round(share, 3) + 0.0:.3f}".replace("-", "\u2212")
    assert colours(figure) == [POINTS, SLOPES, SLOPES, SLOPES]
    assert len(plotting.goodness_of_fit(fitted, X, y).axes) == 1


def test_goodness_of_fit_matches_by_name_and_has_a_row_for_each_output():
    X, y, dy = saddle()
    table = pandas.DataFrame(X, columns=["a", "b", "c"], index=[f"row {k}" for k in range(60)])
    y, dy = pandas.Series(y, table.index), pandas.DataFrame(dy, table.index, table.columns)
    fitted = quick().fit(table, y, dy)
    straight, mixed = (plotting.goodness_of_fit(fitted, table, *labels) for labels in (
        (y, dy), (y[::-1], dy[["c", "b", "a"]].sample(frac=1, random_state=0))))
    for one, other in zip(straight.axes, mixed.axes):
        np.testing.assert_allclose(dots(one), dots(other))
    assert [axes.get_title().split(":")[0] for axes in straight.axes] == ["y", "∂y/∂a", "∂y/∂b", "∂y/∂c"]
    Y, dY = np.stack([y, 2 * y], 1), np.stack([dy, 2 * dy], 1)
    two = plotting.goodness_of_fit(quick().fit(X, Y, dY), X, Y, dY)
    assert [axes.get_title().split(":")[0] for axes in two.axes][::4] == ["y₁", "y₂"] and len(two.axes) == 8
    np.testing.assert_allclose(dots(two.axes[5])[:, 0], 2 * dots(two.axes[1])[:, 0])


def test_of_many_inputs_those_that_matter_are_drawn():
    X = np.random.default_rng(0).normal(size=(50, 30))
    slopes = np.r_[np.zeros(15), np.ones(11), np.zeros(4)]
    fitted = quick(steps=5).fit(X, X @ slopes, np.tile(slopes, (50, 1)))
    fit = plotting.goodness_of_fit(fitted, X, X @ slopes, np.tile(slopes, (50, 1)))
    profiles = plotting.sensitivity_profiles(fitted, X)
    assert [axes.get_title().split(":")[0][-2:] for axes in fit.axes[1:]] == [f"{k}".translate(
        str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")) for k in range(16, 27)]
    assert len(profiles.axes) == 12


def test_sensitivity_profiles_are_predictions_along_each_input():
    X, y, dy = saddle()
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    fitted = quick().fit(table, y, dy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")                     # no table without names reaches scikit-learn
        figure = plotting.sensitivity_profiles(fitted, table)
    middle = np.median(X, axis=0)
    value, gradient = fitted.predict(pandas.DataFrame([middle], columns=table.columns), return_gradient=True)
    for j, axes in enumerate(figure.axes):
        profile, slope = (line.get_xydata() for line in axes.lines)
        points = np.tile(middle, (101, 1))
        points[:, j] = np.linspace(X[:, j].min(), X[:, j].max(), 101)
        np.testing.assert_allclose(profile[:, 0], points[:, j])
        np.testing.assert_allclose(profile[:, 1], fitted.predict(pandas.DataFrame(points, columns=table.columns)))
        assert np.diff(slope[:, 1]) / np.diff(slope[:, 0]) == pytest.approx(gradient[0, j])
        np.testing.assert_allclose(dots(axes), [[middle[j], value[0]]])
        assert axes.get_xlabel() == "abc"[j] and axes.get_ylim() == figure.axes[0].get_ylim()
    Y, dY = np.stack([y, 9 * y], 1), np.stack([dy, 9 * dy], 1)
    two = plotting.sensitivity_profiles(quick().fit(X, Y, dY), X)
    assert [axes.get_ylabel() for axes in two.axes] == ["y₁", "", "", "y₂", "", ""]


def test_learning_curves_of_a_regressor():
    X, y, dy = saddle()
    labels = lambda regressor: [line.get_label() for line in plotting.learning_curves(regressor).axes[0].lines]
    assert labels(quick(validation_fraction=0.2).fit(X, y, dy)) == ["Sobolev, train", "Sobolev, validation"]
    assert labels(quick().fit(X, y)) == ["Regular, train"]
    assert labels(quick(ensemble=2).fit(X, y, dy)) == ["network 1, train", "network 2, train"]
    fitted = quick().fit(X, y, dy)
    line = plotting.learning_curves(fitted, "jacobian").axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), fitted.history_.train["jacobian"])


X, Y, DY = saddle(20)


@pytest.mark.parametrize("call, error, message", [
    (lambda: plotting.goodness_of_fit(quick(), X, Y), TypeError,
     "regressor: expected a fitted SobolevRegressor, got one that is not"),
    (lambda: plotting.sensitivity_profiles("r", X), TypeError, "expected a fitted SobolevRegressor, got str"),
    (lambda: plotting.goodness_of_fit(quick().fit(X, Y), X, Y[:5]), ValueError, r"y: expected shape \(20,\).*got \(5,\)"),
    (lambda: plotting.goodness_of_fit(quick().fit(X, Y), X, Y, DY[:, :2]), ValueError, r"dy: expected shape \(20, 1, 3\)"),
    (lambda: plotting.sensitivity_profiles(quick().fit(X, Y), X[:, :2]), ValueError,
     r"X: expected points of shape \(N, 3\)"),
    (lambda: plotting.learning_curves(quick()), ValueError, "expected a dict of label to history"),
])
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()
