"""What fit is given as labelled data: labels in one layout, copies as weights, all in float64."""
import numpy as np
import torch
from sklearn.utils.validation import validate_data

from sobolev_lib._warnings import warn_outside
from sobolev_lib.data import SobolevData
from sobolev_lib.labels import warn_about_labels
from sobolev_lib.regressor.named_tables import (
    check_columns,
    check_outputs,
    column_names,
    columns_as,
    numbers_of,
    plain,
    rows_alike,
)
from sobolev_lib.regressor.scaled_inputs import scaler_at_work

SENTINEL = 1e20                                            # times the median size, and 1: no float64 holds digits of both


def labelled(estimator, X, y, dy, sample_weight, *, first: bool, unit: float | None = None) -> tuple[SobolevData, float]:
    """What an estimator's fit was given as data in float64 and original units; ``first`` as scikit-learn's ``reset``.

    >>> regressor, X = sobolev_lib.SobolevRegressor(), np.linspace(0, 1, 20).reshape(-1, 1)
    >>> labelled(regressor, X, X[:, 0] ** 2, 2 * X, None, first=True)
    (SobolevData(20 points, order=1, in_shape=(1,), out_shape=(), torch.float64, cpu), 1.0)

    Copies of a point are one point with a weight. The second result is the weight that counts as 1: ``unit``, or the mean
    of these points' weights. Warns of labels that don't belong to the values.
    """
    check_columns(X)
    names = [str(name) for name in getattr(X, "columns", ())]
    y, dy, sample_weight = rows_alike(X, y=y, dy=dy, sample_weight=sample_weight)
    inputs = column_names(X, None if first else estimator)
    outputs = check_outputs(y, [] if first else getattr(estimator, "_output_names", []))
    if first:
        estimator._output_names = outputs
    X, y = plain(X, "X"), numbers_of(y, "y")
    if dy is not None and not isinstance(y, np.ndarray):
        y = np.asarray(y)                                  # tables and lists may lack values as well
    # scikit-learn knows no missing values: it looks at the others
    missing = None if dy is None or not isinstance(y, np.ndarray) or y.dtype.kind != "f" else np.isnan(y)
    known = y if missing is None else np.where(missing, 0.0, y)
    X, y = validate_data(estimator, X, known, dtype=np.float64, order="C", multi_output=True, y_numeric=True, reset=first)
    y = y.astype(np.float64)
    if missing is not None:
        y[missing.reshape(y.shape)] = np.nan
    given = [X, y] if dy is None else [X, y, np.ascontiguousarray(slopes_of(dy, inputs, y.shape, X.shape[1]))]
    for name, table in zip(("y", "dy"), given[1:]):
        refuse_sentinels(table, name)
    given, weights = without_copies(given, None if sample_weight is None else weights_of(sample_weight, len(X)))
    weights = np.ones(len(given[0])) if weights is None else weights
    if counted := few_that_count(weights):
        warn_outside(f"{'copies of points' if sample_weight is None else 'sample_weight'}: {counted}")
    if unit is None:                                       # a mean of equal numbers may differ from them in the last digit
        unit = float(weights[0] if (weights == weights[0]).all() else weights.mean())
    data = SobolevData(*given, weights=None if (weights == unit).all() else weights / unit)
    if dy is not None:
        x, y, dy = given
        told = scaler_at_work(x, y.reshape(len(x), -1), dy.reshape(len(x), -1, x.shape[1]))
        warn_outside(told) if told else warn_about_labels(data, names)
        ignored = weightless(estimator.derivative_weight, dy.shape[1:])
        if ignored.any():
            dy = np.where(ignored, np.nan, dy)
            told = np.isfinite(np.column_stack([y.reshape(len(x), -1), dy.reshape(len(x), -1)])).any(axis=1)
            weights = data.weights if data.weights is None else data.weights[torch.from_numpy(told)]
            data = SobolevData(x[told], y[told], dy[told], weights=weights)
    return data, unit


def few_that_count(weights: np.ndarray) -> str:
    """What to say of weights (N,) of which few points have nearly all; nothing of others.

    >>> few_that_count(np.array([1e6, *[1.0] * 199]))
    '1 of 200 points has 99 % of the weight, so what the others say hardly counts'
    >>> few_that_count(np.array([3.0, *[1.0] * 199]))
    ''
    """
    shares = np.sort(weights)[::-1] / weights.max()
    if shares.sum()**2 / (shares**2).sum() > len(shares) / 10:         # as many points of equal weight would tell as much
        return ""
    count = int((shares.cumsum() < 0.99 * shares.sum()).sum()) + 1
    return (f"{count} of {len(shares)} points {'has' if count == 1 else 'have'} 99 % of the weight, so what the others say "
            "hardly counts")


