"""Pairs of neighbouring points, and how far the values' differences between them follow given slopes."""
from dataclasses import dataclass

import numpy as np

ANCHORS, CANDIDATES, ENTRIES = 1_000, 20_000, 4_000_000    # at most: points with neighbours, points to be one, numbers held
NEAR, FAR = 4, 12                                          # of each anchor: the nearest neighbours, and the next ones


@dataclass(frozen=True)
class Pairs:
    """Each anchor with its neighbours: P pairs.

    ``first``, ``second`` (P,) are rows of the table; ``direction`` (P, d) leads from one to the other in the inputs' own
    units, over the distance (P,), which is in units of each column's spread. ``near`` (P,) tells the nearest neighbours from
    the next ones, ``rank`` (P,) numbers an anchor's neighbours, ``anchor`` (P,) the ``anchors``.
    """

    first: np.ndarray
    second: np.ndarray
    direction: np.ndarray
    distance: np.ndarray
    rank: np.ndarray
    anchor: np.ndarray
    anchors: int

    @property
    def near(self) -> np.ndarray:
        return self.rank < NEAR

    def contributions(self, slopes: np.ndarray) -> np.ndarray:
        """What each column of ``slopes`` (N, d) adds to the mean slope along a pair, (P, d).

        Where one end lacks a label, the other's counts for both.
        """
        a, b = slopes[self.first], slopes[self.second]
        mean = (a + b) / 2
        missing = np.isnan(mean)
        mean[missing] = np.where(np.isnan(a), b, a)[missing]
        return mean * self.direction


