"""Surfaces above gradient fields with matplotlib."""
import numpy as np

from sobolev_lib.plotting.field import SurfaceField, arrow_vectors
from sobolev_lib.plotting.style import COLOUR_MAP, INK, PAPER, POINTS, context, need

GAP = 0.75   # between the floor and the lowest possible point, in units of the surface's height


def draw(fields: dict[str, SurfaceField], *, points, limits, alt: str, axes=None):
    """``alt`` has no place in a matplotlib figure: ``show`` takes it."""
    low, high, longest = limits
    floor = low - GAP * ((high - low) or 1.0)
    made = axes is None
    with context():
        if made:
            width = 2.9 * len(fields) + 0.7   # inches; the last 0.7 hold the colour bar
            figure = new_figure(figsize=(width, 2.9), layout="none")
            axes = [figure.add_subplot(1, len(fields), i + 1, projection="3d") for i in range(len(fields))]
        for ax, (title, field) in zip(axes, fields.items()):
            surface = _draw_one(ax, field, points, (low, high, longest), floor)
            ax.set_title(title, color=INK, y=0.98)
        if not made:
            return axes[0].figure
        figure.subplots_adjust(left=0.01, right=1 - 0.8 / width, bottom=0.03, top=0.95, wspace=0.1)
        bar = figure.add_axes((1 - 0.55 / width, 0.2, 0.11 / width, 0.6))
        figure.colorbar(surface, cax=bar)
        bar.set_axisbelow(False)
    return shown_once(figure)


def _draw_one(ax, field: SurfaceField, points, limits, floor: float):
    low, high, longest = limits
    x1, x2 = np.meshgrid(field.x1, field.x2)
    # Pixels: as shapes, the patches of one surface would weigh more than the rest of a page.
    surface = ax.plot_surface(x1, x2, field.values, cmap=COLOUR_MAP, vmin=low, vmax=high, linewidth=0,
                              antialiased=False, rcount=len(field.x2), ccount=len(field.x1), rasterized=True)
    starts, ends, heads = arrow_lines(field, longest)
    lines = np.concatenate([np.stack([starts, ends], axis=1), heads[:, :2], heads[:, 1:]])   # (lines, 2 ends, 2)
    flat = np.concatenate([lines, np.full((*lines.shape[:2], 1), floor)], axis=-1)
    art3d = need("mpl_toolkits.mplot3d.art3d")
    ax.add_collection3d(art3d.Line3DCollection(flat, colors=INK, linewidths=0.7, gid="gradient-field"))
    if points is not None:
        ax.scatter(points[:, 0], points[:, 1], floor, s=16, c=POINTS, edgecolors=PAPER, linewidths=0.6,
                   depthshade=False, zorder=5, gid="points")
    ax.set_facecolor(PAPER)
    ax.set(xlim=field.x1[[0, -1]], ylim=field.x2[[0, -1]], zlim=(floor, high), xlabel="x₁", ylabel="x₂")
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_major_locator(need("matplotlib.ticker").MaxNLocator(3))
        axis.set_pane_color((1, 1, 1, 0))
    ax.grid(False)
    ax.set_zticks([tick for tick in ax.get_zticks() if low - 0.02 * (high - low) <= tick <= high])
    ax.tick_params(labelsize=8.5, pad=0)
    ax.xaxis.labelpad = ax.yaxis.labelpad = 0
    ax.view_init(elev=24, azim=-60)
    ax.set_box_aspect(None, zoom=1.1)
    return surface


def arrow_lines(field: SurfaceField, longest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arrows centred on their points: tails (K, 2), tips (K, 2), and heads (K, 3, 2) as side, tip, side."""
    at = np.stack(np.meshgrid(field.at1, field.at2), axis=-1).reshape(-1, 2)
    vectors = arrow_vectors(field.gradients, longest).reshape(-1, 2)
    size = np.array([field.x1[-1] - field.x1[0], field.x2[-1] - field.x2[0]])
    # Directions live in the units of the domain; lengths count in its sides, 0.95 of a cell for the longest.
    directions = vectors / size
    stretch = np.linalg.norm(vectors, axis=-1) / np.maximum(np.linalg.norm(directions, axis=-1), 1e-300)
    steps = directions * (0.95 / len(field.at1) * stretch)[:, None]
    tips = at + steps * size / 2
    sideways = steps[:, ::-1] * (-1, 1)
    heads = [tips + (-0.35 * steps + side * sideways) * size for side in (-0.2, 0.2)]
    return at - steps * size / 2, tips, np.stack([heads[0], tips, heads[1]], axis=1)


def new_figure(figsize: tuple[float, float], **options):
    return need("matplotlib.pyplot").figure(figsize=figsize, facecolor=PAPER, **options)


def shown_once(figure):
    """In a notebook pyplot shows its open figures after the cell, and the cell shows its last value: close one."""
    pyplot = need("matplotlib.pyplot")
    if "inline" in pyplot.get_backend():
        pyplot.close(figure)
    return figure
