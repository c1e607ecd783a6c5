"""Figures: a function's surface above its gradient field, comparisons of models, learning curves, error bars.

>>> figure = sl.plotting.compare({"True": f, "Sobolev": model}, f.domain, points=x)

Each method has one colour, marker and dash in all figures. All figures are white cards, readable in a light and a
dark theme. Every function returns its figure; in a notebook it is shown when it is the cell's last value.
Needs matplotlib, and plotly for ``backend="plotly"``: the extra "plot".
"""
from sobolev_lib import book_output
from sobolev_lib.plotting.curves import error_bars, learning_curves
from sobolev_lib.plotting.field import SurfaceField, surface_field
from sobolev_lib.plotting.style import METHODS, Style, style_of
from sobolev_lib.plotting.surfaces import compare, surface_with_field

__all__ = ["METHODS", "Style", "SurfaceField", "compare", "error_bars", "learning_curves", "style_of",
           "surface_field", "surface_with_field"]

book_output.install()   # the book's pages show Plotly figures through HTML of our own
