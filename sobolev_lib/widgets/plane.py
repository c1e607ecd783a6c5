"""A panel with arrows from the origin of a plane, and paths on which they end."""
from dataclasses import dataclass, field
from typing import Mapping

import numpy as np

from sobolev_lib.plotting.field import check_points
from sobolev_lib.plotting.style import styles_of
from sobolev_lib.widgets.packing import Blobs, pack16
from sobolev_lib.widgets.panels import MOST_POINTS, as_numbers


@dataclass
class PlanePanel:
    """Arrows and paths in a square around the origin; see ``plane_panel``."""
    arrows: Mapping[str, np.ndarray]
    paths: Mapping[str, np.ndarray] = field(default_factory=dict)
    points: np.ndarray | None = None
    title: str = ""
    caption: str = ""
    limit: float | None = None

    def __post_init__(self):
        if not isinstance(self.arrows, Mapping) or not self.arrows:
            raise ValueError(f"arrows: expected a dict of name to (x, y) with one arrow at least, got {self.arrows!r}")
        self.arrows = {name: as_numbers(f"arrows[{name!r}]", end) for name, end in self.arrows.items()}
        self.paths = {name: as_numbers(f"paths[{name!r}]", path) for name, path in self.paths.items()}
        for name, end in self.arrows.items():
            if end.shape != (2,):
                raise ValueError(f"arrows[{name!r}]: expected shape (2,), got {end.shape}")
        for name, path in self.paths.items():
            if path.ndim != 2 or path.shape[1] != 2 or len(path) < 2:
                raise ValueError(f"paths[{name!r}]: expected shape (n, 2) with n >= 2, got {path.shape}")
        self.points = check_points(self.points)
        seen = [*self.arrows.values(), *self.paths.values(), *([] if self.points is None else [self.points[:MOST_POINTS]])]
        reach = max(float(np.abs(one).max()) for one in seen if one.size)
        self.limit = (reach or 1.0) if self.limit is None else float(self.limit)
        if not (np.isfinite(self.limit) and self.limit > 0):
            raise ValueError(f"limit: expected a finite number > 0, got {self.limit!r}")
        if reach > self.limit * (1 + 1e-6):                # a circle's points may lie a rounding outside it
            raise ValueError(f"limit: expected at least {reach:g}, as far as what is drawn, got {self.limit:g}")

    def pack(self, blobs: Blobs) -> dict:
        assert self.limit is not None                      # set above where it was not given
        reach = self.limit
        styles = styles_of([*self.arrows, *self.paths])
        curves = [{"name": name, "look": styles[name].name, "to": [float(f"{c:.4g}") for c in end]}
                  for name, end in self.arrows.items()]
        curves += [{"name": name, "look": styles[name].name, "y": blobs.add(pack16(path, -reach, reach))}
                   for name, path in self.paths.items()]
        packed = {"kind": "plane", "title": self.title, "caption": self.caption, "limit": reach, "curves": curves}
        if self.points is not None and len(self.points):
            packed |= {"points": blobs.add(pack16(self.points[:MOST_POINTS], -reach, reach))}
        return packed


def plane_panel(arrows: Mapping, *, paths: Mapping | None = None, points=None, title: str = "", caption: str = "",
                limit: float | None = None) -> PlanePanel:
    """A panel with arrows that start at the origin of a plane, seen with equal axes.

    >>> turn = np.linspace(0, 2 * np.pi, 60)
    >>> circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    >>> plane_panel({"v": [0.6, 0.8]}, paths={"all v": circle}, limit=1.2).limit
    1.2

    ``arrows`` maps names to ends (2,); ``paths`` maps names to curves (n, 2); ``points`` (N, 2) are marked, the first 400 of
    them. ``limit``: the square reaches from -limit to limit on both axes; without it, as far as what is drawn. Names get
    the looks that ``line_panel`` gives them. Raises ``ValueError`` for wrong shapes, numbers that are not finite and a
    ``limit`` below what is drawn.
    """
    return PlanePanel(arrows, paths or {}, points, title, caption, limit)
