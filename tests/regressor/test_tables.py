"""What a regressor is given: tables matched by name, layouts, tensors, and errors that name the mend."""
import numpy as np
import pytest
import torch

import sobolev_lib as sl
from sobolev_lib.regressor.named_tables import column_names, columns_as, rows_alike, rows_as
from sobolev_lib.regressor.tables import laid_out, without_copies

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


@pytest.mark.parametrize("times", [pandas.date_range("2026-01-01", periods=30), pandas.to_timedelta(np.arange(30), unit="D"),
                                   pandas.date_range("2026-01-01", periods=30, tz="UTC")])
def test_dates_are_no_inputs(named, times):
    """Once NumPy's DTypePromotionError, or nanoseconds without a word."""
    X, y, dy = named
    with pytest.raises(TypeError, match=r"X: expected numbers, got dates or times in \['day'\]; pass numbers in a unit of your choice"):
        quick().fit(X.assign(day=times), y, dy)
    fitted = quick().fit(X, y, dy)
    with pytest.raises(TypeError, match="X: expected numbers, got dates or times; pass"):
        fitted.predict(np.zeros((3, 2), dtype="M8[s]"))


@pytest.mark.parametrize("other", [lambda days: days.tz_localize("UTC"), lambda days: days.strftime("%Y-%m-%d")])
def test_names_that_are_none_of_the_others_are_no_numbers(named, other):
    """Days in reverse were once taken in their place, without a word."""
    X, y, dy = named
    days = pandas.date_range("2026-01-01", periods=30)
    with pytest.raises(ValueError, match=r"dy: expected the rows of X, got 30 others of 30, such as .*2026-01-30.*dy.set_axis\(X.index\)"):
        quick().fit(X.set_axis(days), y.set_axis(days), dy.set_axis(other(days)[::-1]))


COMPLEX = {
    "array": lambda table: np.asarray(table) + 1j, "real parts only": lambda table: np.asarray(table).astype(complex),
    "short": lambda table: np.asarray(table).astype(np.complex64), "list": lambda table: (np.asarray(table) + 1j).tolist(),
    "tensor": lambda table: torch.tensor(np.asarray(table)) + 1j, "table": lambda table: table + 1j,
    "objects": lambda table: (np.asarray(table) + 1j).astype(object),
    "table of objects": lambda table: (table + 1j).astype(object),
    "masked": lambda table: np.ma.masked_array(np.asarray(table) + 1j, mask=np.asarray(table) > 0.5),
}


@pytest.mark.parametrize("kind", COMPLEX)
def test_complex_numbers_are_refused_and_by_name(named, kind):
    """NumPy and pandas would drop imaginary parts, with a warning at most."""
    X, y, dy = named
    weights, fitted = pandas.Series(1.0, index=X.index), quick().fit(*named)
    calls = {"X": [lambda bad: quick().fit(bad(X), y, dy), lambda bad: fitted.predict(bad(X))],
             "y": [lambda bad: quick().fit(X, bad(y), dy), lambda bad: quick().fit(X, bad(y)),
                   lambda bad: quick().partial_fit(X, bad(y), dy), lambda bad: fitted.score(X, bad(y))],
             "dy": [lambda bad: quick().fit(X, y, bad(dy)), lambda bad: fitted.score_gradient(X, bad(dy))],
             "sample_weight": [lambda bad: quick().fit(X, y, dy, bad(weights)),
                               lambda bad: fitted.score(X, y, bad(weights))]}
    for name, refusing in calls.items():
        for call in refusing:
            with pytest.raises(ValueError, match=f"^{name}: expected real numbers, got complex ones"):
                call(COMPLEX[kind])


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
    assert rows_as(X, y, "y") is y and columns_as(column_names(X), X) is X
    assert rows_as([1, 2], [3], "y") == [3]                                                # a list has an index of its own
    assert rows_alike(X, y=y, dy=None)[0] is y


@pytest.mark.parametrize("collide", [False, True])
def test_copies_of_a_point_become_its_weight(collide, monkeypatch):
    if collide:
        monkeypatch.setattr("sobolev_lib.regressor.tables._marks", lambda columns: np.zeros(len(columns[0]), np.uint64))
    X, y = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [1.0, 2.0]]), np.array([5.0, np.nan, 5.0, 6.0])
    (x, z), weights = without_copies([X, y], None)
    counts = {(*a, b): w for a, b, w in zip(x.tolist(), np.nan_to_num(z).tolist(), weights.tolist())}
    assert counts == {(1, 2, 5): 2, (3, 4, 0): 1, (1, 2, 6): 1}
    (x, z), weights = without_copies([X, y], np.array([1.0, 0.0, 1.0, 2.0]))
    assert sorted(z.tolist()) == [5, 6] and weights.tolist() == [2, 2]          # two copies, and one that counts twice
    (x, z), weights = without_copies([X[1:3], y[1:3]], None)
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


