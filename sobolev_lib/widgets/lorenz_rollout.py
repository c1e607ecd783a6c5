"""LorenzRollout: a simulator, and networks that learned its step, rolled out side by side in the page."""
import functools
import math
from collections.abc import Mapping

import numpy as np

from sobolev_lib import book_output
from sobolev_lib.plotting.palette import PALETTE
from sobolev_lib.widgets.placeholders import lorenz_rollout_placeholder
from sobolev_lib.widgets.showing import page_or_live

STARTS = 40                                                # as in lorenz_rollout.js
SCALES = ("input_mean", "input_std", "output_mean", "output_std")


def LorenzRollout(networks: Mapping[str, tuple[str, Mapping]], *, gap: float = 0.1, limit: float = 5.0, start: int = 0,
                  alt: str = ""):
    """The Lorenz system and networks that learned to move its state on by ``gap``, a multiple of 0.05 time units, each fed its own answers.

    >>> identity = {"layers": [{"weight": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "bias": [0, 0, 0]}],
    ...             **{name: [float("std" in name)] * 3 for name in ("input_mean", "input_std", "output_mean", "output_std")}}
    >>> figure = LorenzRollout({"stays where it is": ("regular", identity)})

    ``networks`` maps what the reader is told to a colour of the palette and to a network as
    ``experiments.learned_simulator`` records it: layers with SiLU between them, and z-scores of states (3,). ``limit`` is
    the distance from which a network counts as lost, ``start`` one of 40 places on the attractor. ``alt`` describes the
    figure to those who cannot see it.

    Returns an anywidget whose ``start`` can be read and set; in the book's build an object that shows itself as HTML.
    Raises ``ValueError`` for networks of another form, a colour that is not in the palette, a start outside or a gap that is
    no multiple of 0.05; ``ImportError`` if anywidget is missing. Source: section 5, a generative temporal model.
    """
    if not isinstance(networks, Mapping) or not networks:
        raise ValueError("networks: expected a dict of names to colours and networks, one at least, got "
                         f"{'none' if isinstance(networks, Mapping) else type(networks).__name__}")
    for name, number in (("gap", gap), ("limit", limit)):
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 < number < math.inf:
            raise ValueError(f"{name}: expected a positive number, got {number!r}")
    if abs(100 * gap - round(100 * gap)) > 1e-9 or round(100 * gap) % 5:
        raise ValueError(f"gap: expected a multiple of 0.05, got {gap!r}")
    state: dict = {"networks": [_checked(name, pair) for name, pair in networks.items()], "gap": float(gap),
                   "limit": float(limit), "start": _checked_start(start),
                   "alt": alt or "The butterfly of the Lorenz system, and the ways that networks take through it."}
    return page_or_live("lorenz_rollout", state, state["alt"], lambda: lorenz_rollout_placeholder(list(networks)), _live)


@functools.cache
def _live():
    """The class of the live figure, made at its first use: the library works without anywidget."""
    import anywidget
    import traitlets

    class LiveLorenzRollout(anywidget.AnyWidget):
        """Made by ``LorenzRollout``; ``start`` can be set."""
        _esm = book_output.module_script("lorenz_rollout")
        networks = traitlets.List().tag(sync=True)
        gap = traitlets.Float().tag(sync=True)
        limit = traitlets.Float().tag(sync=True)
        start = traitlets.Int().tag(sync=True)
        alt = traitlets.Unicode().tag(sync=True)

        @traitlets.validate("start")
        def _possible(self, proposal):
            return _checked_start(proposal["value"])

    return LiveLorenzRollout


def _checked(name, pair) -> dict:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(f"networks: expected for {name!r} a colour and a network, got {type(pair).__name__}")
    colour, network = pair
    if colour not in PALETTE:
        raise ValueError(f"networks: expected a colour of the palette for {name!r}, one of {', '.join(PALETTE)}, got {colour!r}")
    rule = (f"networks: expected for {name!r} a dict of layers, each of a weight and a bias, from 3 states to 3 with SiLU "
            f"between them, and {', '.join(SCALES)} of 3 numbers each")
    if not isinstance(network, Mapping) or set(network) != {"layers", *SCALES}:
        got = sorted(map(str, network)) if isinstance(network, Mapping) else type(network).__name__
        raise ValueError(f"{rule}, and nothing else; got {got}")
    numbers = {scale: _numbers(network[scale], f"{rule}; got {scale}") for scale in SCALES}
    for scale, found in numbers.items():
        if found.shape != (3,) or scale.endswith("std") and not (found > 0).all():
            raise ValueError(f"{rule}, std above zero; got {found.tolist()} for {scale}")
    layers, size = [], 3
    for k, layer in enumerate(network["layers"]):
        if not isinstance(layer, Mapping) or set(layer) != {"weight", "bias"}:
            raise ValueError(f"{rule}; got {layer!r} for layer {k}")
        weight, bias = (_numbers(layer[part], f"{rule}; got the {part} of layer {k}") for part in ("weight", "bias"))
        if weight.ndim != 2 or weight.shape[1] != size or bias.shape != weight.shape[:1] or not len(bias):
            raise ValueError(f"{rule}; got for layer {k} a weight of shape {weight.shape} and a bias of {bias.shape}, after "
                             f"{size} numbers")
        layers.append({"weight": weight.tolist(), "bias": bias.tolist()})
        size = len(bias)
    if not layers or size != 3:
        raise ValueError(f"{rule}; got {len(layers)} layers to {size} numbers")
    return {"name": str(name), "colour": colour,
            "network": {"layers": layers, **{scale: found.tolist() for scale, found in numbers.items()}}}


def _numbers(value, message: str) -> np.ndarray:
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{message} of another form, no table of numbers") from None
    if not np.isfinite(found).all():
        raise ValueError(f"{message} with numbers that are not finite")
    return found


def _checked_start(start) -> int:
    if isinstance(start, bool) or start not in range(STARTS):
        raise ValueError(f"start: expected a number from 0 to {STARTS - 1}, got {start!r}")
    return int(start)
