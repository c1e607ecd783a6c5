"""The pictures an Explorer shows: a surface above its gradient field, curves, or an image. They hold arrays, checked."""
from dataclasses import dataclass
from typing import Callable, Mapping

import numpy as np
from torch import Tensor

from sobolev_lib.plotting.field import arrow_vectors, check_domain, check_points, surface_field
from sobolev_lib.plotting.style import styles_of
from sobolev_lib.widgets.packing import STEPS, Blobs, deflate, pack8, pack16, pack_signed

MOST_POINTS = 400   # more marks than this hide the picture and weigh down the page
OVERLAY = ("#1f8fff", "#ff8c00")   # negative, positive: told apart by colour-blind people, bright on a black screen


@dataclass
class SurfacePanel:
    """A function of two variables from arrays: values ``z`` (n, n), rows along x2, and gradients (k, k, 2).

    >>> SurfacePanel(z=np.eye(5), domain=((0, 1), (0, 1)), title="Five by five").zrange
    (0.0, 1.0)

    ``z[i, j]`` is f at (x1[j], x2[i]) on a grid that ends at the domain's edges; ``gradients[i, j]`` lies at the
    centre of cell (i, j) of a k x k grid. ``zrange`` fixes the limits of height and colour; values beyond them are
    drawn at the limit. Panels shown together share the union of their limits.
    """
    z: np.ndarray
    domain: tuple
    gradients: np.ndarray | None = None
    points: np.ndarray | None = None
    title: str = ""
    caption: str = ""
    zrange: tuple[float, float] | None = None

    def __post_init__(self):
        self.domain = check_domain(self.domain)
        self.z = as_numbers("z", self.z)
        if self.z.ndim != 2 or self.z.shape[0] != self.z.shape[1] or len(self.z) < 2:
            raise ValueError(f"z: expected shape (n, n) with n >= 2, got {self.z.shape}")
        if self.gradients is not None:
            self.gradients = as_numbers("gradients", self.gradients)
            if self.gradients.ndim != 3 or self.gradients.shape[1:] != (len(self.gradients), 2):
                raise ValueError(f"gradients: expected shape (k, k, 2), got {self.gradients.shape}")
        self.points = check_points(self.points)
        self.zrange = _limits("zrange", self.zrange, self.z)

    def pack(self, blobs: Blobs) -> dict:
        assert self.zrange is not None                     # set above where it was not given
        low, high = self.zrange
        packed = {"kind": "surface", "title": self.title, "caption": self.caption, "domain": self.domain,
                  "n": len(self.z), "zrange": [low, high], "z": blobs.add(pack8(self.z, low, high))}
        if self.gradients is not None:
            longest = float(np.linalg.norm(self.gradients, axis=-1).max())
            arrows = pack8(arrow_vectors(self.gradients, longest), -1, 1)
            packed |= {"k": len(self.gradients), "longest": longest, "arrows": blobs.add(arrows)}
        if self.points is not None:
            (a, b), (c, d) = self.domain
            few = (self.points[:MOST_POINTS] - (a, c)) / (b - a, d - c)
            packed |= {"points": blobs.add(pack16(few, 0, 1))}
        return packed