# --- what holds the numbers -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["Float64", "Float32", "double[pyarrow]", object])
def test_missing_entries_of_any_table_are_nan(named, kind):
    if "pyarrow" in str(kind):
        pytest.importorskip("pyarrow", reason="not installed")
    X, y, dy = named
    y, dy = y.copy(), dy.copy()
    if kind == "Float32":                                  # its numbers are others, and y's are taken from it
        y, dy = y.astype(np.float32), dy.astype(np.float32)
    y.iloc[5], dy.iloc[3, 1], dy.iloc[7] = np.nan, np.nan, np.nan
    expected = quick().fit(X, y.to_numpy(), dy.to_numpy())
    typed = [table.astype(kind).where(table.notna(), pandas.NA) for table in (y, dy)]
    assert typed[0].isna().sum() == 1 and typed[1].isna().sum().tolist() == [1, 2]
    for y_, dy_ in (typed, (typed[0].to_frame("y")["y"], typed[1][["b", "a"]])):
        np.testing.assert_allclose(quick().fit(X, y_, dy_).predict(X), expected.predict(X), atol=1e-6)
    assert expected.score_gradient(X, typed[1]) == pytest.approx(expected.score_gradient(X, dy))
    assert expected.score(X[8:], typed[0][8:]) == pytest.approx(expected.score(X[8:], y[8:].to_numpy()))
    numbers = X.astype("Float64")
    np.testing.assert_allclose(quick().fit(numbers, y, dy).predict(numbers), expected.predict(X), atol=1e-6)
    for wrong in (lambda: quick().fit(X, typed[0]), lambda: quick().fit(X.assign(a=typed[1]["b"]), y, dy)):
        with pytest.raises(ValueError, match="contains NaN"):
            wrong()


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "longdouble"])
def test_numbers_of_other_sizes_are_taken_as_they_are(named, kind):
    if kind == "longdouble":
        forms = [[table.to_numpy().astype(np.longdouble) for table in named]]
        X, y, dy = [table.to_numpy() for table in named]
    else:
        tables = [torch.tensor(table.to_numpy().copy()).to(getattr(torch, kind)) for table in named]
        X, y, dy = [table.double().numpy() for table in tables]
        forms = [tables] + ([[table.numpy() for table in tables]] if kind == "float16" else [])
    expected = quick(steps=100).fit(X, y, dy)
    for X_, y_, dy_ in forms:
        found = quick(steps=100).fit(X_, y_, dy_)
        np.testing.assert_array_equal(found.predict(X_), expected.predict(X))
        assert found.predict(X_).dtype == found.predict_gradient(X_).dtype == np.float64
        assert found.score(X_, y_) == expected.score(X, y)
        assert found.score_gradient(X_, dy_) == expected.score_gradient(X, dy)


def test_large_values_in_half_precision_have_a_score():
    X = np.linspace(-1, 1, 40).reshape(-1, 1)
    y = (5e4 * X[:, 0]).astype(np.float16)                 # their squares are no such numbers, nor is their sum
    assert quick(hidden=(32,), steps=300).fit(X, y, np.full((40, 1), 5e4)).score(X, y) > 0.99


def test_sparse_input_is_refused_with_the_mend(named):
    from scipy.sparse import csr_array, csr_matrix

    X, y, dy = [table.to_numpy() for table in named]
    fitted = quick().fit(X, y, dy)
    for call, message in (
            (lambda: quick().fit(csr_matrix(X), y, dy), "Sparse data was passed for X.*toarray"),
            (lambda: fitted.predict(csr_matrix(X)), "Sparse data was passed for X.*toarray"),
            (lambda: quick().fit(X, y, csr_array(dy)),
             r"dy: expected a dense array, got a sparse one \(csr_array\); pass dy.toarray"),
            (lambda: quick().fit(X, csr_matrix(y[:, None]), dy), r"y: expected a dense array.*pass y.toarray\(\)"),
            (lambda: fitted.score_gradient(X, csr_matrix(dy)), "dy: expected a dense array"),
            (lambda: quick().fit(torch.tensor(X.copy()).to_sparse(), y, dy),
             r"X: expected a dense tensor.*pass X.to_dense\(\)"),
            (lambda: quick().fit(X, y, torch.tensor(dy.copy()).to_sparse()), r"pass dy.to_dense\(\)")):
        with pytest.raises(TypeError, match=message):
            call()
    table = named[0].astype(pandas.SparseDtype(float, 0.0))
    with pytest.raises(ValueError, match=r"X: expected dense columns, got sparse ones in \['a', 'b'\]; pass X.astype\(fl"):
        quick().fit(table, y, dy)
    np.testing.assert_array_equal(quick().fit(table.astype(float), y, dy).predict(table.astype(float)), fitted.predict(X))
    slopes = named[2].astype(pandas.SparseDtype(float, 0.0))                   # labels are few numbers: they are unpacked
    np.testing.assert_array_equal(quick().fit(named[0], y, slopes).predict(named[0]), fitted.predict(X))


def test_labels_are_compared_with_each_other_where_X_has_no_names(named):
    X, y, dy = named
    array, shuffled = X.to_numpy(), dy.sample(frac=1, random_state=1)
    with pytest.raises(ValueError, match=r"dy: expected rows in the order of y's.*pass dy.loc\[y.index\] if its rows are in "
                                         r"y's order, y.loc\[dy.index\] if in dy's"):
        quick().fit(array, y, shuffled)
    weights = pandas.Series(1.0, index=y.index)
    with pytest.raises(ValueError, match="sample_weight: expected rows in the order of dy's"):
        quick().fit(array, y.to_numpy(), shuffled, weights)
    with pytest.raises(ValueError, match=r"dy: expected the rows of y, got 10 others of 20"):
        quick().fit(array[:20], y[:20], dy[10:])
    # one order, or names that say nothing
    expected = quick().fit(array, y.to_numpy(), dy.to_numpy()).predict(array)
    for y_, dy_ in ((y, dy), (y, dy.reset_index(drop=True)), (y.to_numpy(), shuffled.loc[y.index])):
        np.testing.assert_array_equal(quick().fit(array, y_, dy_).predict(array), expected)
