"""Other readings of derivative labels, and whether one of them explains the values much better than the labels as given.

All thresholds were chosen on other seeds than those the tests report (see tests/test_labels.py). Disagreements lie between
0 and 1; right labels of smooth functions reach 0.00 to 0.3, labels that have nothing to do with the values 0.5 to 1.
"""
import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Iterator

import numpy as np

from sobolev_lib._neighbours import Differences

FOLLOWS, MARGIN, RATIO = 0.35, 0.2, 2.0                    # a convincing reading disagrees less; the labels, more than it
SCALED_FOLLOWS, SCALED_MARGIN, SCALED_RATIO = 0.15, 0.15, 3.0    # the same where factors below LARGE were fitted
COLUMN_MARGIN = 0.07                                       # where one a column was fitted
FITTED, FITTED_BY_COLUMN = 20, 15                          # points that a fit needs, and for each of several factors
ORDER_MARGIN, ORDER_RATIO = 0.03, 1.2                      # of an order of columns that both halves of the points lead to
SMALLEST, LARGE = 1.5, 5.0                                 # the least factor told; curvature never looks like a larger
RIGHT, UNRELATED = 0.05, 0.25                              # no other reading is tried below; other rows are above
COLUMNS, RESAMPLINGS = 32, 300
KNOWN = {180 / math.pi: "labels per degree, inputs in radians", math.pi / 180: "labels per radian, inputs in degrees",
         100.0: "labels per percentage point, inputs as fractions", 0.01: "labels per unit, inputs in percent",
         1e4: "labels per basis point", 1e-4: "inputs in basis points", 1e3: "a thousand", 1e-3: "a thousandth",
         2.0: "half of them", 0.5: "twice them"}


@dataclass
class Reading:
    """Labels read in another way: their slopes along the pairs (P,), and what to say if it is the right one."""

    problem: str
    slopes: np.ndarray
    message: str
    settings: dict = field(default_factory=dict)
    limits: tuple[float, float, float] = (FOLLOWS, MARGIN, RATIO)


def convincing(differences: Differences, dy: np.ndarray, layouts: dict[str, np.ndarray], grid: bool,
               names: list[str]) -> tuple[Reading, float] | None:
    """The reading that explains the values, and its confidence; None if the labels do so, or nothing does."""
    contributions = differences.pairs.contributions(dy)
    given = contributions.sum(axis=1)
    own = differences.by_anchor(given)
    if not _means(own)[0] > RIGHT:
        return None
    best = None
    for reading in _readings(differences, dy, contributions, given, layouts, grid, names):
        sums = differences.by_anchor(reading.slopes)
        confidence, mean = _confidence(own, sums, reading.limits, both=grid)
        # of equally good readings the first is the simplest
        if confidence >= 0.9 and (best is None or mean < 0.8 * best[2] - 0.01):
            best = reading, confidence, mean
    return None if best is None else best[:2]


def told(differences: Differences, given: np.ndarray) -> float:
    """The share of resamplings in which the labels as given, slopes (P,), agree with the values as no chance would."""
    sums, negative = differences.by_anchor(given), differences.by_anchor(-given)
    scale = int(np.nanargmin(_means(sums)))
    a, b = (_means(_resampled(s[scale])) for s in (sums, negative))
    return float(np.mean((a <= 0.5) & (b - a >= MARGIN)))


def _means(sums: np.ndarray) -> np.ndarray:
    """Weighted mean disagreements of sums (..., 2, anchors) over all anchors."""
    part, weight = sums.sum(axis=-1).T if sums.ndim == 3 else sums
    return np.where(weight > 0, part / np.where(weight > 0, weight, 1), np.nan)


def _resampled(sums: np.ndarray) -> np.ndarray:
    """Sums (2, resamplings) over anchors drawn with replacement, of sums (2, anchors)."""
    return sums @ _draws(sums.shape[1])


@lru_cache(maxsize=2)
def _draws(count: int) -> np.ndarray:
    """How often each of so many anchors is drawn, (anchors, resamplings): to draw takes longer than what is done with it."""
    return np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLINGS).T.astype(float)


def _confidence(own: np.ndarray, other: np.ndarray, limits: tuple[float, float, float], both: bool) -> tuple[float, float]:
    """The share of resamplings in which ``other`` convinces, at the scale where it agrees best, and its mean there."""
    follows, margin, ratio = limits
    means, given = _means(other), _means(own)
    if np.isnan(means).all():
        return 0.0, 1.0
    scale = int(np.nanargmin(means))
    # the other scale may see nothing, but must not contradict
    if means[1 - scale] > (FOLLOWS if both else given[1 - scale] + 0.02):
        return 0.0, 1.0
    a, b = _means(_resampled(other[scale])), _means(_resampled(own[scale]))
    return float(np.mean((a <= follows) & (b - a >= margin) & (b >= ratio * a))), float(means[scale])