def refuse_sentinels(table: np.ndarray, name: str) -> None:
    """Raises ``ValueError`` for a number that stands for "not known": so large that beside it no number holds the others.

    >>> refuse_sentinels(np.array([1.0, 2.0, 1e30]), "y")
    Traceback (most recent call last):
        ...
    ValueError: y: expected numbers that fit beside each other, got 1e+30 in row 2, where the median size is 2; NaN marks what is not known
    """
    sizes = np.abs(table)
    known = sizes[np.isfinite(sizes) & (sizes > 0)]
    # slopes of a steep front may be as small as 1e-40 where it is flat: only what is large by itself stands for something else
    if len(known) and known.max() > SENTINEL and known.max() / SENTINEL > np.median(known):
        row = np.unravel_index(np.nanargmax(np.where(np.isinf(sizes), np.nan, sizes)), table.shape)[0]
        raise ValueError(f"{name}: expected numbers that fit beside each other, got {known.max():.3g} in row {row}, where the median "
                         f"size is {np.median(known):.3g}; NaN marks what is not known")


def weightless(derivative_weight, shape: tuple[int, ...]) -> np.ndarray:
    """Which slopes of a point, of this ``shape``, have weight 0: these are as good as missing, scales and choices included.

    >>> weightless([1.0, 0.0], (2,)).tolist(), weightless("auto", (1, 2)).tolist()
    ([False, True], [[False, False]])
    """
    try:
        return np.broadcast_to(np.asarray(derivative_weight, dtype=np.float64), (1, *shape)[-2:]).reshape(shape) == 0
    except (TypeError, ValueError):                        # "auto", or what the loss refuses
        return np.zeros(shape, dtype=bool)


def without_copies(tables: list[np.ndarray], weights: np.ndarray | None) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Tables (N, ...) without rows that are the same in all, and the weights of those that stay; None if there were none.

    >>> tables, weights = without_copies([np.array([1.0, 2.0, 1.0, 1.0])], None)
    >>> dict(sorted(zip(tables[0].tolist(), weights.tolist())))
    {1.0: 3.0, 2.0: 1.0}

    So a whole weight and as many copies give the same bit for bit, and no copy of a point that is trained on is held out.
    Points of weight 0 are left out. Rows stay in their order, unless there are copies or weights.
    """
    if weights is not None:
        tables, weights = [table[weights > 0] for table in tables], weights[weights > 0]
    alike = weights is None or bool((weights == weights[0]).all())
    n = len(tables[0])
    columns = [np.ascontiguousarray(column).view(np.uint64) for table in tables for column in table.reshape(n, -1).T]
    _, first, which = np.unique(_marks(columns), return_index=True, return_inverse=True)
    if any((column[first][which] != column).any() for column in columns if len(first) < n):     # two points with one mark
        _, first, which = np.unique(np.stack(columns, axis=1), axis=0, return_index=True, return_inverse=True)
    if alike and len(first) == n:
        return tables, weights
    return [table[first] for table in tables], np.bincount(which, weights).astype(np.float64)


def weights_of(sample_weight, n: int) -> np.ndarray:
    """Weights (n,), checked: at least 0, some above.

    >>> weights_of([1, 0, 2], 3)
    array([1., 0., 2.])
    """
    given = numbers_of(sample_weight, "sample_weight")
    try:
        weights = np.asarray(given, dtype=np.float64)
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


def slopes_of(dy, names: list, values: tuple[int, ...], inputs: int) -> np.ndarray:
    """Slopes as a regressor's fit is given them: numbers, columns in the order of ``names``, laid out.

    >>> slopes_of([[1], [2]], [], (2,), 1).tolist()
    [[1.0], [2.0]]
    """
    return laid_out(numbers_of(columns_as(names, dy), "dy"), values, inputs)


def values_of(y, shape: tuple[int, ...]) -> np.ndarray:
    """Values in the shape (N,) or (N, q) of predictions; one output may have an axis of its own or none.

    >>> values_of([[1], [2]], (2,)).tolist()
    [1.0, 2.0]

    Raises ``TypeError`` for what is no table of numbers, ``ValueError`` for another shape.
    """
    try:
        y = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"y: expected an array of real numbers of shape {shape}, got {type(y).__name__}") from None
    if y.shape != shape and {y.shape, shape} != {(len(y), 1), (len(y),)}:
        raise ValueError(f"y: expected shape {shape}, as predictions have, got {y.shape}")
    return y.reshape(shape)


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


def _marks(columns: list[np.ndarray]) -> np.ndarray:
    """A number (N,) for each row of columns (N,) of bits: equal ones have equal numbers, others almost never."""
    factors = np.random.default_rng(0).integers(1, 2**63, len(columns), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    marks = np.zeros(len(columns[0]), np.uint64)
    for column, factor in zip(columns, factors):
        # the high bits into the low ones: those of short numbers are all zero
        mixed = (column ^ (column >> np.uint64(32))) * factor
        marks += mixed ^ (mixed >> np.uint64(29))
    return marks
