"""Wave: six points of a wave to drag, with their slopes, and two networks that follow them while the reader looks on."""
import base64
import functools
import math
from typing import Sequence

import numpy as np
import torch

from sobolev_lib import book_output
from sobolev_lib.models import MLP
from sobolev_lib.widgets.showing import page_or_live

PLACES = (-2.0, -1.2, -0.4, 0.4, 1.2, 2.0)
SEED = 4   # of the initial weights: of the seeds 0 to 4 the one whose errors have the median ratio
REACH, VALUE, SLOPE, GAP = 2.0, 2.4, 8.0, 0.2   # limits of a point: as in wave_truth.js


def Wave(*, alt: str = ""):
    """Six points of sin(3x) + x to drag, and two networks that follow them: one from values, one from values and slopes.

    >>> figure = Wave()

    The reader moves a point, or turns its tangent; the truth, a dotted curve, bends with them. Both networks train in the
    browser, from the same initial weights, and rest within a second. ``alt`` describes the figure to those who cannot see
    it.

    Returns an anywidget whose ``points`` (a list of six [x, value, slope]) and ``told`` (whether the second network is told
    the slopes) can be read and set, and whose ``errors`` holds "regular" and "sobolev", the root mean squared distance from
    the truth once the networks rest; in the book's build an object that shows itself as HTML. Raises ``ImportError`` if
    anywidget is missing; setting ``points`` raises ``ValueError`` for other than six rows of three, or for places out of
    order.
    """
    points = [[x, math.sin(3 * x) + x, 3 * math.cos(3 * x) + 1] for x in PLACES]
    state: dict = {"start": points, "points": points, "told": True, "weights": _initial_weights(), "errors": {},
             "alt": alt or "Six points of a wave, each with a short tangent. Two curves are fitted to them: one that "
                           "knows the values, and one that knows the values and the slopes."}
    return page_or_live("wave", state, state["alt"], _placeholder, _live)


def initial_network() -> MLP:
    """Both networks as they are before the first step; the page's networks start from these weights."""
    return MLP(1, 32, 32, 1, activation="tanh", generator=torch.Generator().manual_seed(SEED))


@functools.cache
def _live():
    """The class of the live figure, made at its first use: the library works without anywidget."""
    import anywidget
    import traitlets

    class LiveWave(anywidget.AnyWidget):
        """Made by ``Wave``; ``points`` and ``told`` can be set, ``errors`` can be read."""
        _esm = book_output.module_script("wave")
        start = traitlets.List().tag(sync=True)
        points = traitlets.List().tag(sync=True)
        told = traitlets.Bool(True).tag(sync=True)
        weights = traitlets.List().tag(sync=True)
        errors = traitlets.Dict().tag(sync=True)
        alt = traitlets.Unicode().tag(sync=True)

        @traitlets.validate("points")
        def _possible(self, proposal):
            return _checked_points(proposal["value"])

    return LiveWave


def _initial_weights() -> list[dict[str, str]]:
    layers = [layer for layer in initial_network().modules() if isinstance(layer, torch.nn.Linear)]
    return [{"weight": _base64(layer.weight), "bias": _base64(layer.bias)} for layer in layers]


def _base64(parameter: torch.Tensor) -> str:
    return base64.b64encode(parameter.detach().numpy().astype("<f4").tobytes()).decode()


def _placeholder() -> str:
    """Space as high as the figure at every width: the sums of the heights in wave_look.js."""
    return ('<div class="sobolev-placeholder" style="container-type:inline-size"><style>'
            ".swv-space { height: calc(clamp(260px, 46cqw, 300px) + 180px); } "
            "@container (max-width: 520px) { .swv-space { height: calc(clamp(260px, 46cqw, 300px) + 160px); } }"
            '</style><div class="swv-space"></div></div>')


def _checked_points(points: Sequence) -> list[list[float]]:
    array = np.asarray(points, dtype=float)
    if array.shape != (len(PLACES), 3) or not np.isfinite(array).all():
        raise ValueError(f"points: expected {len(PLACES)} rows (x, value, slope) of finite numbers, got {points!r}")
    x, values, slopes = np.round(array.T, 9)
    if abs(x).max() > REACH or np.diff(x).min() < GAP - 1e-6:
        raise ValueError(f"points: expected places from left to right between {-REACH:g} and {REACH:g}, {GAP:g} apart at "
                         f"least, got {x.tolist()}")
    if abs(values).max() > VALUE or abs(slopes).max() > SLOPE:
        raise ValueError(f"points: expected values up to {VALUE:g} and slopes up to {SLOPE:g} in size, got "
                         f"{values.tolist()} and {slopes.tolist()}")
    return array.tolist()