def _readings(differences, dy, contributions, given, layouts, grid, names) -> Iterator[Reading]:
    """From the simplest to the least simple."""
    yield Reading("sign", -given, "The derivative labels have the wrong sign: the values follow their negatives. Are they "
                                  "forces? Pass -dy")
    zero = (dy == 0).all(axis=1)
    if zero.any():
        yield Reading("zeros", differences.pairs.contributions(np.where(zero[:, None], np.nan, dy)).sum(axis=1),
                      f"{zero.sum()} points have derivative labels that are all 0, and the values around follow the slopes of "
                      "others. Are they unknown? Pass NaN in their place")
    d, enough = dy.shape[1], len(np.unique(differences.pairs.anchor[np.isfinite(given)])) >= FITTED
    if enough:
        yield from _factor(differences, given, grid)
    halves = [differences.pairs.anchor % 2 == k for k in (0, 1)]
    if enough and 2 <= d <= COLUMNS:
        orders = [differences.order(dy, half) for half in halves]
        if orders[0] == orders[1] != tuple(range(d)):
            order = orders[0]
            moved = [column for column in range(d) if order[column] != column]
            told = ", ".join(f"the slope along {_name(names, column)} stands in column {_name(names, order[column])}"
                             for column in moved[:4])
            yield Reading("columns", differences.pairs.contributions(dy[:, order]).sum(axis=1),
                          f"The columns of the derivative labels are in another order than the inputs': {told}"
                          f"{', ...' if len(moved) > 4 else ''}. Pass dy[..., {list(order)}]", {"columns": order},
                          (FOLLOWS, ORDER_MARGIN, ORDER_RATIO))
    for name, table in layouts.items():
        yield Reading("layout", differences.pairs.contributions(table).sum(axis=1),
                      f"The derivative labels were reshaped from {name} where they should have been transposed")
    if np.nanmax(_means(differences.by_anchor(given))) > UNRELATED:
        yield from _rows(differences, dy)
    if enough and 2 <= d <= COLUMNS and not grid:
        yield from _column_factors(differences, contributions, halves, names)


def _factor(differences, given, grid) -> Iterator[Reading]:
    pairs = differences.pairs
    factors = [differences.factor(given, pairs.near & (pairs.anchor % 2 == half)) for half in (0, 1)]
    factor = differences.factor(given, pairs.near)
    if not _differs(factor) or not np.allclose(factors, factor, rtol=0.15, atol=0):
        return
    large = not 1 / LARGE < abs(factor) < LARGE
    if grid and not (large and factor > 0 and _known(factor)):
        return                                             # there, waves shorter than two steps look like longer ones
    yield Reading("factor", factor * given, f"The derivative labels have the wrong unit. Multiply dy by {_told(factor)}",
                  {"factor": factor},
                  (FOLLOWS, MARGIN, RATIO) if large else (SCALED_FOLLOWS, SCALED_MARGIN, SCALED_RATIO))


def _column_factors(differences, contributions, halves, names) -> Iterator[Reading]:
    whole = differences.factors(contributions, np.ones(len(contributions), bool))
    parts = [differences.factors(contributions, half) for half in halves]
    if whole is None or any(part is None for part in parts):
        return
    # a column that hardly matters could be multiplied by anything
    sizes = np.abs(np.nan_to_num(contributions * whole)).mean(axis=0)
    matter = sizes > 0.05 * sizes.sum()
    factors = np.where(matter, whole, 1.0)
    wrong = [k for k in range(len(factors)) if _differs(factors[k])]
    # from few points one factor among several may be curvature, unless it is negative or large
    few = len(np.unique(differences.pairs.anchor)) < FITTED_BY_COLUMN * len(factors)
    if few and any(1 / LARGE < factors[k] < LARGE for k in wrong):
        return
    if wrong and all(np.allclose(part[matter], whole[matter], rtol=0.2, atol=0) for part in parts):
        several, counted = len(wrong) > 1, any(k >= len(names) for k in wrong[:4])
        told = ", ".join(f"column {_name(names, k)} by {_told(factors[k])}" for k in wrong[:4])
        yield Reading("column factors", (contributions * factors).sum(axis=1),
                      f"{'Columns of the derivative labels have' if several else 'One column of the derivative labels has'} the "
                      f"wrong unit or sign. Multiply {told}{', ...' if len(wrong) > 4 else ''}"
                      f"{'; columns are counted from 0' if counted else ''}", {"factor": tuple(float(f) for f in factors)},
                      (SCALED_FOLLOWS, COLUMN_MARGIN, SCALED_RATIO))


