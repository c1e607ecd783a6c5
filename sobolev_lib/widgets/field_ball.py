"""FieldBall: a field of arrows that a slider turns, and a ball that rolls along them. Proposition 4, to be seen."""
import functools
import math
from typing import Sequence

from sobolev_lib import book_output
from sobolev_lib._arguments import several
from sobolev_lib.widgets.placeholders import field_ball_placeholder
from sobolev_lib.widgets.showing import page_or_live

REACH = 2.0   # as in field_ball_model.js, like the heights of the landscapes and above which no ball is dropped
LANDSCAPES = {"bowl": (lambda x, y: (x * x + y * y) / 2, 1.8),
              "valleys": (lambda x, y: (x * x - 1) ** 2 / 4 + y * y / 2, 1.9)}
# The texts of field_ball.js, for the place that is kept for it.
BUTTONS = [["One bowl", "Two valleys"], ["Drop it again", "❚❚ Pause"]]
READINGS = ["Jacobian's asymmetry at the ball", "arrows along the dashed loop, in all", "every gradient is off on it by at least"]


def FieldBall(angle: int = 60, start: Sequence[float] = (1.5, 0.6), landscape: str = "bowl", *, alt: str = ""):
    """A field of arrows and a ball that rolls along them from where the reader drops it.

    >>> figure = FieldBall(angle=90)

    The arrows are the downhill slopes of a landscape, turned by ``angle`` degrees (0 to 90, in steps of 5). At 0 the field is
    a gradient and the ball comes to rest; at 90 it runs along height lines and circles for ever. Beside the picture stand the
    asymmetry of the field's Jacobian at the ball (``theory.jacobian_asymmetry``), and the sum of the arrows along a
    loop, the circle about the middle through ``start`` (x, y). Where ``start`` is so high up that a ball would leave the
    picture, it is taken nearer to the middle. ``landscape`` is "bowl" or "valleys". ``alt`` describes the figure
    to those who cannot see it.

    Returns an anywidget whose ``angle``, ``start`` and ``landscape`` can be read and set; in the book's build an object that shows
    itself as HTML. Raises ``ValueError`` for another landscape, an angle or a place outside; ``ImportError`` if anywidget
    is missing. Source: section 4.3, Proposition 4.
    """
    state: dict = {"landscape": _checked_landscape(landscape), "angle": _checked_angle(angle),
                   "start": _checked_start(start, landscape),
                   "alt": alt or ("A field of arrows around the bottom of a landscape, a ball that rolls along them, "
                                  "and a loop.")}
    return page_or_live("field_ball", state, state["alt"], lambda: field_ball_placeholder(BUTTONS, READINGS), _live)


@functools.cache
def _live():
    """The class of the live figure, made at its first use: the library works without anywidget."""
    import anywidget
    import traitlets

    class LiveFieldBall(anywidget.AnyWidget):
        """Made by ``FieldBall``; ``angle``, ``start`` and ``landscape`` can be set."""
        _esm = book_output.module_script("field_ball")
        landscape = traitlets.Unicode().tag(sync=True)
        angle = traitlets.Int().tag(sync=True)
        start = traitlets.List().tag(sync=True)
        alt = traitlets.Unicode().tag(sync=True)

        @traitlets.validate("landscape", "angle")
        def _possible(self, proposal):
            checks = {"landscape": _checked_landscape, "angle": _checked_angle}
            return checks[proposal["trait"].name](proposal["value"])

        @traitlets.validate("start")
        def _possible_start(self, proposal):
            return _checked_start(proposal["value"], self.landscape)

        @traitlets.observe("landscape")
        def _other_heights(self, change):
            self.start = self.start                        # validated again

    return LiveFieldBall


def _checked_landscape(landscape) -> str:
    if not isinstance(landscape, str) or landscape not in LANDSCAPES:
        raise ValueError(f"landscape: expected one of {', '.join(LANDSCAPES)}, got {landscape!r}")
    return landscape


def _checked_angle(angle) -> int:
    if isinstance(angle, bool) or angle not in range(0, 91, 5):
        raise ValueError(f"angle: expected degrees from 0 to 90 in steps of 5, got {angle!r}")
    return int(angle)


def _checked_start(start, landscape: str) -> list[float]:
    """The place where field_ball_model.js drops the ball (its ``placeFor``), so that ``start`` reads back what is seen."""
    expected = f"a place (x, y) with coordinates from -{REACH:g} to {REACH:g}"
    place = several(start, "start", expected)
    try:
        if any(isinstance(one, (str, bool)) for one in place):
            raise ValueError
        x, y = (float(one) for one in place)
    except (ValueError, TypeError):
        raise ValueError(f"start: expected {expected}, got {start!r}") from None
    if not all(math.isfinite(one) and abs(one) <= REACH for one in (x, y)):
        raise ValueError(f"start: expected {expected}, got {start!r}")
    height, top = LANDSCAPES[landscape]
    x, y = round(x, 3), round(y, 3)
    while height(x, y) > top:
        x, y = round(0.99 * x, 3), round(0.99 * y, 3)
    return [x, y]
