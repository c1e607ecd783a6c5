"""What a regressor is given: tables matched by name, layouts, tensors, and errors that name the mend."""
import numpy as np
import pytest
import torch

import sobolev_lib as sl
from sobolev_lib.regressor.tables import columns_as, laid_out, rows_as, without_copies

pandas = pytest.importorskip("pandas", reason="not installed")


def quick(**settings):
    return sl.SobolevRegressor(**{"hidden": (8,), "steps": 20} | settings)


@pytest.fixture
def named():
    """X, y, dy of y = sin(a) b, each a table with names for its rows."""
    rows = [f"row {k}" for k in range(30)]
    X = pandas.DataFrame(np.random.default_rng(0).uniform(-1, 1, (30, 2)), columns=["a", "b"], index=rows)
    y = np.sin(X["a"]) * X["b"]
    return X, y, pandas.DataFrame({"a": np.cos(X["a"]) * X["b"], "b": np.sin(X["a"])})


@pytest.mark.parametrize("how", ["columns", "rows of dy", "rows of y", "rows of X", "weights", "all"])
def test_rows_and_columns_are_matched_by_name(named, how):
    X, y, dy = named
    weights = pandas.Series(np.linspace(1, 2, len(X)), index=X.index)
    right = quick().fit(X, y, dy, weights).predict(X)
    shuffled = lambda table: table.sample(frac=1, random_state=1)
    X_, y_, dy_, weights_ = {
        "columns": (X, y, dy[["b", "a"]], weights), "rows of dy": (X, y, shuffled(dy), weights),
        "rows of y": (X, shuffled(y), dy, weights), "weights": (X, y, dy, shuffled(weights)),
        "rows of X": (X, y, dy, weights), "all": (X, shuffled(y), dy[["b", "a"]][::-1], shuffled(weights))}[how]
    np.testing.assert_array_equal(quick().fit(X_, y_, dy_, weights_).predict(X), right)
    if how == "rows of X":
        X_ = shuffled(X)
        expected = quick().fit(X_, y[X_.index], dy.loc[X_.index]).predict(X)
        np.testing.assert_array_equal(quick().fit(X_, y, dy).predict(X), expected)


def test_a_column_that_dy_lacks_is_missing(named):
    X, y, dy = named
    table = dy.to_numpy().copy()
    table[:, 0] = np.nan
    expected = quick().fit(X.to_numpy(), y.to_numpy(), table).predict(X.to_numpy())
    np.testing.assert_array_equal(quick().fit(X, y, dy[["b"]]).predict(X), expected)


def test_only_names_that_say_something_count(named):
    X, y, dy = named
    right = quick().fit(X, y, dy).predict(X)
    for y_, dy_ in ((y.to_numpy(), dy.rename(columns={"a": "delta", "b": "vega"})), (y, dy.reset_index(drop=True)),
                    (y, dy.set_axis([f"path {k}" for k in range(30)])), (y.tolist(), dy.to_numpy().tolist())):
        np.testing.assert_array_equal(quick().fit(X, y_, dy_).predict(X), right)
    np.testing.assert_array_equal(quick().fit(X.set_axis([0] * 30), y.reset_index(drop=True), dy.to_numpy()).predict(X), right)
    # a part of a table keeps its numbers, and what was made from it may begin at zero
    part = X.set_axis(range(3, 33))
    np.testing.assert_array_equal(quick().fit(part, y.to_numpy(), dy.reset_index(drop=True)).predict(X), right)


