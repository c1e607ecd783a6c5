"""check_labels: do derivative labels belong to the values beside them? A wrong sign, unit, column or row shows.

Between neighbouring points i and j a smooth function changes by about (dy_i + dy_j) / 2 . (x_j - x_i), with an error of the
third order in the distance. Where the values' differences follow another reading of the labels (their negatives, other
columns, ...) much better than the labels themselves, the labels are wrong in just this way.
"""
import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

import numpy as np
import torch

from sobolev_lib._neighbours import CANDIDATES, Differences, neighbours
from sobolev_lib._readings import convincing, scatter, told
from sobolev_lib._warnings import warn_outside
from sobolev_lib.data import SobolevData, check_order_of_tables

SURE, OUTPUTS = 0.99, 8                                    # the confidence of a warning; outputs that are looked at, at most
LEAST_POINTS, LEAST_NOISE, UNSURE = 10, 0.15, 0.9


@dataclass(frozen=True)
class LabelCheck:
    """What ``check_labels`` found in the labels of inputs (N, d).

    >>> X = np.random.default_rng(0).uniform(1, 2, (50, 2))
    >>> check_labels(X, X.prod(axis=1), -X[:, ::-1])
    LabelCheck(problem='sign', confidence=1.0, factor=None, columns=None, noise=None, outputs=())

    ``problem``: None, "sign", "factor", "columns" (in another order), "column factors", "layout" (a table reshaped where
    it should have been transposed), "rows" (in another order), "zeros" (in place of unknown ones) or "noise". ``factor``:
    what the labels must be multiplied by, one number or (d,) of them. ``columns``: the order (d,) in which the columns must
    be taken. ``noise``: the labels' scatter about the slopes of the values, as a share of their own root mean square, where
    it can be told. ``outputs``: those that have the problem; all if empty. ``confidence``: the share of resamplings of the
    points that say the same; at most 0.9 for noise, because structure finer than the points looks like it, and for labels
    that are all 0, because one who wants a calm function passes these too; 0 where the points tell nothing. ``message`` says
    it in words.
    """

    problem: str | None
    confidence: float
    message: str = field(repr=False)
    factor: float | tuple[float, ...] | None = None
    columns: tuple[int, ...] | None = None
    noise: float | None = None
    outputs: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """No problem was found. Where the points are too sparse to find one, ``confidence`` is 0."""
        return self.problem is None

    def __str__(self) -> str:
        return f"{self.message}. (Confidence {self.confidence:.2f}.)"


def check_labels(X, y=None, dy=None) -> LabelCheck:
    """Whether derivative labels fit the values beside them, and if not, what is wrong with them.

    >>> X = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    >>> y, force = X[:, 0] ** 2 * X[:, 1], -np.stack([2 * X[:, 0] * X[:, 1], X[:, 0] ** 2], axis=1)
    >>> print(check_labels(X, y, force))
    The derivative labels have the wrong sign: the values follow their negatives. Are they forces? Pass -dy. (Confidence ...

    X (N, d), y (N,) or (N, q), dy (N, d) or (N, q, d) in y's units over X's: arrays, tensors, tables or lists, or instead
    of the three one ``SobolevData``. NaN entries of dy are missing ones, and points without a value are left out. At most
    1,000 points are compared with their nearest neighbours among at most 20,000. A disagreement for which there is no better
    reading is no problem: so noise in the values, jumps and kinks pass, and where points are too sparse to tell, ``message``
    says so. Labels that are all 0 beside values that vary are told, even if they are right, as those of steps are: a fit that
    follows them is flat. On an equally spaced grid, where waves shorter than two steps look longer than they are,
    only well-known large factors are told. ``fit`` warns by this check where it is sure. It can't prove labels right: a small
    share of wrong ones, a column that hardly matters or a factor below 1.5 goes unnoticed.

    Raises ``ValueError`` or ``TypeError`` as ``SobolevData`` does. Source: a method of this library; the paper has none.
    """
    if isinstance(X, SobolevData):
        data = X
    else:
        if y is None or dy is None:
            missing = "y" if y is None else "dy"
            raise TypeError(f"check_labels: expected X, y and dy, or SobolevData alone; got {missing}=None")
        check_order_of_tables(X, y, dy)
        data = SobolevData(*[_array(value, name) for value, name in ((X, "X"), (y, "y"), (dy, "dy"))])
    if data.order < 1:
        raise ValueError("data: expected derivative labels to check, got values only")
    if data.jacobian is None:
        raise ValueError("data: expected whole Jacobians to check, got slopes along directions; check_labels can't read "
                         "these")
    return _checked(data, [str(name) for name in getattr(X, "columns", [])])


_seen: "weakref.WeakSet[SobolevData]" = weakref.WeakSet()


def warn_about_labels(data: SobolevData, names: Sequence[str] = ()) -> None:
    """A warning that names the line outside this package, once for each data set, if its labels are surely wrong.

    >>> warn_about_labels(sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(50, 2)))    # right labels (N, d): silent
    """
    if data.jacobian is None or data in _seen:
        return
    _seen.add(data)
    if len(data) > CANDIDATES:
        data = data[torch.linspace(0, len(data) - 1, CANDIDATES).long().to(data.inputs.device)]
    result = _checked(data, list(names))
    if not result.ok and result.confidence >= SURE:
        warn_outside(f"{result} See sobolev_lib.check_labels.")


