"""A scaler before the regressor changes X or y, and not the derivative labels: recognised by what it leaves behind."""
import math

import numpy as np

from sobolev_lib._neighbours import Differences, neighbours

AGREED, RATIO, LEAST = 0.15, 2.0, 1.08                     # disagreement after, before over after, and the least factor told
UNIT = "all columns from 0 to 1"
LARGE, CONSTANT, SURE = 2.0, 1.5, 6.0                      # noisy labels: factor, change of mean slope, standard errors


def scaler_at_work(x: np.ndarray, y: np.ndarray, dy: np.ndarray) -> str | None:
    """What to say if x (N, d) or y (N, q) come from a scaler and dy (N, q, d) is still in the units from before it.

    >>> X = np.random.default_rng(0).uniform(-2, 2, (50, 2)); y, dy = X.prod(axis=1, keepdims=True), X[:, None, ::-1]
    >>> scaler_at_work(X, y, dy) is None, scaler_at_work((X - X.mean(0)) / X.std(0), y, dy)[:30]
    (True, 'X comes from a scaler (mean 0,')

    A scaler leaves every column with mean 0 and standard deviation 1, or between 0 and 1, to the last digit. That alone is
    no fault: labels may have been scaled as well. So the labels must also fit the values much better with one factor a
    column; or, where single points are too noisy for that, the mean slopes must differ from the values' linear trend.
    """
    known = np.isfinite(y).all(axis=1)
    x, y, dy = x[known], y[known], dy[known]
    if len(x) < 10:
        return None
    for table, what in ((x, "X"), (y, "y")):
        with np.errstate(over="ignore", invalid="ignore"):   # of very large numbers, which come from no scaler
            found = _fingerprint(table)
        # a grid from 0 to 1 is what many begin with: there it takes labels that tell exactly
        natural = found == UNIT and any(len({*np.round(np.diff(np.unique(column)), 9)}) == 1 for column in table.T)
        factor = found and _factor(x, y, dy, one=what == "y", exact=natural)
        if factor:
            place = {"X": "a step before SobolevRegressor in a pipeline", "y": "a TransformedTargetRegressor"}[what]
            return (f"{what} comes from a scaler ({found}) and dy does not: its slopes fit the values only times {factor}. "
                    f"Leave out the scaler, most likely {place}: SobolevRegressor scales all three itself. Or scale dy, too")
    return None


def _fingerprint(table: np.ndarray) -> str | None:
    mean, std, low, high = table.mean(0), table.std(0), table.min(0), table.max(0)
    varies = high > low
    if not varies.any():
        return None
    if np.abs(mean[varies]).max() < 1e-7 and np.abs(std[varies] - 1).max() < 1e-7:
        return "mean 0, standard deviation 1"
    if np.abs(low[varies]).max() < 1e-12 and np.abs(high[varies] - 1).max() < 1e-12 and len(np.unique(table[:, varies])) > 2:
        return UNIT
    return None


def _factor(x, y, dy, one: bool, exact: bool) -> str | None:
    """The numbers by which labels must be multiplied, in words; None if they fit as they are, or nothing can be told."""
    # one output will do; of many points a sample will
    rows = np.linspace(0, len(x) - 1, min(len(x), 4_000)).astype(int)
    x, y, dy = x[rows], y[rows, 0], dy[rows, 0]
    labelled = np.isfinite(dy).any(axis=0)
    if not labelled.any() or not np.isfinite(dy[:, labelled]).all(axis=1).any():
        return None
    pairs = neighbours(x)
    differences = Differences(pairs, y, np.finfo(float).eps)
    if differences.bound == 0:
        return None
    contributions = pairs.contributions(dy[:, labelled])
    if one:
        contributions = contributions.sum(axis=1, keepdims=True)
    halves = [differences.factors(contributions, pairs.anchor % 2 == half) for half in (0, 1)]
    whole = differences.factors(contributions, np.ones(len(contributions), bool))
    if whole is None or halves[0] is None or halves[1] is None:
        return None
    before, after = (_disagreement(differences, contributions @ f) for f in (np.ones(len(whole)), whole))
    # a column that hardly matters could be multiplied by anything
    sizes = np.abs(np.nan_to_num(contributions * whole)).mean(axis=0)
    matter = sizes > 0.05 * sizes.sum()
    f = whole[matter]
    if after < AGREED:
        agree = all(np.allclose(half[matter], f, rtol=0.15, atol=0) for half in halves if half is not None)
        differs = (f > 0).all() and np.abs(np.log(f)).max() > math.log(LEAST)
        return _told(f) if agree and differs and before > RATIO * after else None
    trend = None if one or exact else _trend(x[:, labelled], y, dy[:, labelled])
    return None if trend is None else _told(trend)


def _disagreement(differences: Differences, slopes: np.ndarray) -> float:
    part, weight = differences.disagreement(slopes)
    return float(part.sum() / max(weight.sum(), 1e-300))


def _trend(x, y, dy) -> np.ndarray | None:
    """Linear trend over mean slope, of the columns where both are sure; None if these are near 1 or not all of one kind."""
    complete = np.isfinite(dy).all(axis=1)
    x, y, dy = x[complete], y[complete], dy[complete]
    n, d = x.shape
    if n < 20 * d:
        return None
    design = np.column_stack([np.ones(n), x])
    slopes, *_ = np.linalg.lstsq(design, y, rcond=None)
    spread = np.std(y - design @ slopes) * np.sqrt(np.diag(np.linalg.pinv(design.T @ design)))
    trend, error, mean = slopes[1:], spread[1:], dy.mean(axis=0)
    scatter = dy.std(axis=0) / math.sqrt(n)
    inner = np.abs(x - np.median(x, axis=0)) < np.median(np.abs(x - np.median(x, axis=0)), axis=0)
    near, far = (np.array([dy[rows[:, k], k].mean() for k in range(d)]) for rows in (inner, ~inner))
    # where slopes change along the column, its trend need not be their mean
    even = (near * far > 0) & (np.abs(np.log(np.abs(near / np.where(far == 0, 1, far)) + 1e-300)) < math.log(CONSTANT))
    sure = even & (np.abs(trend) > SURE * error) & (np.abs(mean) > SURE * scatter)
    if not sure.any():
        return None
    ratio = trend[sure] / mean[sure]
    return ratio if (ratio > LARGE).all() or ((ratio > 0) & (ratio < 1 / LARGE)).all() else None


def _told(factors: np.ndarray) -> str:
    low, high = factors.min(), factors.max()
    return f"{low:.3g}" if high < 1.03 * low else f"{low:.3g} to {high:.3g}, by column"
