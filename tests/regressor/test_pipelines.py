"""Categories, transformed targets and slopes in scikit-learn's pipelines, as the docstrings and errors say."""
import re
import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

import sobolev_lib as sl
from sobolev_lib import SobolevRegressor

pandas = pytest.importorskip("pandas", reason="not installed")


def quick(**settings):
    return SobolevRegressor(**{"hidden": (32, 32), "steps": 200, "lr": 1e-2} | settings)


def options(n=80, seed=0):
    """A table with a column of text, positive values, and slopes along the two columns of numbers, by name."""
    random = np.random.default_rng(seed)
    kind, a, b = random.choice(["call", "put"], n), random.uniform(-1, 1, n), random.uniform(-1, 1, n)
    rows = [f"row {seed} {k}" for k in range(n)]
    X = pandas.DataFrame({"kind": kind, "b": b, "a": a}, index=rows)
    log = pandas.Series(np.sin(a) * b + 0.5 * (kind == "put"), index=rows)
    return X, log, pandas.DataFrame({"a": np.cos(a) * b, "b": np.sin(a)}, index=rows)


def encoder(how=OneHotEncoder):
    settings = {"sparse_output": False, "handle_unknown": "ignore"} if how is OneHotEncoder else {}
    return make_column_transformer((how(**settings), ["kind"]), remainder="passthrough",
                                   verbose_feature_names_out=False).set_output(transform="pandas")


def rms(difference):
    return float(np.sqrt(np.mean(np.asarray(difference) ** 2)))


def test_the_pipeline_that_the_error_names_works_as_it_stands():
    X, y, dy = options()
    with pytest.raises(ValueError, match="text or categories in .'kind'.; encode them first") as told:
        quick().fit(X, y, dy)
    named = re.search(r"make_pipeline\(.*SobolevRegressor\(\)\)", str(told.value))[0]
    pipeline = eval(named).set_params(sobolevregressor=quick())
    with config_context(enable_metadata_routing=True):
        pipeline.fit(X, y, dy=dy)
    X_new, y_new, dy_new = options(seed=1)
    assert rms(pipeline.predict(X_new) - y_new) < 0.1
    columns = list(pipeline[-1].feature_names_in_)
    assert columns == ["kind_call", "kind_put", "b", "a"]
    gradient = pipeline[-1].predict_gradient(pipeline[:-1].transform(X_new))
    assert rms(gradient[:, 2:] - dy_new[["b", "a"]]) < 0.15


@pytest.mark.parametrize("how", [OneHotEncoder, pytest.param(OrdinalEncoder, marks=pytest.mark.slow)])
def test_slopes_help_beside_categories_and_searches_choose_by_them(how):
    X, y, dy = options(30)
    X_new, y_new, dy_new = options(400, seed=1)
    with config_context(enable_metadata_routing=True):
        told = make_pipeline(encoder(how), quick()).fit(X, y, dy=dy.sample(frac=1, random_state=0))
        alone = make_pipeline(encoder(how), quick()).fit(X, y)
        assert rms(told.predict(X_new) - y_new) < 0.7 * rms(alone.predict(X_new) - y_new)
        search = GridSearchCV(make_pipeline(encoder(how), quick()), {"sobolevregressor__derivative_weight": [0.0, 1.0]}, cv=2,
                              scoring=sl.gradient_scorer).fit(X, y, dy=dy)
        assert search.best_params_ == {"sobolevregressor__derivative_weight": 1.0}
        assert sl.gradient_scorer(told, X_new, y_new, dy=dy_new) > 0.8


def test_without_names_the_columns_that_a_step_adds_are_asked_for():
    X, y, dy = options()
    arrays = make_column_transformer((OneHotEncoder(sparse_output=False), ["kind"]), remainder="passthrough")
    with config_context(enable_metadata_routing=True):
        with pytest.raises(ValueError, match=r"got \(80, 2\); NaN marks a slope that is not known. If a step of a pipeline"):
            make_pipeline(arrays, quick()).fit(X, y, dy=dy)


@pytest.mark.parametrize("outside", [True, False])
def test_a_transformed_target_has_transformed_slopes(outside):
    X, log, dlog = options()
    y = np.exp(log)
    transformed = lambda inner: TransformedTargetRegressor(inner, func=np.log, inverse_func=np.exp)
    with config_context(enable_metadata_routing=True):
        model = transformed(make_pipeline(encoder(), quick())) if outside else make_pipeline(encoder(), transformed(quick()))
        model.fit(X, y, dy=dlog)
    X_new, log_new, dlog_new = options(seed=1)
    predicted = model.predict(X_new)
    assert rms(predicted / np.exp(log_new) - 1) < 0.1
    # the chain rule back: its regressor_ predicts slopes of the transformed values
    inner = model.regressor_ if outside else model[-1].regressor_
    with config_context(enable_metadata_routing=True):
        assert sl.gradient_scorer(inner if outside else make_pipeline(model[0], inner), X_new, dy=dlog_new) > 0.8


def test_a_scaler_of_the_target_that_slopes_did_not_go_through_is_told():
    X, _, dy = options()
    y = 50 * np.sin(X["a"]) * X["b"]
    X = X[["a", "b"]]
    scaled = lambda: TransformedTargetRegressor(quick(steps=50), transformer=StandardScaler())
    with config_context(enable_metadata_routing=True):
        with pytest.warns(UserWarning, match="y comes from a scaler.*most likely a TransformedTargetRegressor"):
            scaled().fit(X, y, dy=50 * dy)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scaled().fit(X, y, dy=50 * dy / np.std(y))