def mark_as_checked(data: SobolevData) -> None:
    """``warn_about_labels`` passes this data set by: the same was looked at in other units.

    >>> mark_as_checked(sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(50, 2)))
    """
    _seen.add(data)


def _array(value, name: str) -> np.ndarray:
    try:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            value = (value if value.is_complex() else value.double()).numpy()
        if hasattr(value, "to_numpy") and hasattr(value, "index"):     # of pandas, where NA is no number
            value = value.to_numpy(dtype=np.float64, na_value=np.nan)
        array = np.ma.asarray(value)
        if array.dtype.kind == "c":
            raise TypeError("complex ones")
        return np.ma.filled(array.astype(np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: expected an array of numbers, got {type(value).__name__} ({error})") from None


def _checked(data: SobolevData, names: list[str]) -> LabelCheck:
    rounding = torch.finfo(data.inputs.dtype).eps
    x, y, dy = [tensor.detach().cpu().double().numpy() for tensor in data.tensors[:3]]
    n, q, d = len(x), math.prod(data.out_shape), math.prod(data.in_shape)
    x, y, dy = x.reshape(n, d), y.reshape(n, q), dy.reshape(n, q, d)
    known = np.isfinite(y).all(axis=1)                     # a value may be missing where a slope is known
    if known.sum() < LEAST_POINTS:
        return LabelCheck(None, 0.0, "Nothing to tell: too few points have values")
    x, y, dy = x[known], y[known], dy[known]
    # squares of very large and very small numbers leave the range; powers of two change no digit
    unit, units = _power_of_two(x), _power_of_two(y)
    x, y, dy = x / unit, y / units, dy * (unit / units)
    pairs, layouts, grid = neighbours(x), _layouts(dy, data.out_shape == ()), _equally_spaced(x)
    outputs = range(q) if q <= OUTPUTS else np.linspace(0, q - 1, OUTPUTS).astype(int).tolist()
    found = {}
    for k in outputs:
        own = {name: table[:, k] for name, table in layouts.items()}
        found[k] = _examined(Differences(pairs, y[:, k], rounding), dy[:, k], own, grid, names)
    problems = [result.problem for result in found.values() if not result.ok]
    if not problems:
        return min(found.values(), key=lambda result: result.confidence)
    problem = max(problems, key=problems.count)
    same = {k: result for k, result in found.items() if result.problem == problem}
    surest = max(same.values(), key=lambda result: result.confidence)
    if len(same) == len(found):
        return surest
    return replace(surest, outputs=tuple(same), message=f"Output {', '.join(map(str, same))}: {surest.message}")


def _examined(differences: Differences, dy: np.ndarray, layouts: dict[str, np.ndarray], grid: bool,
              names: list[str]) -> LabelCheck:
    """The check of one output, with labels (N, d)."""
    given = differences.pairs.contributions(dy).sum(axis=1)
    if differences.bound == 0 or len(np.unique(differences.pairs.anchor[np.isfinite(given)])) < LEAST_POINTS:
        return LabelCheck(None, 0.0, "Nothing to tell: the values are constant, or too few points have labels")
    if not np.nan_to_num(dy).any():
        return LabelCheck("zeros", UNSURE, "All derivative labels are 0 and the values vary: a fit that follows them is flat. "
                                           "Are they unknown, or of steps, whose slopes tell nothing? Pass none")
    found = convincing(differences, dy, layouts, grid, names)
    if found is not None:
        reading, confidence = found
        return LabelCheck(reading.problem, confidence, reading.message, **reading.settings)
    noise, confidence = scatter(differences, dy), told(differences, given)
    if noise is not None and noise >= LEAST_NOISE and confidence >= 0.5:
        message = ("The derivative labels scatter about the slopes of the values by "
                   f"{100 * noise:.0f} % of their own size: noise, or structure finer than the points")
        return LabelCheck("noise", min(confidence, UNSURE), message, noise=noise)
    if confidence < 0.9:
        message = "The points are too sparse, or the values too noisy, to tell whether the labels fit them"
        return LabelCheck(None, 0.0, message)
    return LabelCheck(None, confidence, "No other reading of the derivative labels fits the values better", noise=noise)


def _power_of_two(numbers: np.ndarray) -> float:
    """The largest that is no larger than the largest of ``numbers``; 1 where they are of ordinary size, or all are zero."""
    largest = float(np.abs(numbers).max())
    return 1.0 if largest == 0 or 1e-50 < largest < 1e50 else 2.0 ** math.floor(math.log2(largest))


def _layouts(dy: np.ndarray, scalar: bool) -> dict[str, np.ndarray]:
    """Labels (N, q, d) as they should have been, had a table with its axes in another order been reshaped to theirs."""
    found = {}
    for axes in permutations(range(3)):
        if axes == (0, 1, 2) or scalar and axes != (2, 1, 0):
            continue
        table = dy.reshape([dy.shape[axis] for axis in axes]).transpose(np.argsort(axes))
        found[f"({', '.join('Nqd'[axis] for axis in axes if axis != 1 or not scalar)})"] = table
    return found


def _equally_spaced(x: np.ndarray) -> bool:
    for column in x.T:
        gaps = np.diff(np.unique(column))
        gaps = gaps[gaps > 1e-9 * np.abs(column).max()]
        if len(gaps) and gaps.max() > 1.001 * gaps.min():
            return False
    return True