@dataclass
class LinePanel:
    """Curves over a common ``x``, drawn from arrays; see ``line_panel``."""
    x: np.ndarray
    curves: Mapping[str, np.ndarray]
    points: np.ndarray | None = None
    title: str = ""
    caption: str = ""
    xlabel: str = ""
    ylabel: str = ""
    logy: bool = False
    yrange: tuple[float, float] | None = None
    logx: bool = False
    slopes: np.ndarray | None = None
    chosen: int | None = None
    bands: Mapping[str, np.ndarray] | None = None

    def __post_init__(self):
        self.x = as_numbers("x", self.x)
        if self.x.ndim != 1 or len(self.x) < 2:
            raise ValueError(f"x: expected shape (n,) with n >= 2, got {self.x.shape}")
        if not isinstance(self.curves, Mapping) or not self.curves:
            raise ValueError(f"curves: expected a dict of name to values with one curve at least, got {self.curves!r}")
        self.curves = {name: as_numbers(f"curves[{name!r}]", y, gaps=True) for name, y in self.curves.items()}
        for name, y in self.curves.items():
            if y.shape != self.x.shape:
                raise ValueError(f"curves[{name!r}]: expected the shape of x, {self.x.shape}, got {y.shape}")
        self.bands = {name: as_numbers(f"bands[{name!r}]", band) for name, band in (self.bands or {}).items()}
        for name, band in self.bands.items():
            if name not in self.curves:
                raise ValueError(f"bands: expected names of curves, {', '.join(self.curves)}, got {name!r}")
            if band.shape != (2, *self.x.shape):
                raise ValueError(f"bands[{name!r}]: expected two ends of the shape of x, {(2, *self.x.shape)}, got {band.shape}")
        self.points = check_points(self.points)
        count = 0 if self.points is None else len(self.points)
        if self.chosen is not None and not 0 <= self.chosen < min(count, MOST_POINTS):
            raise ValueError(f"chosen: expected one of {count} points, got {self.chosen}")
        if self.slopes is not None:
            self.slopes = as_numbers("slopes", self.slopes)
            if self.slopes.shape != (count,):
                raise ValueError(f"slopes: expected one for each of {count} points, got shape {self.slopes.shape}")
            if self.logx or self.logy:
                raise ValueError("slopes: expected none on logarithmic axes, where tangents are no straight lines")
        if self.logx:
            lowest = min([self.x.min(), *([] if self.points is None else self.points[:, 0])])
            if lowest <= 0:
                raise ValueError(f"x: expected positive numbers on a logarithmic axis, got {lowest:.3g}")
        seen = [*self.curves.values(), *map(np.ravel, self.bands.values()), *([] if self.points is None else [self.points[:, 1]])]
        every = np.concatenate(seen)
        every = every[~np.isnan(every)]
        if not len(every):
            raise ValueError("curves: expected some numbers, got only NaN")
        if self.logy and every.min() <= 0:
            raise ValueError(f"curves: expected positive numbers on a logarithmic axis, got {every.min():.3g}")
        self.yrange = _limits("yrange", self.yrange, every)
        if self.logy and self.yrange[0] <= 0:
            raise ValueError(f"yrange: expected positive limits on a logarithmic axis, got {self.yrange}")

    def pack(self, blobs: Blobs) -> dict:
        across, scale = (np.log10 if log else (lambda v: v) for log in (self.logx, self.logy))
        ylow, yhigh = (float(v) for v in scale(np.array(self.yrange)))
        x = across(self.x)
        xlow, xhigh = float(x.min()), float(x.max())
        if self.points is not None:
            at = across(self.points[:MOST_POINTS, 0])
            xlow, xhigh = min(xlow, float(at.min())), max(xhigh, float(at.max()))
        styles, along = styles_of(self.curves), blobs.add(pack16(x, xlow, xhigh))
        curves = [{"name": name, "look": styles[name].name,                # in the palette: light and dark have their own
                   "y": blobs.add(pack16(scale(y), ylow, yhigh))} for name, y in self.curves.items()]
        for curve in curves:
            if self.bands and curve["name"] in self.bands:
                curve["band"] = blobs.add(pack16(scale(self.bands[curve["name"]]), ylow, yhigh))
        packed = {"kind": "line", "title": self.title, "caption": self.caption, "xlabel": self.xlabel,
                  "ylabel": self.ylabel, "logx": self.logx, "logy": self.logy,
                  "xrange": [xlow, xhigh], "yrange": [ylow, yhigh],
                  "x": along, "curves": curves}
        if self.points is not None:
            points = np.stack([pack16(at, xlow, xhigh),
                               pack16(scale(self.points[:MOST_POINTS, 1]), ylow, yhigh)], axis=-1)
            packed |= {"points": blobs.add(points)}
            if self.chosen is not None:
                packed |= {"chosen": self.chosen}
            if self.slopes is not None:
                packed |= {"slopes": [float(f"{slope:.4g}") for slope in self.slopes[:MOST_POINTS]]}
        return packed


@dataclass
class ImagePanel:
    """Pixels, and signed numbers laid over them in two colours; see ``image_panel``."""
    image: np.ndarray
    overlay: np.ndarray | None = None
    title: str = ""
    caption: str = ""
    limit: float | None = None
    labels: tuple[str, str] = ("negative", "positive")

    def __post_init__(self):
        self.image = _pixels("image", self.image)
        self.labels = _labels("labels", self.labels)
        if self.limit is not None:
            self.limit = _positive("limit", self.limit)
        if self.overlay is None:
            return
        self.overlay = as_numbers("overlay", self.overlay)
        if self.overlay.shape != self.image.shape[:2]:
            raise ValueError(f"overlay: expected the height and width of the image, {self.image.shape[:2]}, "
                             f"got {self.overlay.shape}")
        if self.limit is None:
            self.limit = float(np.abs(self.overlay).max())

    def pack(self, blobs: Blobs) -> dict:
        height, width = self.image.shape[:2]
        packed: dict = {"kind": "image", "title": self.title, "caption": self.caption, "size": [width, height],
                  "image": blobs.add(deflate(self.image))}
        if self.overlay is not None and self.limit is not None:
            packed |= {"overlay": blobs.add(deflate(pack_signed(self.overlay, self.limit))), "steps": STEPS,
                       "colours": OVERLAY, "labels": self.labels}
        return packed


