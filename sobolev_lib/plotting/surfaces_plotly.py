"""Surfaces above gradient fields with Plotly: the reader turns and zooms them."""
import numpy as np

from sobolev_lib.book_output import show_plotly_figures
from sobolev_lib.plotting.field import SurfaceField
from sobolev_lib.plotting.style import COLOUR_MAP, INK, LINE, PAPER, POINTS, need
from sobolev_lib.plotting.surfaces_matplotlib import GAP, arrow_lines


def draw(fields: dict[str, SurfaceField], *, points, limits, alt: str):
    go = need("plotly.graph_objects")
    show_plotly_figures()
    low, high, longest = limits
    floor = low - GAP * ((high - low) or 1.0)
    # The bar lies below: in the book's column the scenes need all the width.
    bar = {"orientation": "h", "thickness": 10, "len": 0.6, "y": 0, "yanchor": "top"}
    figure = go.Figure()
    for i, (title, field) in enumerate(fields.items()):
        scene = "scene" if i == 0 else f"scene{i + 1}"
        figure.add_surface(x=field.x1, y=field.x2, z=field.values, cmin=low, cmax=high, colorscale=COLOUR_MAP,
                           showscale=i == 0, colorbar=bar, scene=scene, name=title,
                           hovertemplate="x₁ %{x:.3g}, x₂ %{y:.3g}<br>f %{z:.4g}<extra></extra>")
        line = _path(field, longest)
        figure.add_scatter3d(x=line[:, 0], y=line[:, 1], z=np.where(np.isnan(line[:, 0]), np.nan, floor), mode="lines",
                             line={"color": INK, "width": 2}, hoverinfo="skip", scene=scene, name="∇f")
        if points is not None:
            figure.add_scatter3d(x=points[:, 0], y=points[:, 1], z=np.full(len(points), floor), mode="markers",
                                 marker={"size": 3, "color": POINTS, "line": {"color": PAPER, "width": 1}},
                                 hoverinfo="skip", scene=scene, name="points")
        left, right = i / len(fields), (i + 1) / len(fields)
        figure.update_layout({scene: _scene(field, floor, high, (left, right), 1 if len(fields) == 1 else 1.08)})
        figure.add_annotation(text=title, x=(left + right) / 2, y=1, xref="paper", yref="paper", showarrow=False,
                              xanchor="center", yanchor="bottom", font={"size": 15, "color": INK})
    return figure.update_layout(template="none", paper_bgcolor=PAPER, plot_bgcolor=PAPER, font={"color": INK},
                                height=460 if len(fields) == 1 else 320, showlegend=False,
                                margin={"l": 0, "r": 0, "t": 30, "b": 40}, meta={"alt": alt})


def _path(field: SurfaceField, longest: float) -> np.ndarray:
    """All arrows as one line (n, 2) with NaN where the pen is lifted."""
    tails, tips, heads = arrow_lines(field, longest)
    lift = np.full_like(tails, np.nan)
    strokes = [tails, tips, lift, heads[:, 0], heads[:, 1], heads[:, 2], lift]
    return np.stack(strokes, axis=1).reshape(-1, 2)


def _scene(field: SurfaceField, floor: float, high: float, x: tuple[float, float], away: float) -> dict:
    eye = {"x": -1.4 * away, "y": -1.85 * away, "z": 0.95 * away}   # a narrow scene is seen from farther away
    axis = {"showbackground": False, "gridcolor": LINE, "zeroline": False, "color": INK}
    return {"domain": {"x": x, "y": (0, 1)}, "aspectmode": "cube", "camera": {"eye": eye},
            "xaxis": {**axis, "title": {"text": "x₁"}, "range": [field.x1[0], field.x1[-1]]},
            "yaxis": {**axis, "title": {"text": "x₂"}, "range": [field.x2[0], field.x2[-1]]},
            # the colour bar tells heights; tick labels would go on below the surface, down to the floor
            "zaxis": {**axis, "title": {"text": ""}, "showticklabels": False, "range": [floor, high]}}
