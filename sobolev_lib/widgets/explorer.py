"""Explorer: a figure with drop-downs and sliders, precomputed in the book and computed on demand in Jupyter."""
import itertools
import math
from typing import Callable, Mapping, Sequence

from sobolev_lib import book_output
from sobolev_lib.plotting.style import need
from sobolev_lib.widgets.packing import Blobs
from sobolev_lib.widgets.panels import ImagePanel, LinePanel, SurfacePanel
from sobolev_lib.widgets.placeholders import explorer_placeholder
from sobolev_lib.widgets.plane import PlanePanel

Option = str | int | float
Panel = SurfacePanel | LinePanel | ImagePanel | PlanePanel
Frame = Sequence[Panel]


def Explorer(axes: Mapping[str, Sequence[Option]], frames: Mapping[tuple, Frame] | None = None,
             compute: Callable[..., Frame] | None = None, *, play: str | None = None,
             initial: Mapping[str, Option] | None = None, alt: str = ""):
    """Panels that follow a choice on several axes: strings become a drop-down, numbers a slider.

    >>> bowl = lambda a: surface_panel(lambda x: a * (x ** 2).sum(-1), ((-1, 1), (-1, 1)), title=f"a = {a}")
    >>> figure = Explorer({"a": [1, 2, 5]}, compute=lambda a: [bowl(a), bowl(2 * a)], alt="Two bowls")

    ``axes`` maps a name to its options, all strings or all numbers. What to show, a list of panels, is either looked
    up in ``frames`` (a tuple of options, in the order of ``axes``, to a list; every combination must be there) or
    returned by ``compute(**selection)``. With ``play``, that axis gets a play button; it plays once by itself when
    all frames are at hand and the reader has not asked for less motion. ``initial`` chooses the first options; where it
    names the axis to play, the figure stands still there until the reader presses the button.
    ``alt`` describes the figure to those who cannot see it.

    Returns an anywidget whose ``selection`` (a dict) can be read and set; in the book's build an object that shows
    itself as HTML with every frame in it. Raises ``ValueError``/``TypeError`` for wrong axes, frames or options,
    ``ImportError`` if anywidget is missing.
    """
    source = FrameSource(axes, frames, compute)
    if play is not None and play not in source.axes:
        raise ValueError(f"play: expected one of the axes {list(source.axes)}, got {play!r}")
    selection = source.selection(initial or {})
    spec = source.spec(play, alt) | {"paused": play is not None and play in (initial or {})}
    if book_output.in_book():
        return _static(source, spec, selection)
    need("anywidget", "widgets")
    from sobolev_lib.widgets.live import LiveExplorer

    return LiveExplorer(source, spec, selection)


