"""The playground's settings: names, limits, defaults and texts, for Python and for the front end; and its presets."""
import math
import re
from typing import Any, Mapping

from sobolev_lib.functions import BENCHMARKS

FUNCTIONS = {**{f.name: f.title for f in BENCHMARKS}, "ridge": "Sine ridge", "surface": "Draw your own surface",
             "wave": "One input: sine and line", "curve": "One input: draw your own",
             "tangents": "Points and tangents", "formula": "Your formula", "table": "Your table (CSV)"}
INPUTS = {name: 1 if name in ("wave", "curve", "tangents") else 2 for name in FUNCTIONS if name not in ("formula", "table")}
HEIGHTS = {"curve": 7, "surface": 25}   # of the drawn functions


def _steps(low: int, high: int) -> list[float]:
    """1 and 3 times the powers of ten."""
    return [float(f"{digit}e{power}") for power in range(low, high + 1) for digit in (1, 3)]


def _choice(name, label, group, options: Mapping, default, **more) -> dict:
    return {"name": name, "label": label, "group": group, "kind": "choice", "options": list(options),
            "text": list(options.values()), "default": default, **more}


def _number(name, label, group, stops, default, *, low=None, high=None, integer=False, **more) -> dict:
    return {"name": name, "label": label, "group": group, "kind": "number", "stops": list(stops), "default": default,
            "low": min(stops) if low is None else low, "high": max(stops) if high is None else high, "integer": integer, **more}


_SHARES = [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2]

# A setting of the group "main" has its control beside the curves, of other groups under "More", and without a group none of its
# own. `clears`: settings that go back to None when this one changes. `of`: the function that the setting belongs to. `was`: the
# default before it changed, which links without the setting still mean.
SCHEMA = [
    _choice("function", "function", "main", FUNCTIONS, "styblinski_tang", clears=["at", "drawing"]),
    _number("points", "points", "main", [*range(1, 31), *range(35, 101, 5), *range(120, 501, 20)], 30, integer=True,
            clears=["at"], was=60),
    _number("derivative_weight", "derivative weight", "main", [0, *_steps(-3, 1), 100, 1e3, 1e4, 1e5, 1e6], 1, was=0.1),
    _number("derivative_noise", "noise on derivatives", "main", _SHARES, 0, high=10),
    _choice("activation", "activation", "main",
            {"relu": "ReLU", "leaky_relu": "leaky ReLU", "tanh": "tanh", "softplus": "softplus"}, "softplus"),
    _number("lr", "learning rate", "main", [*_steps(-5, 0), 10], 0.003, low=1e-6),
    _number("sample", "sample", None, [0, 9999], 0, integer=True),
    {"name": "at", "group": None, "kind": "list", "low": 0, "high": 1, "longest": 1000, "unit": 1e-4, "default": None},
    {"name": "drawing", "group": None, "kind": "list", "low": -1, "high": 1, "longest": 25, "unit": 1e-3, "default": None},
    {"name": "tangents", "group": None, "kind": "list", "low": -40, "high": 40, "longest": 90, "unit": 1e-3, "default": None,
     "of": "tangents"},
    {"name": "formula", "group": None, "kind": "text", "longest": 300, "default": "sin(2*x) * cos(y)", "of": "formula"},
    {"name": "range", "group": None, "kind": "list", "low": -1e6, "high": 1e6, "longest": 4, "unit": None, "default": None,
     "of": "formula"},
    {"name": "table", "group": None, "kind": "text", "longest": 300_000, "default": None, "of": "table"},
    _number("derivative_share", "points with derivatives", "Data", [k / 10 for k in range(11)], 1,
            words={f"{k / 10:g}": f"{10 * k} %" for k in range(11)}),
    _number("value_noise", "noise on values", "Data", _SHARES, 0, high=10),
    _choice("order", "order", "Sobolev loss", {1: "1: values and derivatives", 0: "0: values only"}, 1),
    _number("width", "width", "Network", [1, 2, 4, 8, 16, 32, 64, 128], 32, integer=True),
    _number("depth", "hidden layers", "Network", [1, 2, 3, 4], 2, integer=True),
    _number("seed", "seed of the weights", "Network", [*range(10)], 0, high=9999, integer=True),
    _choice("optimizer", "optimiser", "Training", {"adam": "Adam", "sgd": "SGD", "momentum": "SGD, momentum 0.9"}, "adam"),
    _number("batch_size", "batch", "Training", [0, 1, 2, 4, 8, 16, 32, 64, 128, 256], 0, high=500, integer=True,
            words={"0": "all points"}),
    _choice("speed", "Speed", "speed", {0: "full speed", 1: "1 step/s", 5: "5 steps/s", 20: "20 steps/s", 100: "100 steps/s"}, 0),
    _choice("view", "view", None, {"3d": "3-D", "map": "map"}, "3d"),
    _choice("errors", "errors", None, {False: "no", True: "yes"}, False),
    _number("turn", "turn", None, [-1000, 1000], 0.6),
    _number("tilt", "tilt", None, [0.08, 1.5], 0.5),
]
DEFAULTS = {entry["name"]: entry["default"] for entry in SCHEMA}