@pytest.mark.parametrize("change, message", [
    (lambda X, y, dy: (X.reset_index(drop=True).sample(frac=1, random_state=0), y.to_numpy(), dy.reset_index(drop=True)),
     r"dy: expected rows in the order of X's.*pass dy.loc\[X.index\] if rows belong together by number.*dy.set_axis"),
    (lambda X, y, dy: (X.reset_index(drop=True), y.to_numpy(), dy.reset_index(drop=True).sample(frac=1, random_state=0)),
     r"dy: expected rows in the order of X's.*pass dy.loc\[X.index\] if rows belong together by number.*dy.set_axis"),
    (lambda X, y, dy: (X[:20], y[:20], dy), r"dy: expected the 20 rows of X, got 30 with these among them; pass dy.loc\[X"),
    (lambda X, y, dy: (X[:20], y[10:], dy[:20]), r"y: expected the rows of X, got 10 others of 20, such as 'row 20'"),
    (lambda X, y, dy: (X, y, dy.set_axis(["row 0"] * 30)), "names that occur twice"),
    (lambda X, y, dy: (X, y, dy.rename(columns={"b": "vega"})),
     r"dy: expected columns named after X's, \['a', 'b'\], got \['vega'\]"),
    (lambda X, y, dy: (X.assign(kind="call"), y, dy),
     r"X: expected numbers, got text or categories in \['kind'\]; encode.*OneHotEncoder"),
    (lambda X, y, dy: (X.assign(kind=pandas.Categorical(["call"] * 30)), y, dy), r"\['kind'\]"),
    (lambda X, y, dy: (X, y, dy.to_numpy().T),
     r"dy: expected shape \(30, 2\), one gradient per value of y, got \(2, 30\); pass dy.T"),
    (lambda X, y, dy: (X, np.stack([y, y, y], 1), np.zeros((30, 2, 3))),
     r"expected shape \(30, 3, 2\).*pass dy.transpose\(0, 2, 1\)"),
    (lambda X, y, dy: (X.to_numpy(), y.to_numpy(), dy[["a"]].to_numpy()), r"got \(30, 1\); NaN marks a slope.*set_output"),
    (lambda X, y, dy: (X, y, dy, np.ones((30, 1))), r"sample_weight: expected shape \(30,\), one a point, got \(30, 1\)"),
    (lambda X, y, dy: (X, y, dy, -np.ones(30)), "sample_weight: expected finite numbers >= 0"),
    (lambda X, y, dy: (X, y, dy, np.zeros(30)), "sample_weight: expected some weight above 0, got only zeros"),
])
def test_errors_name_the_mend(named, change, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(*change(*named))


@pytest.mark.parametrize("name", ["device", "nonsense"])
def test_a_device_that_is_not_there(named, name):
    wrong = {"device": "mps" if torch.cuda.is_available() else "cuda", "nonsense": "abacus"}[name]
    with pytest.raises(ValueError, match=f"device: expected .*{wrong}"):
        quick(device=wrong).fit(*named)


def test_layouts_in_which_nothing_can_be_confused():
    X = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    y, dy = X.prod(1), np.stack([X[:, 1] * X[:, 2], X[:, 0] * X[:, 2], X[:, 0] * X[:, 1]], 1)
    scalar, column = quick().fit(X, y, dy), quick().fit(X, y[:, None], dy[:, None])
    np.testing.assert_array_equal(quick().fit(X, y, dy[:, None]).predict(X), scalar.predict(X))
    np.testing.assert_array_equal(quick().fit(X, y[:, None], dy).predict(X), column.predict(X))
    assert quick().fit(X, y[:, None], dy).predict_gradient(X).shape == (20, 1, 3)
    one, slopes = X[:, :1], 2 * X[:, 0]
    flat, column = (quick().fit(one, one[:, 0] ** 2, labels).predict(one) for labels in (slopes, slopes[:, None]))
    np.testing.assert_array_equal(flat, column)
    both = np.stack([slopes, -slopes], 1)
    np.testing.assert_array_equal(laid_out(both, (20, 2), 1), both[:, :, None])
    with pytest.raises(ValueError, match=r"expected shape \(20, 3\)"):
        laid_out(slopes, (20,), 3)


def test_tensors_with_a_graph_are_as_good_as_arrays():
    X = torch.rand(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    y = X.prod(1)
    dy, = torch.autograd.grad(y.sum(), X, create_graph=True)
    assert dy.requires_grad or y.requires_grad
    regressor = quick().fit(X, y, dy.requires_grad_())
    arrays = [t.detach().numpy() for t in (X, y, dy)]
    np.testing.assert_array_equal(regressor.predict(X), quick().fit(*arrays).predict(arrays[0]))


def test_helpers_leave_alone_what_has_no_names():
    X, y = np.zeros((3, 2)), np.zeros(3)
    assert rows_as(X, y, "y") is y and columns_as(X, X) is X
    assert rows_as([1, 2], [3], "y") == [3]                                                # a list has an index of its own


@pytest.mark.parametrize("collide", [False, True])
def test_copies_of_a_point_become_its_weight(collide, monkeypatch):
    if collide:
        monkeypatch.setattr("sobolev_lib.regressor.tables._marks", lambda columns: np.zeros(len(columns[0]), np.uint64))
    X, y = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [1.0, 2.0]]), np.array([5.0, np.nan, 5.0, 6.0])
    (x, z), weights = without_copies([X, y], None)
    counts = {(*a, b): w for a, b, w in zip(x.tolist(), np.nan_to_num(z).tolist(), weights.tolist())}
    assert counts == {(1, 2, 5): 1.5, (3, 4, 0): 0.75, (1, 2, 6): 0.75}
    (x, z), weights = without_copies([X, y], np.array([1.0, 0.0, 1.0, 2.0]))
    assert sorted(z.tolist()) == [5, 6] and weights is None          # two copies, and one that counts twice
    (x, z), weights = without_copies([X[1:3], y[1:3]], np.array([2.0, 2.0]))
    assert x.tolist() == X[1:3].tolist() and weights is None


def test_one_pipeline_for_categories_and_slopes(named):
    from sklearn import config_context
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    X, y, dy = named
    kind = np.where(np.arange(30) % 2, "call", "put")
    X = X.assign(kind=kind)[["kind", "b", "a"]]
    y = y + (kind == "put")
    encode = make_column_transformer((OneHotEncoder(sparse_output=False), ["kind"]), remainder="passthrough",
                                     verbose_feature_names_out=False).set_output(transform="pandas")
    with config_context(enable_metadata_routing=True):
        fitted = make_pipeline(encode, quick(hidden=(64, 64), steps=500)).fit(X, y, dy=dy)
        values, gradient = fitted.predict(X, return_gradient=True)
    assert np.abs(values - y).max() < 0.1
    np.testing.assert_allclose(gradient[:, 2:], dy[["b", "a"]], atol=0.2)
