"""Arrays, tensors and tables as a regressor takes them: rows and columns matched by name, labels in one layout."""
import numpy as np
import torch
from sklearn.utils.validation import validate_data

from sobolev_lib.data import SobolevData
from sobolev_lib.labels import warn_about_labels, warn_outside
from sobolev_lib.regressor.scaled_inputs import scaler_at_work


def labelled(estimator, X, y, dy, sample_weight, *, first: bool) -> SobolevData:
    """What an estimator's fit was given as data in float64 and original units; ``first`` as scikit-learn's ``reset``.

    >>> regressor, X = sobolev_lib.SobolevRegressor(), np.linspace(0, 1, 20).reshape(-1, 1)
    >>> labelled(regressor, X, X[:, 0] ** 2, 2 * X, None, first=True)
    SobolevData(20 points, order=1, in_shape=(1,), out_shape=(), torch.float64, cpu)

    Copies of a point are one point with a weight. Warns of labels that don't belong to the values.
    """
    check_numbers(X)
    names = [str(name) for name in getattr(X, "columns", ())]
    y, dy, sample_weight = (rows_as(X, table, name) for table, name in (
        (y, "y"), (dy, "dy"), (sample_weight, "sample_weight")))
    dy = None if dy is None else plain(columns_as(X, dy))
    X, y = plain(X), plain(y)
    if dy is not None and not isinstance(y, np.ndarray):
        y = np.asarray(y)                                  # tables and lists may lack values as well
    # scikit-learn knows no missing values: it looks at the others
    missing = None if dy is None or not isinstance(y, np.ndarray) or y.dtype.kind != "f" else np.isnan(y)
    known = y if missing is None else np.where(missing, 0.0, y)
    X, y = validate_data(estimator, X, known, dtype=np.float64, multi_output=True, y_numeric=True, reset=first)
    y = y.astype(np.float64)
    if missing is not None:
        y[missing.reshape(y.shape)] = np.nan
    given = [X, y] if dy is None else [X, y, laid_out(dy, y.shape, X.shape[1])]
    given, weights = without_copies(given, None if sample_weight is None else weights_of(sample_weight, len(X)))
    data = SobolevData(*given, weights=weights)
    if dy is not None:
        x, y, dy = given
        told = scaler_at_work(x, y.reshape(len(x), -1), dy.reshape(len(x), -1, x.shape[1]))
        warn_outside(told) if told else warn_about_labels(data, names)
    return data