def surface_panel(f: Callable, domain, resolution: int = 33, arrows: int = 12, points=None, *, title: str = "",
                  caption: str = "", zrange=None) -> SurfacePanel:
    """A panel with the surface of ``f`` above its gradient field, sampled now.

    >>> panel = surface_panel(sl.functions.booth, sl.functions.booth.domain, title="Booth")
    >>> panel.z.shape, panel.gradients.shape
    ((33, 33), (12, 12, 2))

    ``f`` maps (N, 2) to (N,) or (N, 1); ``arrows=0`` leaves the field out; ``points`` (N, 2) are marked on the
    floor, the first 400 of them. ``zrange`` (low, high) fixes height and colour; give it to all panels of a
    comparison to keep a bad model from flattening the others. Raises ``ValueError`` for wrong shapes. Source:
    figure 3.
    """
    sampled = surface_field(f, domain, resolution, arrows or 1)
    return SurfacePanel(sampled.values, domain, sampled.gradients if arrows else None, points, title, caption, zrange)


def line_panel(x, curves: Mapping, *, points=None, slopes=None, chosen: int | None = None, title: str = "",
               caption: str = "", xlabel: str = "", ylabel: str = "", logx: bool = False, logy: bool = False,
               yrange=None, bands: Mapping | None = None) -> LinePanel:
    """A panel with curves over a common ``x``; NaN in a curve leaves a gap.

    >>> line_panel([0, 1, 2], {"regular": [3, 2, 1.0], "Sobolev": [3, 1, 0.1]}, logy=True).yrange
    (0.1, 3.0)

    ``curves`` maps names to values of the shape of ``x`` (n,); names with "regular", "sobolev" or "true" get that
    method's colour and dashes. ``points`` (N, 2) are marked, with short tangents if ``slopes`` (N,) are given; the
    one of index ``chosen`` stands out. ``bands`` maps names of curves to two ends (2, n), between which is shaded: an interval.
    With ``logx`` and ``logy`` an axis is logarithmic; its labels are the numbers, not their logarithms. Raises ``ValueError``
    for wrong shapes, a band without its curve, numbers <= 0 on a logarithmic axis, and slopes beside one.
    """
    return LinePanel(x, curves, points, title, caption, xlabel, ylabel, logy, yrange, logx, slopes, chosen, bands)


def image_panel(image, overlay=None, *, title: str = "", caption: str = "", limit: float | None = None,
                labels: tuple[str, str] = ("negative", "positive")) -> ImagePanel:
    """A panel with an image, pixel by pixel, and signed numbers laid over it: blue below zero, orange above.

    >>> panel = image_panel(np.zeros((84, 84), np.uint8), np.linspace(-1, 3, 84 * 84).reshape(84, 84), title="Pong")
    >>> panel.limit
    3.0

    ``image`` is uint8, grey (H, W) or colour (H, W, 3); ``overlay`` (H, W) floats. The colour's opacity is the number's
    size relative to ``limit``, in steps of a twentieth: zero is invisible, ``limit`` and beyond cover the image. Without
    ``limit``, the overlay's own largest size takes its place; give one to all panels whose strengths are to be
    compared. ``labels`` name the two colours below the panels, one pair for all panels shown together. Raises
    ``TypeError`` for an image that is not uint8, ``ValueError`` for wrong shapes, a limit <= 0, and numbers that are
    not finite.
    """
    return ImagePanel(image, overlay, title, caption, limit, labels)


def _pixels(name: str, values) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    dtype = getattr(values, "dtype", type(values).__name__)
    if dtype != np.uint8:
        raise TypeError(f"{name}: expected an array of uint8, got {dtype}")
    array = np.asarray(values)
    if not array.size or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise ValueError(f"{name}: expected shape (H, W) or (H, W, 3), got {array.shape}")
    return array


def _labels(name: str, labels) -> tuple[str, str]:
    if not isinstance(labels, (list, tuple)) or len(labels) != 2 or not all(isinstance(t, str) and t for t in labels):
        raise ValueError(f"{name}: expected two texts, for negative and positive, got {labels!r}")
    return tuple(labels)


def _positive(name: str, number) -> float:
    try:
        value = float(np.nan if isinstance(number, str) else number)
    except (TypeError, ValueError, RuntimeError) as error:   # the last from a tensor of several numbers
        raise TypeError(f"{name}: expected a number, got {type(number).__name__}") from error
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a finite number > 0, got {number!r}")
    return value


def as_numbers(name: str, values, gaps: bool = False) -> np.ndarray:
    """Numbers as an array of floats, checked; ``name`` is what they are called in an error."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: expected an array of numbers, got {type(values).__name__}") from error
    bad = np.isinf(array) if gaps else ~np.isfinite(array)
    if bad.any():
        raise ValueError(f"{name}: expected finite numbers, got {int(bad.sum())} that are not")
    return array


def _limits(name: str, limits, values: np.ndarray) -> tuple[float, float]:
    if limits is None:
        return float(values.min()), float(values.max())
    low, high = (float(v) for v in limits) if len(limits) == 2 else (1.0, 0.0)
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"{name}: expected (low, high) with low < high, got {limits!r}")
    return low, high