# `try`: the end of a story that asks for a control which a playground with few controls does not have.
PRESETS: list[dict] = [
    {"name": "3 points are enough",
     "settings": {"function": "curve", "drawing": [-0.6, -0.2, 0.5, 0.6, 0.1, -0.5, -0.3], "at": [0.12, 0.5, 0.88],
                  "activation": "tanh", "derivative_weight": 1, "speed": 100},
     "story": "Three points of a curve. Their values leave the curve open; with their slopes it has little freedom left. "
              "Drag the points and the squares, and look where three stop being enough."},
    {"name": "Ackley fights back", "settings": {"function": "ackley", "points": 60, "derivative_weight": 1},
     "story": "Ackley is a funnel covered in small waves. Slopes at a few points tell of the waves, not of the funnel: a network "
              "that follows them goes wrong. Turn the weight down, or add points.",
     "try": "Turn the weight down, or add points."},
    {"name": "Noisy derivatives", "settings": {"points": 60, "derivative_weight": 0.1, "derivative_noise": 1, "speed": 100},
     "story": "The values are exact, the derivatives are half noise. Sobolev training starts well, then learns the noise. "
              "Press pause where it leads. Then turn the noise or the weight down.",
     "try": "Then turn the noise or the weight down."},
    {"name": "Weight too high", "settings": {"points": 60, "derivative_weight": 1e6},
     "story": "Derivatives count a million times as much as values. The Sobolev network finds the shape and loses the height: it "
              "hangs far above the target, so it is drawn lower, with a note by how much. Turn the weight down.",
     "try": "Turn the weight down."},
]


def checked_settings(settings: Mapping[str, Any], own: int | None = None) -> dict:
    """``settings`` with the defaults filled in.

    >>> checked_settings({"points": 3})["points"], checked_settings({})["points"]
    (3, 30)

    ``own`` is the number of inputs of a function or table of the caller's own, which ``function="custom"`` stands for. Raises
    ``ValueError`` or ``TypeError`` for unknown names and values out of range.
    """
    for name, value in settings.items():
        entry = next((entry for entry in SCHEMA if entry["name"] == name), None)
        if entry is None:
            raise ValueError(f"settings: expected names among {', '.join(DEFAULTS)}, got {name!r}")
        if name == "function" and own is not None and value == "custom":
            continue
        _check(entry, value)
    settings = {**DEFAULTS, **settings}
    inputs = _formula_inputs(settings) if settings["function"] == "formula" else INPUTS.get(settings["function"], own or 1)
    if settings["at"] is not None and len(settings["at"]) % inputs:
        raise ValueError(f"at: expected {inputs} numbers for each point, got {len(settings['at'])} in all")
    if settings["tangents"] is not None and len(settings["tangents"]) % 3:
        raise ValueError(f"tangents: expected place, value and slope of each point, got {len(settings['tangents'])} numbers")
    if settings["function"] == "table" and settings["table"] is None:
        raise ValueError("table: the page packs it from a CSV; in Python, pass data=SobolevData(...) instead")
    heights = HEIGHTS.get(settings["function"])
    if settings["drawing"] is not None and heights is None:
        raise ValueError(f"drawing: expected for {' or '.join(map(repr, HEIGHTS))} only, got it for {settings['function']!r}")
    if settings["drawing"] is not None and len(settings["drawing"]) != heights:
        raise ValueError(f"drawing: expected {heights} heights, got {len(settings['drawing'])}")
    return settings


def _formula_inputs(settings: Mapping[str, Any]) -> int:
    """1 for a formula in x alone, 2 with y (or x2) in it; the page reads the rest of the formula."""
    inputs = 2 if re.search(r"(?<![A-Za-z0-9])(y|x2)(?![A-Za-z0-9])", settings["formula"]) else 1
    limits = settings["range"]
    if limits is not None and (len(limits) % 2 or any(low >= high for low, high in zip(limits[::2], limits[1::2]))):
        raise ValueError(f"range: expected low < high for each input, got {limits}")
    return inputs


def _check(entry: dict, value: Any) -> None:
    name = entry["name"]
    if entry["kind"] == "choice":
        if not any(value == option and isinstance(value, bool) == isinstance(option, bool) for option in entry["options"]):
            raise ValueError(f"{name}: expected one of {', '.join(map(str, entry['options']))}, got {value!r}")
        return
    if value is None and entry["default"] is None:
        return
    if entry["kind"] == "text":
        if not isinstance(value, str) or not 1 <= len(value) <= entry["longest"]:
            raise ValueError(f"{name}: expected a text of 1 to {entry['longest']} characters, got {value!r}")
        return
    if entry["kind"] == "list":
        if isinstance(value, str) or not hasattr(value, "__len__") or not 1 <= len(value) <= entry["longest"]:
            raise ValueError(f"{name}: expected a list of 1 to {entry['longest']} numbers, got {value!r}")
        for one in value:
            _check_number(name, one, entry)
        return
    _check_number(name, value, entry)
    if entry["integer"] and value != int(value):
        raise ValueError(f"{name}: expected a whole number, got {value!r}")


def _check_number(name: str, value: Any, entry: dict) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if not math.isfinite(value) or not entry["low"] <= value <= entry["high"]:
        raise ValueError(f"{name}: expected a number between {entry['low']:g} and {entry['high']:g}, got {value!r}")
