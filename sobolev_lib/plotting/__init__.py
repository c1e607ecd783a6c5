"""Figures: a function's surface above its gradient field, comparisons of models, learning curves, error bars, a fit.

>>> figure = sl.plotting.compare({"True": f, "Sobolev": model}, f.domain, points=x)
>>> shown = sl.plotting.show(figure, caption="The two surfaces are not alike.", alt="Two surfaces")

Each thing has one colour, marker and dash in all figures, from ``palette.json``. Every function returns its figure;
in a notebook it is shown when it is the cell's last value, and ``show`` gives it a caption and the colours of the page;
``captioned`` gives one to a widget, a film or a drawing.
Needs matplotlib, and plotly for ``backend="plotly"``: the extra "plot".
"""
from sobolev_lib.plotting import style
from sobolev_lib.plotting.captioned import captioned
from sobolev_lib.plotting.curves import error_bars, learning_curves
from sobolev_lib.plotting.field import SurfaceField, surface_field
from sobolev_lib.plotting.graph import loss_graph
from sobolev_lib.plotting.palette import PALETTE
from sobolev_lib.plotting.regressors import goodness_of_fit, sensitivity_profiles
from sobolev_lib.plotting.shown import show
from sobolev_lib.plotting.style import LOOKS, Style, number, style_of
from sobolev_lib.plotting.surfaces import compare, surface_with_field

__all__ = ["LOOKS", "PALETTE", "Style", "SurfaceField", "captioned", "compare", "error_bars", "goodness_of_fit",
           "learning_curves", "loss_graph", "number", "sensitivity_profiles", "show", "style", "style_of", "surface_field",
           "surface_with_field"]
