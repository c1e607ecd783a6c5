"""Playground: two networks that train in the reader's browser, one on values, one on values and derivatives."""
import math
from typing import Callable, Sequence

import torch

from sobolev_lib.data import SobolevData
from sobolev_lib.labelling import label
from sobolev_lib.widgets.playground_settings import PRESETS, SCHEMA, checked_settings
from sobolev_lib.widgets.showing import page_or_live

NODES = {1: 257, 2: 65}   # of the lattice that stands for a function of the caller's own
HOME = "welcome.html"      # the page of the book that has the playground with all its controls
MOST = 10_000             # rows of a table: more would make the page slow


def Playground(function: str | Callable | None = None, *, data: SobolevData | None = None, test: SobolevData | None = None,
               domain: Sequence[tuple[float, float]] | None = None, preset: str | None = None, controls: str = "all",
               alt: str = "", **settings):
    """Two networks of the same size, start and data, to train side by side in the browser.

    >>> playground = Playground("ackley", points=100, derivative_weight=0.1)
    >>> own = Playground(lambda x: torch.sin(x[:, 0] * x[:, 1]), domain=[(-2, 2), (-2, 2)])

    ``function`` is a name (one of the seven of ``sl.functions``, "ridge", "surface", "wave", "curve", "tangents", or
    "formula" together with ``formula="sin(x) * y^2"`` and ``range=[-2, 2, 0, 1]``), or a callable that takes inputs (N, 1)
    or (N, 2) to values (N,), as in ``sl.label``; then ``domain`` holds a (low, high) pair for each input. The browser gets
    such a function as cubic pieces that agree with its values and slopes on a lattice of 65 x 65 nodes (257 for one input).
    ``data`` is a table in place of a function: values and gradients of a scalar at points with one or two inputs; errors
    are measured on ``test``, or on a fifth of ``data`` that is held out.
    ``preset`` is the name of an experiment to start from, ``settings`` change it: the names in ``sobolev_lib.widgets.
    playground_settings.SCHEMA``, as they stand in the links that the book's playground makes. ``controls="few"`` leaves
    only play, step, reset, speed and the view. ``alt`` describes the figure to those who cannot see it.

    Returns an anywidget with ``settings`` (a dict, can be set), ``running`` (can be set), ``metrics``, ``history`` and
    ``network("sobolev")``; in the book's build an object that shows itself as HTML. Training takes place in the browser:
    metrics and networks are as of its last report, once a second and at each pause.
    Raises ``ValueError``/``TypeError`` for unknown names, settings out of range, and functions or tables that are not
    finite or of the wrong shape; ``ImportError`` if anywidget is missing. Source: section 4.1, figure 3.
    """
    if controls not in ("all", "few"):
        raise ValueError(f"controls: expected 'all' or 'few', got {controls!r}")
    problem = _problem(function, data, test, domain)
    if problem:
        settings = {"function": "custom", **settings}
    elif function is not None:
        settings = {"function": function, **settings}
    presets: list = PRESETS
    if preset is not None:
        chosen = [one for one in PRESETS if one["name"] == preset]
        if not chosen:
            raise ValueError(f"preset: expected one of {', '.join(repr(one['name']) for one in PRESETS)}, got {preset!r}")
        settings = {**chosen[0]["settings"], **settings}
        presets = PRESETS if controls == "all" else [_with_few_controls(chosen[0])]
    elif controls == "few":
        presets = []
    settings = checked_settings(settings, own=len(problem["domain"]) if problem else None)
    schema = SCHEMA
    if problem:
        own = {"function": "Your function", "table": "Your data"}[problem["title"]]
        first = {**SCHEMA[0], "options": ["custom", *SCHEMA[0]["options"]], "text": [own, *SCHEMA[0]["text"]]}
        schema = [first, *SCHEMA[1:]]
    state: dict = {"schema": schema, "presets": presets, "settings": settings, "problem": problem, "controls": controls,
             "home": HOME, "alt": alt or "Two networks that train side by side: on values, and on values and derivatives."}
    return page_or_live("playground", state, state["alt"], lambda: _placeholder(controls, bool(presets)), _live)


def _live():
    from sobolev_lib.widgets.live_playground import LivePlayground

    return LivePlayground


def _with_few_controls(preset: dict) -> dict:
    """The preset without what its story asks for that cannot be done.

    >>> _with_few_controls({"name": "A", "settings": {}, "story": "It is high. Turn it down.", "try": "Turn it down."})["story"]
    'It is high.'
    """
    return {**preset, "story": preset["story"].removesuffix(preset.get("try", "")).rstrip()}


# Height in pixels, as style.js sets it: in a wide box, in a column of text (below 900 pixels), on a phone (below 560).
HEIGHTS = {"all": (712, 805, 1324), "few": (606, 573, 884)}
STORY = (48, 66, 102)   # of a preset's story, in addition