def neighbours(x: np.ndarray) -> Pairs:
    """The pairs of ``x`` (N, d). Of very many points a sample, always the same one, and of equal points the first.

    Copies would fill an anchor's places for neighbours near and far with one place, which can't contradict itself.
    """
    random, d = np.random.default_rng(0), x.shape[1]
    candidates = _sample(random, len(x), min(CANDIDATES, max(1_000, ENTRIES // d)))
    candidates = candidates[np.sort(np.unique(x[candidates], axis=0, return_index=True)[1])]
    x = x[candidates]
    centred = x - x.mean(axis=0)
    spread = centred.std(axis=0)
    spread[spread <= 1e-12 * np.abs(x).max(axis=0)] = 1.0
    scaled = centred / spread
    anchors = _sample(random, len(x), min(ANCHORS, max(50, ENTRIES // (d * (NEAR + FAR)))))
    found = _nearest(scaled, anchors, min(NEAR + FAR, len(x) - 1))
    anchor, rank = (index.ravel() for index in np.indices(found.shape))
    first, second = anchors[anchor], found.ravel()
    step = scaled[second] - scaled[first]
    distance = np.sqrt((step**2).sum(axis=1))
    kept = distance > 1e-6                                 # a copy of the anchor tells nothing
    direction = step[kept] * spread / distance[kept, None]
    return Pairs(candidates[first[kept]], candidates[second[kept]], direction, distance[kept], rank[kept], anchor[kept],
                 len(anchors))


def _sample(random: np.random.Generator, n: int, most: int) -> np.ndarray:
    return np.arange(n) if n <= most else np.sort(random.choice(n, most, replace=False))


def _nearest(x: np.ndarray, anchors: np.ndarray, count: int) -> np.ndarray:
    """The rows of the ``count`` nearest other points, nearest first: (anchors, count)."""
    if count < 1:
        return np.empty((len(anchors), 0), int)
    squares, found = (x**2).sum(axis=1), []
    block = max(1, ENTRIES // len(x))
    for start in range(0, len(anchors), block):
        own = anchors[start:start + block]
        both = squares[own, None] + squares
        distance = both - 2 * x[own] @ x.T
        distance[distance < 1e-12 * both] = np.inf         # the point itself, and its copies
        nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(distance, nearest, 1), axis=1)
        found.append(np.take_along_axis(nearest, order, 1))
    return np.concatenate(found)


class Differences:
    """Differences of one output's values along pairs, to be compared with slopes.

    The disagreement of two slopes u and v is |u - v| / (|u| + |v|): 0 if they are equal, 1 if their signs differ. Means over
    pairs weigh it with |u| + |v|, up to a bound that a quarter of the pairs exceed, so that neither flat stretches nor
    a few jumps decide. They are taken over the nearest neighbours and over the next ones apart.
    """

    def __init__(self, pairs: Pairs, y: np.ndarray, rounding: float):
        self.pairs = pairs
        self.slopes = (y[pairs.second] - y[pairs.first]) / pairs.distance
        self.tolerance = 8 * rounding * np.abs(y).max() / pairs.distance
        seen = np.abs(self.slopes)[np.abs(self.slopes) > self.tolerance]
        self.bound = np.quantile(seen, 0.75) if len(seen) else 0.0

    def disagreement(self, v: np.ndarray, rows=slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Of slopes ``v`` (P, ...) along ``rows`` of the pairs: weighted disagreements and weights, both (P, ...)."""
        shape = (-1,) + (1,) * (v.ndim - 1)
        u, tolerance = self.slopes[rows].reshape(shape), self.tolerance[rows].reshape(shape)
        size = np.abs(u) + np.abs(v)
        known = np.isfinite(size) & (size > 0)
        weight = np.where(known, np.minimum(size, self.bound), 0.0)
        ratio = np.maximum(np.abs(u - v) - tolerance, 0.0) / np.where(known, size, 1.0)
        return np.where(known, ratio, 0.0) * weight, weight

    def by_anchor(self, v: np.ndarray) -> np.ndarray:
        """Sums over each anchor's pairs of what ``disagreement`` gives, near and far: (2 scales, 2, anchors)."""
        sums = []
        for scale in (self.pairs.near, ~self.pairs.near):
            sums.append([np.bincount(self.pairs.anchor[scale], part[scale], self.pairs.anchors)
                         for part in self.disagreement(v)])
        return np.array(sums)

    def factor(self, v: np.ndarray, rows: np.ndarray) -> float:
        """The number by which ``v`` (P,) comes nearest the slopes along ``rows``: a weighted median of ratios, or NaN."""
        u, v = self.slopes[rows], v[rows]
        used = np.isfinite(v) & (v != 0)
        if used.sum() < 4:
            return np.nan
        ratios, sizes = u[used] / v[used], np.abs(v[used])
        order = np.argsort(ratios)
        heavier = np.cumsum(np.minimum(sizes, np.quantile(sizes, 0.75))[order])
        return float(ratios[order][np.searchsorted(heavier, heavier[-1] / 2)])

    def factors(self, contributions: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        """The same, one number a column of ``contributions`` (P, d), by reweighted least squares; None for few pairs."""
        used = rows & np.isfinite(contributions).all(axis=1)
        c, u = contributions[used], self.slopes[used]
        if len(u) < 6 * c.shape[1]:
            return None
        least = 1e-3 * self.bound
        weight = (np.maximum(np.abs(u) + np.abs(c).sum(axis=1), least) / self.bound) ** -2
        for _ in range(15):
            weighted = c * weight[:, None]
            gram = weighted.T @ c
            found = np.linalg.lstsq(gram, weighted.T @ u, rcond=1e-10)[0]
            v = c @ found
            size = np.maximum(np.abs(u) + np.abs(v), least)
            weight = np.minimum(self.bound / size, 1.0) * (least / np.maximum(np.abs(u - v), least))
        return found

    def order(self, slopes: np.ndarray, rows: np.ndarray) -> tuple[int, ...]:
        """The order of columns of ``slopes`` (N, d) that agrees best along ``rows``, found by swapping two at a time."""
        pairs = self.pairs
        mean = (slopes[pairs.first] + slopes[pairs.second]) / 2
        rows = np.flatnonzero(rows & np.isfinite(mean).all(axis=1))
        rows = rows[::max(1, len(rows) // 2_000)]
        mean, direction, order = mean[rows], pairs.direction[rows], np.arange(slopes.shape[1])

        def measured(v):
            part, weight = self.disagreement(v, rows)
            return part.sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-300)

        v = (mean * direction).sum(axis=1)
        least = measured(v) - 1e-3
        for _ in range(2 * len(order)):
            best = None
            for i in range(len(order) - 1):
                others = np.arange(i + 1, len(order))
                moved = mean[:, order[others]] - mean[:, order[[i]]]
                changed = v[:, None] + moved * (direction[:, [i]] - direction[:, others])
                found = measured(changed)
                if found.min() < least:
                    least, best = found.min(), (i, others[found.argmin()])
            if best is None:
                break
            order[list(best)] = order[list(best)[::-1]]
            v = (mean[:, order] * direction).sum(axis=1)
            least -= 1e-3
        return tuple(int(column) for column in order)