def without_copies(tables: list[np.ndarray], weights: np.ndarray | None) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Tables (N, ...) without rows that are the same in all, and the weights of those that stay, with mean 1; None if equal.

    >>> tables, weights = without_copies([np.array([1.0, 2.0, 1.0, 1.0])], None)
    >>> dict(sorted(zip(tables[0].tolist(), weights.tolist())))
    {1.0: 1.5, 2.0: 0.5}

    So a whole weight and as many copies give the same bit for bit, and no copy of a point that is trained on is held out.
    Points of weight 0 are left out. Rows stay in their order, unless there are copies or weights.
    """
    if weights is not None:
        tables, weights = [table[weights > 0] for table in tables], weights[weights > 0]
        weights = None if (weights == weights[0]).all() else weights
    n = len(tables[0])
    columns = [np.ascontiguousarray(column).view(np.uint64) for table in tables for column in table.reshape(n, -1).T]
    _, first, which = np.unique(_marks(columns), return_index=True, return_inverse=True)
    if any((column[first][which] != column).any() for column in columns if len(first) < n):     # two points with one mark
        _, first, which = np.unique(np.stack(columns, axis=1), axis=0, return_index=True, return_inverse=True)
    if weights is None and len(first) == n:
        return tables, None
    counts = np.bincount(which, weights)
    return [table[first] for table in tables], None if (counts == counts[0]).all() else counts / counts.mean()


def weights_of(sample_weight, n: int) -> np.ndarray:
    """Weights (n,), checked: at least 0, some above.

    >>> weights_of([1, 0, 2], 3)
    array([1., 0., 2.])
    """
    try:
        weights = np.asarray(plain(sample_weight), dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"sample_weight: expected {n} numbers, got {type(sample_weight).__name__}") from None
    if weights.shape != (n,):
        raise ValueError(f"sample_weight: expected shape ({n},), one a point, got {weights.shape}")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError("sample_weight: expected finite numbers >= 0, got "
                         f"numbers from {weights.min()} to {weights.max()}")
    if not weights.any():
        raise ValueError("sample_weight: expected some weight above 0, got only zeros")
    return weights


def plain(value):
    """A tensor, on whatever device and with whatever graph, as an array; a masked array with NaN where it is masked.

    >>> plain(torch.ones(2, requires_grad=True))
    array([1., 1.], dtype=float32)
    """
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, np.ma.MaskedArray):               # scikit-learn and NumPy would take what lies beneath
        return value.astype(np.float64).filled(np.nan) if np.ma.is_masked(value) else value.data
    return value


def rows_as(X, table, name: str):
    """``table`` with its rows in the order of X's, where both name their rows (a pandas index).

    >>> import pandas
    >>> X, y = pandas.DataFrame({"a": [1, 2]}, index=["p", "q"]), pandas.Series([20, 10], index=["q", "p"])
    >>> rows_as(X, y, "y").tolist()
    [10, 20]

    Raises ``ValueError`` saying which mend is which where names leave two readings, or belong to other rows.
    """
    rows, own = _index(X), _index(table)
    if rows is None or own is None or rows.equals(own):
        return table
    mend = f"if row k of {name} belongs to row k of X, pass {name}.set_axis(X.index)"
    by_name = f"{name}.loc[X.index]"
    common = len(set(rows) & set(own))
    numbered = "RangeIndex" in (type(rows).__name__, type(own).__name__)
    if len(rows) != len(own):
        if common == len(rows):
            raise ValueError(f"{name}: expected the {len(rows)} rows of X, got {len(own)} with these among them; pass "
                             f"{by_name}")
        return table                                       # its length will be refused
    if not (rows.is_unique and own.is_unique):
        if numbered:
            return table                                   # names that occur twice are no names
        raise ValueError(f"{name}: expected rows named as X's, got another index with names that occur twice; {mend}")
    if common == len(rows):
        if numbered:
            # one was shuffled; the other may be older than that, or made from its numbers afterwards
            raise ValueError(f"{name}: expected rows in the order of X's, {list(rows[:3])} ..., got the same in another, "
                             f"{list(own[:3])} ...; pass {by_name} if rows belong together "
                             f"by number, and {mend}")
        return table.loc[rows]
    if common and not numbered:
        raise ValueError(f"{name}: expected the rows of X, got {len(rows) - common} others of {len(rows)}, such as "
                         f"{next(row for row in own if row not in rows)!r}; {mend}")
    return table


def columns_as(X, dy):
    """``dy`` with a column for each of X's, in their order, where both name them; NaN for those that it lacks.

    >>> import pandas
    >>> X = pandas.DataFrame({"spot": [100.0], "vol": [0.2]}); delta = pandas.DataFrame({"spot": [0.6]})
    >>> columns_as(X, delta)
    array([[0.6, nan]])

    Raises ``ValueError`` if some names are X's and others are not.
    """
    inputs, own = [list(getattr(table, "columns", ())) for table in (X, dy)]
    known = [name for name in own if name in inputs]
    if not known or inputs == own or len(set(own)) < len(own) or len(set(inputs)) < len(inputs):
        return dy                                          # other names say nothing
    if len(known) < len(own):
        others = [name for name in own if name not in known]
        raise ValueError(f"dy: expected columns named after X's, {inputs}, got {others} beside {known}; name each column "
                         "after the input that it is the slope along, or pass dy.to_numpy()")
    table = np.full((len(dy), len(inputs)), np.nan)
    for name in own:
        table[:, inputs.index(name)] = np.asarray(dy[name], dtype=np.float64)
    return table


def laid_out(dy, values: tuple[int, ...], inputs: int) -> np.ndarray:
    """Labels (N, *out, d) for values of shape (N, *out), from any layout in which no two entries could be confused.

    >>> laid_out(np.zeros((5, 1, 3)), (5,), 3).shape, laid_out(np.zeros(5), (5, 1), 1).shape
    ((5, 3), (5, 1, 1))

    One output may have an axis of its own or none, and so may one input. Raises ``ValueError`` otherwise.
    """
    expected = (*values, inputs)
    try:
        dy = np.asarray(dy, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"dy: expected an array of numbers of shape {expected}, got {type(dy).__name__}") from None
    outputs = values[1] if len(values) == 2 else 1
    same = [(values[0], outputs, inputs)] + [(values[0], inputs)] * (outputs == 1) + \
        [(values[0], outputs)] * (inputs == 1) + [(values[0],)] * (outputs == inputs == 1)
    if dy.shape in same:
        return dy.reshape(expected)
    mend = ""
    if dy.shape == expected[::-1] or dy.ndim == 2 and dy.T.shape in same:
        mend = "; pass dy.T"
    elif dy.ndim == 3 and dy.transpose(0, 2, 1).shape == expected:
        mend = "; pass dy.transpose(0, 2, 1)"
    elif dy.ndim == len(expected) and dy.shape[:-1] == values and dy.shape[-1] < inputs:
        mend = ("; NaN marks a slope that is not known. If a step of a pipeline adds columns, let it call "
                "set_output(transform=\"pandas\") and name the columns of dy after those of X")
    raise ValueError(f"dy: expected shape {expected}, one gradient per value of y, got {dy.shape}{mend}")


def check_numbers(X) -> None:
    """Raises ``ValueError`` naming the columns of a table that hold text or categories, and what to do about them.

    >>> import pandas
    >>> check_numbers(pandas.DataFrame({"a": [1.0, 2.0]}))                 # (N, d) of numbers: fine
    """
    if _index(X) is None or not hasattr(X, "columns"):
        return
    text = [name for name, dtype in X.dtypes.items() if str(dtype) in ("category", "str", "string")
            or str(dtype) == "object" and X[name].map(lambda each: isinstance(each, str)).any()]
    if text:
        raise ValueError(f"X: expected numbers, got text or categories in {text}; encode them first: make_pipeline("
                         f"make_column_transformer((OneHotEncoder(sparse_output=False), {text}), remainder=\"passthrough\", "
                         "verbose_feature_names_out=False).set_output(transform=\"pandas\"), SobolevRegressor()). Slopes "
                         "along the other columns are matched by name")


def _marks(columns: list[np.ndarray]) -> np.ndarray:
    """A number (N,) for each row of columns (N,) of bits: equal ones have equal numbers, others almost never."""
    factors = np.random.default_rng(0).integers(1, 2**63, len(columns), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    marks = np.zeros(len(columns[0]), np.uint64)
    for column, factor in zip(columns, factors):
        # the high bits into the low ones: those of short numbers are all zero
        mixed = (column ^ (column >> np.uint64(32))) * factor
        marks += mixed ^ (mixed >> np.uint64(29))
    return marks


def _index(table):
    """The names of a table's rows, if it is one of pandas."""
    index = getattr(table, "index", None)
    return index if hasattr(index, "is_unique") and hasattr(index, "equals") else None
