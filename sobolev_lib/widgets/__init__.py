"""Interactive figures: live widgets in Jupyter and Colab, plain HTML with the same front end in the built book.

>>> figure = sl.widgets.Explorer({"N": [1, 2]}, compute=lambda N: [sl.widgets.line_panel([0, 1], {"true": [0, N]})])

Front ends lie in ``static/``: ES modules without dependencies, one ``export default { render({ model, el }) }`` a
widget, in the format of anywidget.
"""
from sobolev_lib.widgets.explorer import Explorer
from sobolev_lib.widgets.field_ball import FieldBall
from sobolev_lib.widgets.guide import Guide
from sobolev_lib.widgets.hypotheses import Hypotheses
from sobolev_lib.widgets.lorenz_rollout import LorenzRollout
from sobolev_lib.widgets.panels import ImagePanel, LinePanel, SurfacePanel, image_panel, line_panel, surface_panel
from sobolev_lib.widgets.plane import PlanePanel, plane_panel
from sobolev_lib.widgets.playground import Playground
from sobolev_lib.widgets.question import Question
from sobolev_lib.widgets.wave import Wave

__all__ = ["Explorer", "FieldBall", "Guide", "Hypotheses", "ImagePanel", "LinePanel", "LorenzRollout", "PlanePanel", "Playground", "Question",
           "SurfacePanel", "Wave", "image_panel", "line_panel", "plane_panel", "surface_panel"]