def _placeholder(controls: str, story: bool) -> str:
    """The space that the playground will take, so that nothing moves when it comes."""
    wide, column, phone = (height + (more if story and controls == "few" else 0)
                           for height, more in zip(HEIGHTS[controls], STORY))
    name = f"sobolev-space-{wide}"
    return ('<div class="sobolev-placeholder" style="container-type:inline-size"><style>'
            f'.{name} {{ height: {wide}px; }} @container (max-width: 899px) {{ .{name} {{ height: {column}px; }} }} '
            f'@container (max-width: 559px) {{ .{name} {{ height: {phone}px; }} }}</style><div class="{name}"></div></div>')


def _problem(function, data, test, domain) -> dict:
    """What the front end needs to know of the caller's own function or table; empty for a function it knows."""
    if data is not None:
        if function is not None or domain is not None:
            raise ValueError("data: expected either a function or a table, got both")
        return _table(data, test)
    if test is not None:
        raise ValueError("test: expected together with data, got it alone")
    if function is None or isinstance(function, str):
        if domain is not None:
            raise ValueError(f"domain: expected together with a callable, got it for {function!r}")
        return {}
    if not callable(function):
        raise TypeError(f"function: expected a name or a callable, got {type(function).__name__}")
    domain = getattr(function, "domain", None) if domain is None else domain
    return _lattice(function, _checked_domain(domain))


def _checked_domain(domain) -> list[list[float]]:
    if domain is None:
        raise ValueError("domain: expected a (low, high) pair for each input of the function, got none")
    domain = [[float(low), float(high)] for low, high in domain]
    if len(domain) not in NODES or not all(math.isfinite(low) and math.isfinite(high) and low < high for low, high in domain):
        raise ValueError(f"domain: expected one or two pairs of finite numbers low < high, got {domain}")
    return domain


def _lattice(function: Callable, domain: list[list[float]]) -> dict:
    """Values, slopes and, for two inputs, mixed second derivatives at the nodes of a lattice."""
    side = NODES[len(domain)]
    lines = [torch.linspace(low, high, side, dtype=torch.float64) for low, high in domain]
    x = torch.stack(torch.meshgrid(*lines, indexing="xy"), dim=-1).reshape(-1, len(domain))   # the first input runs fastest
    known = label(function, x)
    assert known.jacobian is not None
    if known.out_shape not in ((), (1,)):
        raise ValueError(f"function: expected one value a point, got values of shape {tuple(known.values.shape)}")
    values, jacobian = known.values.reshape(-1), known.jacobian.reshape(-1, len(domain))
    state = {"kind": "lattice", "title": "function", "domain": domain, "side": side, "values": _short(values),
             "dx": _short(jacobian[:, 0])}
    if len(domain) == 2:   # differences of slopes: the function need not have second derivatives
        mixed, = torch.gradient(jacobian[:, 0].reshape(side, side), spacing=(lines[1],), dim=0)
        state |= {"dy": _short(jacobian[:, 1]), "dxy": _short(mixed)}
    return state


def _table(data: SobolevData, test: SobolevData | None) -> dict:
    if test is None:
        shuffled = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
        held = max(1, len(data) // 5)
        if len(data) < 2:
            raise ValueError("data: expected at least two points, to hold one out for testing, got one; or pass test=")
        data, test = data[shuffled[held:]], data[shuffled[:held]]
    rows = {name: _rows(name, one) for name, one in (("data", data), ("test", test))}
    if data.in_shape != test.in_shape:
        raise ValueError(f"test: expected inputs of shape {tuple(data.in_shape)} as in data, got {tuple(test.in_shape)}")
    x = torch.cat([data.inputs, test.inputs]).reshape(len(data) + len(test), -1).double()
    low, high = x.amin(0), x.amax(0)
    room = torch.where(high > low, 0.04 * (high - low), 0.5)
    return {"kind": "table", "title": "table", "domain": torch.stack([low - room, high + room], dim=1).tolist(),
            "train": rows["data"], "test": rows["test"]}


def _rows(name: str, data: SobolevData) -> dict:
    if not isinstance(data, SobolevData):
        raise TypeError(f"{name}: expected SobolevData, got {type(data).__name__}")
    d = math.prod(data.in_shape)
    if d not in NODES or math.prod(data.out_shape) != 1:
        raise ValueError(f"{name}: expected one or two inputs and one value a point, got inputs {tuple(data.inputs.shape)} and "
                         f"values {tuple(data.values.shape)}")
    if data.jacobian is None:
        raise ValueError(f"{name}: expected derivatives, got a table without a Jacobian")
    if len(data) > MOST:
        raise ValueError(f"{name}: expected at most {MOST} points, got {len(data)}")
    gradients = data.jacobian.reshape(len(data), d).T
    return {"n": len(data), "x": _short(data.inputs.reshape(len(data), d).T), "values": _short(data.values),
            "gradients": [None if math.isnan(one) else one for one in _short(gradients)]}


def _short(numbers: torch.Tensor) -> list[float]:
    """As a flat list, in the seven digits that float32 has."""
    return [float(f"{one:.7g}") for one in numbers.detach().flatten().tolist()]
