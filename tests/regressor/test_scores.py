"""score, score_gradient and the scorers: by names, in any units, wherever the regressor stands."""
import numpy as np
import pytest
from sklearn import config_context
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sobolev_lib as sl

pandas = pytest.importorskip("pandas", reason="not installed")


def quick(**settings):
    return sl.SobolevRegressor(**{"hidden": (16,), "steps": 100} | settings)


def saddle(outputs=None):
    X = np.random.default_rng(0).uniform(-1, 1, (40, 2))
    y, dy = np.sin(X[:, 0]) * X[:, 1], np.stack([np.cos(X[:, 0]) * X[:, 1], np.sin(X[:, 0])], 1)
    return (X, y, dy) if outputs is None else (X, np.stack([y, 3 - y][:outputs], 1), np.stack([dy, -dy][:outputs], 1))


def named():
    X, y, dy = saddle()
    rows = [f"row {k}" for k in range(40)]
    make = lambda table: pandas.DataFrame(table, columns=["a", "b"], index=rows)
    return make(X), pandas.Series(y, index=rows), make(dy)


def test_scores_match_rows_and_columns_by_name():
    X, y, dy = named()
    weights = pandas.Series(np.linspace(0, 2, 40), index=X.index)
    fitted = quick().fit(X, y, dy)
    shuffle = lambda table: table.sample(frac=1, random_state=1)
    assert fitted.score(X, y) == pytest.approx(r2_score(y, fitted.predict(X)))
    weighted = r2_score(y, fitted.predict(X), sample_weight=weights)
    assert fitted.score(X, shuffle(y), shuffle(weights)) == pytest.approx(weighted) != pytest.approx(fitted.score(X, y))
    right = fitted.score_gradient(X, dy, weights)
    assert right > 0.3 and fitted.score_gradient(X, shuffle(dy)[["b", "a"]], shuffle(weights)) == pytest.approx(right)
    # the names that it was fitted with count where X has none
    with pytest.warns(UserWarning, match="valid feature names"):
        assert fitted.score_gradient(X.to_numpy(), dy[["b", "a"]]) == pytest.approx(fitted.score_gradient(X, dy))
    with pytest.raises(ValueError, match="sample_weight: expected rows in the order of y's"):
        fitted.score(X.to_numpy(), y, shuffle(weights))
    with pytest.raises(ValueError, match=r"dy: expected columns named after X's, \['a', 'b'\], got \['vega'\]"):
        fitted.score_gradient(X, dy.rename(columns={"b": "vega"}))


@pytest.mark.parametrize("outputs", [None, 1, 2])
def test_a_score_of_several_outputs_is_scikit_learns(outputs):
    X, y, dy = saddle(outputs)
    fitted = quick().fit(X, y, dy)
    assert fitted.score(X, y) == pytest.approx(r2_score(y, fitted.predict(X)))
    if outputs == 1:
        assert fitted.score(X, y[:, 0]) == pytest.approx(fitted.score(X, y))
    with pytest.raises(ValueError, match="y: expected shape"):
        fitted.score(X, y[:5])


@pytest.mark.parametrize("inputs, values", [
    (1e200, 1), (1e-200, 1), (1, 1e200), (1, 1e-200), (1e-100, 1e200), (1e150, 1e-150), (1e-200, 1e-200)])
def test_scores_in_units_of_any_size(inputs, values):
    X, y, dy = saddle()
    plain = quick().fit(X, y, dy)
    fitted = quick().fit(inputs * X, values * y, values / inputs * dy)
    assert fitted.score(inputs * X, values * y) == pytest.approx(plain.score(X, y), abs=1e-3)
    found = fitted.score_gradient(inputs * X, values / inputs * dy, np.full(40, 1e300))
    assert found == pytest.approx(plain.score_gradient(X, dy), abs=1e-3)


def test_slopes_that_can_not_be_compared_with():
    X, y, dy = saddle()
    fitted = quick().fit(X, y, dy)
    for slopes in (np.zeros_like(dy), np.full_like(dy, np.nan)):
        with pytest.raises(ValueError, match="dy: expected slopes to compare with, got none that are known and not zero"):
            fitted.score_gradient(X, slopes)
    dy[1:] = 0
    with pytest.raises(ValueError, match="none but zeros where sample_weight is above 0"):
        fitted.score_gradient(X, dy, [0] + [1] * 39)


def test_the_scorer_finds_the_regressor_in_pipelines_and_searches():
    X, y, dy = named()
    shuffled = dy.sample(frac=1, random_state=1)[["b", "a"]]
    halve, double = FunctionTransformer(lambda table: table / 2), FunctionTransformer(lambda table: 4 * table)
    with config_context(enable_metadata_routing=True):
        nested = make_pipeline(halve, make_pipeline(double, make_pipeline(quick())))
        nested.fit(X, y, dy=dy / 2)
        plain = quick().fit(2 * X, y, dy / 2)
        right = plain.score_gradient(2 * X, dy / 2)
        for estimator in (nested, make_pipeline(halve, double, quick()).fit(X, y, dy=dy / 2),
                          GridSearchCV(make_pipeline(halve, make_pipeline(double, quick())), {}, cv=2,
                                       scoring=sl.gradient_scorer).fit(X, y, dy=dy / 2)):
            assert sl.gradient_scorer(estimator, X, y, dy=shuffled / 2) == pytest.approx(right)
        both = sl.GradientScorer(0.5)(nested, X, y.sample(frac=1, random_state=2), dy=shuffled / 2)
        assert both == pytest.approx((right + plain.score(2 * X, y)) / 2)
        # an array on the way has lost the names of its rows, but X had them
        arrays = make_pipeline(FunctionTransformer(lambda table: table.to_numpy()), quick()).fit(X, y, dy=dy)
        right = sl.gradient_scorer(arrays, X, dy=dy)
        assert sl.gradient_scorer(arrays, X, y, dy=shuffled[["a", "b"]]) == pytest.approx(right)
        transformed = TransformedTargetRegressor(quick()).fit(X, y, dy=dy)
        for wrong in (LinearRegression().fit(X, y), transformed, Pipeline([("none", "passthrough")])):
            with pytest.raises(TypeError, match="estimator: expected a SobolevRegressor, also at the end of a pipeline"):
                sl.gradient_scorer(wrong, X, y, dy=dy)