class FrameSource:
    """The frames of an Explorer by choice of options, computed once each and packed for the front end."""

    def __init__(self, axes, frames, compute):
        self.axes = _checked_axes(axes)
        if (frames is None) == (compute is None):
            raise ValueError("Explorer: expected either frames or compute, got "
                             + ("neither" if frames is None else "both"))
        self.complete = frames is not None   # nothing left to compute: the front end gets everything at once
        if self.complete:
            frames = self._checked_frames(frames)
            self._compute = lambda selection: frames[tuple(selection.values())]
        else:
            if not callable(compute):
                raise TypeError(f"compute: expected a function of the selection, got {type(compute).__name__}")
            self._compute = lambda selection: compute(**selection)
        self.blobs = Blobs()
        self._packed: dict[str, list[dict]] = {}

    def keys(self):
        """The key of every combination: the options' positions, joined by commas, as the front end writes it."""
        counts = [range(len(options)) for options in self.axes.values()]
        return (",".join(map(str, positions)) for positions in itertools.product(*counts))

    def packed(self, key: str) -> list[dict]:
        """The panels of one combination, packed; they name their arrays, which lie in ``blobs``."""
        if key not in self._packed:
            positions = [int(position) for position in key.split(",")]
            selection = {name: options[i] for (name, options), i in zip(self.axes.items(), positions)}
            panels = _checked_frame(self._compute(selection), selection)
            self._packed[key] = [panel.pack(self.blobs) for panel in panels]
        return self._packed[key]

    def bundle(self, keys) -> dict:
        """Several combinations with the arrays they need: {"frames": key to panels, "blobs": key to base64}."""
        frames = {key: self.packed(key) for key in keys}
        return {"frames": frames, "blobs": self.blobs.used_by([p for panels in frames.values() for p in panels])}

    def selection(self, chosen: Mapping[str, Option]) -> dict[str, Option]:
        """A complete choice: ``chosen`` where given, the first option elsewhere."""
        for name, option in chosen.items():
            if name not in self.axes:
                raise ValueError(f"selection: expected names among {list(self.axes)}, got {name!r}")
            if option not in self.axes[name]:
                raise ValueError(f"selection: expected {name} among {self.axes[name]}, got {option!r}")
        return {name: chosen.get(name, options[0]) for name, options in self.axes.items()}

    def key(self, selection: Mapping[str, Option]) -> str:
        return ",".join(str(self.axes[name].index(selection[name])) for name in self.axes)

    def spec(self, play: str | None, alt: str) -> dict:
        axes = [{"name": name, "label": name.replace("_", " "), "options": options,
                 "text": [_text(option) for option in options], "numeric": not isinstance(options[0], str)}
                for name, options in self.axes.items()]
        choices = " and ".join(axis["label"] for axis in axes)
        return {"axes": axes, "play": play, "alt": alt or f"Figure that follows the choice of {choices}."}

    def _checked_frames(self, frames):
        if not isinstance(frames, Mapping):
            raise TypeError(f"frames: expected a dict, got {type(frames).__name__}")
        frames = {key if isinstance(key, tuple) else (key,): frame for key, frame in frames.items()}
        expected = list(itertools.product(*self.axes.values()))
        missing = [key for key in expected if key not in frames]
        unknown = [key for key in frames if key not in set(expected)]
        if missing or unknown:
            raise ValueError(f"frames: expected a frame for each of {len(expected)} combinations and no other, got "
                             f"{len(missing)} missing {missing[:1]} and {len(unknown)} unknown {unknown[:1]}")
        return frames


def _static(source: FrameSource, spec: dict, selection: dict) -> book_output.StaticWidget:
    state = {"spec": spec, "selection": selection, **source.bundle(source.keys())}
    placeholder = explorer_placeholder(spec, selection, source.packed(source.key(selection)), state["frames"])
    return book_output.StaticWidget(book_output.widget_html("explorer", state, spec["alt"], placeholder=placeholder))


def _checked_axes(axes) -> dict[str, list[Option]]:
    if not isinstance(axes, Mapping) or not axes:
        raise TypeError(f"axes: expected a dict of name to options with one axis at least, got {axes!r}")
    checked = {}
    for name, options in axes.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"axes: expected names that are strings, got {name!r}")
        if isinstance(options, str) or not hasattr(options, "__iter__"):
            raise TypeError(f"axes[{name!r}]: expected a list of options, got {options!r}")
        options = list(options)
        strings = [isinstance(option, str) for option in options]
        numbers = [isinstance(option, (int, float)) and not isinstance(option, bool) for option in options]
        if not options or not (all(strings) or all(numbers)):
            raise TypeError(f"axes[{name!r}]: expected options that are all strings or all numbers, got {options!r}")
        if any(isinstance(option, float) and not math.isfinite(option) for option in options):
            raise ValueError(f"axes[{name!r}]: expected finite numbers, got {options!r}")
        if len(set(options)) < len(options):
            raise ValueError(f"axes[{name!r}]: expected different options, got {options!r}")
        checked[name] = options
    return checked


def _checked_frame(frame, selection: dict) -> list[Panel]:
    if isinstance(frame, Panel):
        frame = [frame]
    if not isinstance(frame, (list, tuple)) or not frame or not all(isinstance(panel, Panel) for panel in frame):
        raise TypeError(f"frame for {selection}: expected a list of panels (surface_panel, line_panel, image_panel, "
                        f"plane_panel), got {frame!r}")
    labels = {panel.labels for panel in frame if isinstance(panel, ImagePanel) and panel.overlay is not None}
    if len(labels) > 1:   # the panels have one legend
        raise ValueError(f"frame for {selection}: expected the same labels for all overlays, got {sorted(labels)}")
    return list(frame)


def _text(option: Option) -> str:
    if isinstance(option, str):
        return option
    return f"{option:,}" if isinstance(option, int) else f"{option:g}"