def _rows(differences, dy) -> Iterator[Reading]:
    pairs = differences.pairs
    for order, table in (("reversed", dy[::-1]), ("one row late", np.roll(dy, -1, axis=0)),
                         ("one row early", np.roll(dy, 1, axis=0))):
        yield Reading("rows", pairs.contributions(table).sum(axis=1),
                      f"The rows of the derivative labels are in another order than the points: {order}")
    matched = _matched(differences, dy)
    if matched is not None:
        yield Reading("rows", matched, "The rows of the derivative labels are in another order than the points: other rows "
                                       "explain the values much better than their own")


def _matched(differences, dy, anchors: int = 150, rows: int = 500) -> np.ndarray | None:
    """Slopes (P,) by the row that suits each anchor best, chosen on every other neighbour and given on the rest."""
    pairs, random = differences.pairs, np.random.default_rng(0)
    known = np.flatnonzero(np.isfinite(dy).all(axis=1))
    if len(known) < 50:
        return None
    known = known if len(known) <= rows else random.choice(known, rows, replace=False)
    slopes, sizes = np.full(len(pairs.first), np.nan), []
    for anchor in range(0, pairs.anchors, -(-pairs.anchors // anchors)):
        own = np.flatnonzero(pairs.anchor == anchor)
        chosen_by, rest = own[::2], own[1::2]
        if len(rest) < 2:
            continue
        candidates = np.union1d(known, pairs.first[own[:1]])
        part, weight = differences.disagreement(pairs.direction[chosen_by] @ dy[candidates].T, chosen_by)
        best = candidates[np.argmin(part.sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-300))]
        slopes[rest] = pairs.direction[rest] @ dy[best]
        sizes.append((slopes[rest] ** 2, (pairs.direction[rest] @ dy[known].T) ** 2))
    # other rows in the right order are as large as all rows; where structure is finer than the points, small ones fit best
    chosen, all_rows = (np.mean(np.concatenate([size[k].ravel() for size in sizes])) for k in (0, 1)) if sizes else (0, 1)
    return slopes if chosen > 0.7 * all_rows else None


def scatter(differences: Differences, dy: np.ndarray) -> float | None:
    """The noise of labels (N, d) as a share of their root mean square; None where it can't be told from anything else.

    Independent noise of variance s^2 in both ends' labels gives (mean slope - difference of values) a variance of s^2 / 2,
    and the difference of the two labels 2 s^2: a ratio of a quarter at any distance. With smooth labels it goes to 0 as
    points come nearer, with noise in the values to infinity.
    """
    pairs = differences.pairs
    along = [np.einsum("pd,pd->p", dy[rows], pairs.direction) for rows in (pairs.first, pairs.second)]
    used = np.isfinite(along[0]) & np.isfinite(along[1])
    if used.sum() < 500:
        return None
    a, b = (slope[used] for slope in along)
    u, distance = differences.slopes[used], pairs.distance[used]
    error, change = ((a + b) / 2 - u) ** 2, (a - b) ** 2
    edges = np.quantile(distance, [0, 0.05, 0.15, 0.4])
    for low, high in zip(edges, edges[1:]):
        within = (distance >= low) & (distance <= high)
        ratio = 4 * np.median(error[within]) / max(np.median(change[within]), 1e-300)
        follows = (u * (a + b) / 2)[within].sum() / max((u**2)[within].sum(), 1e-300)
        if not (0.55 < ratio < 1.8 and 0.7 < follows < 1.5):
            return None
    near = distance <= edges[-1]
    # curvature adds to the one, noise of the values to the other; of a squared normal number the median is 0.455
    variance = min(np.median(change[near]) / 2, 2 * np.median(error[near])) / 0.455
    return float(np.sqrt(min(1.0, variance / np.mean((a**2)[near]))))


def _differs(factor: float) -> bool:
    """Negative, or larger or smaller than one by more than curvature explains."""
    return bool(np.isfinite(factor) and factor != 0 and (factor < 0 or abs(math.log(factor)) > math.log(SMALLEST)))


def _told(factor: float) -> str:
    """A factor in words, with the round one that it is close to.

    >>> _told(101.5), _told(3.2)
    ('about 100 (estimated: 101.5; labels per percentage point, inputs as fractions)', '3.2')
    """
    for number, told in KNOWN.items():
        if abs(abs(factor) / number - 1) < 0.05:
            return f"about {math.copysign(number, factor):.4g} (estimated: {factor:.4g}; {told})"
    return f"{factor:.4g}"


def _known(factor: float) -> bool:
    return any(abs(abs(factor) / number - 1) < 0.05 for number in KNOWN)


def _name(names: list[str], column: int) -> str:
    return repr(names[column]) if column < len(names) else str(column)
