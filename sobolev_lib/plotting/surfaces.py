"""Surfaces above their gradient fields (the paper's figure 3), drawn by matplotlib or Plotly."""
from typing import Callable, Mapping

import numpy as np

from sobolev_lib.plotting import surfaces_matplotlib, surfaces_plotly
from sobolev_lib.plotting.field import Domain, check_points, surface_field

BACKENDS = {"matplotlib": surfaces_matplotlib.draw, "plotly": surfaces_plotly.draw}


def surface_with_field(f: Callable, domain: Domain, *, ax=None, backend: str = "matplotlib", resolution: int = 41,
                       arrows: int = 12, points=None, title: str = "", alt: str = ""):
    """Draw the surface of ``f`` above the vector field of its gradient, which lies on the floor.

    >>> f = sl.functions.styblinski_tang
    >>> figure = surface_with_field(f, f.domain)
    >>> figure = surface_with_field(f, f.domain, backend="plotly", alt="Styblinski-Tang above its gradient field")

    ``f`` maps (N, 2) to (N,) or (N, 1): a benchmark, a module, any torch function. ``points`` (N, 2) are marked on the
    floor. Arrows point along the gradient; their length grows with the square root of its norm. Returns the figure,
    or ``ax`` (matplotlib, 3-D) if one was given. ``alt`` describes the figure to those who cannot see it; the
    book's build asks for it with Plotly. Raises ``ValueError`` for wrong shapes, numbers that are not finite, or an
    unknown backend, ``ImportError`` if the backend is missing. Source: figure 3.
    """
    draw = _backend(backend)
    if ax is not None and backend != "matplotlib":
        raise ValueError(f"ax: expected none with backend {backend!r}, got {type(ax).__name__}")
    if ax is not None and getattr(ax, "name", None) != "3d":
        raise ValueError("ax: expected a 3-D axes (projection='3d'), got a flat one")
    fields = {title: surface_field(f, domain, resolution, arrows)}
    drawn = draw(fields, points=check_points(points), limits=_limits(fields.values()), alt=alt or title,
                 **({} if ax is None else {"axes": [ax]}))
    return drawn if ax is None else ax


def compare(functions: Mapping[str, Callable], domain: Domain, points=None, *, backend: str = "matplotlib",
            resolution: int = 33, arrows: int = 12, alt: str = ""):
    """Draw several functions side by side, true, regular and Sobolev for example, with one height and colour scale.

    >>> f = sl.functions.booth
    >>> figure = compare({"True": f, "Sobolev": model}, f.domain, points=f.sample(20))

    ``functions`` maps titles to functions (N, 2) -> (N,) or (N, 1); ``points`` (N, 2), the training points, are
    marked on each floor. The limits hold all functions, so a model that is far off shows as far off. Returns the
    figure. Raises as ``surface_with_field``. Source: figure 3.
    """
    draw = _backend(backend)
    if not isinstance(functions, Mapping) or not functions:
        raise ValueError(f"functions: expected a dict of title to function, one at least, got {functions!r}")
    fields = {title: surface_field(f, domain, resolution, arrows) for title, f in functions.items()}
    return draw(fields, points=check_points(points), limits=_limits(fields.values()),
                alt=alt or f"Surfaces above their gradient fields: {', '.join(functions)}")


def _backend(name: str) -> Callable:
    if name not in BACKENDS:
        raise ValueError(f"backend: expected one of {', '.join(BACKENDS)}, got {name!r}")
    return BACKENDS[name]


def _limits(fields) -> tuple[float, float, float]:
    """Lowest and highest value, and longest gradient, of all panels."""
    fields = list(fields)
    return (min(float(field.values.min()) for field in fields), max(float(field.values.max()) for field in fields),
            max(float(np.linalg.norm(field.gradients, axis=-1).max()) for field in fields))
