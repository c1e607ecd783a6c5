"""Hypotheses: three points on a function of three straight pieces, and all that agrees with it there. Figure 2, left."""
import functools
import math
from typing import Sequence

from sobolev_lib import book_output
from sobolev_lib.widgets.placeholders import hypotheses_placeholder
from sobolev_lib.widgets.showing import page_or_live

KNOTS = ((0.0, 0.25), (0.36, 0.8), (0.64, 0.25), (1.0, 0.7))
# The texts of hypotheses.js, for the place that is kept for it.
BUTTONS = ["One in each piece", "Two in one piece", "All in one piece", "Draw others"]
TITLES = ["The same values", "The same values and slopes"]
LEGEND = ["true function", "fits the values", "fits values and slopes"]


def Hypotheses(knots: Sequence[tuple[float, float]] = KNOTS, points: Sequence[float] | None = None, *, alt: str = ""):
    """Three points to drag on a function of three pieces, and the functions that agree with it in these points.

    >>> figure = Hypotheses(points=[0.1, 0.5, 0.9])

    Drawn are continuous functions of at most three linear pieces: on the left some of those with the same three values, on
    the right some of those with the same values and slopes. ``knots`` are the four corners (x, y) of the true function, from
    left to right, ``points`` the three places x, by default one in each piece. ``alt`` describes the figure to those
    who cannot see it.

    Returns an anywidget whose ``points`` (a list) can be read and set; in the book's build an object that shows itself as
    HTML. Raises ``ValueError`` for other than four corners, pieces without a bend between them, and points that coincide,
    lie on a bend or outside; ``ImportError`` if anywidget is missing. Source: figure 2 of the paper, on the left.
    """
    corners = _checked_knots(knots)
    if points is None:
        points = [a[0] + share * (b[0] - a[0]) for a, b, share in zip(corners, corners[1:], (0.75, 0.75, 0.8))]
    low, high = min(y for _, y in corners), max(y for _, y in corners)
    room = 0.25 * (high - low)
    state: dict = {"knots": corners, "points": _checked_points(points, corners), "heights": [low - room, high + room],
             "alt": alt or "Three points on a function of three straight pieces, to be dragged along it."}
    label = state["alt"] + " Beside each other: functions with the same values, and with the same values and slopes."
    return page_or_live("hypotheses", state, label, lambda: hypotheses_placeholder(BUTTONS, TITLES, LEGEND), _live)


@functools.cache
def _live():
    """The class of the live figure, made at its first use: the library works without anywidget."""
    import anywidget
    import traitlets

    class LiveHypotheses(anywidget.AnyWidget):
        """Made by ``Hypotheses``; ``points`` holds the three places and can be set."""
        _esm = book_output.module_script("hypotheses")
        knots = traitlets.List().tag(sync=True)
        points = traitlets.List().tag(sync=True)
        heights = traitlets.List().tag(sync=True)
        alt = traitlets.Unicode().tag(sync=True)

        @traitlets.validate("points")
        def _possible(self, proposal):
            return _checked_points(proposal["value"], self.knots)

    return LiveHypotheses


def _checked_knots(knots) -> list[list[float]]:
    knots = [[float(x), float(y)] for x, y in knots]
    if len(knots) != 4 or not all(math.isfinite(number) for knot in knots for number in knot):
        raise ValueError(f"knots: expected four corners (x, y) of finite numbers, got {knots}")
    if any(a[0] >= b[0] for a, b in zip(knots, knots[1:])):
        raise ValueError(f"knots: expected corners from left to right, got x = {[x for x, _ in knots]}")
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in zip(knots, knots[1:])]
    if any(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(slopes, slopes[1:])):
        raise ValueError(f"knots: expected a bend between neighbouring pieces, got the slopes {slopes}")
    return knots


def _checked_points(points, knots) -> list[float]:
    points = [float(x) for x in points]
    if len(points) != 3 or not all(knots[0][0] <= x <= knots[3][0] for x in points):
        raise ValueError(f"points: expected three places between {knots[0][0]} and {knots[3][0]}, got {points}")
    if len({*points, knots[1][0], knots[2][0]}) < 5:
        raise ValueError(f"points: expected different places and none on a bend, at {knots[1][0]} or {knots[2][0]}, got {points}")
    return points
