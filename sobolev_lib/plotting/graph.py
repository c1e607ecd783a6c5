"""What Sobolev Training computes from what, and what it compares: the paper's figure 1."""
from typing import Sequence

from sobolev_lib.plotting.style import INK, PAPER, SLOPES, context, style_of
from sobolev_lib.plotting.surfaces_matplotlib import new_figure, shown_once

LOSSES = ("loss $\\ell$", "loss $\\ell_1$", "loss $\\ell_2$", "loss $\\ell_3$")


def loss_graph(inputs: str, student: Sequence[str], teacher: Sequence[str], *, figsize: tuple[float, float] = (4.4, 4.0)):
    """Draw student and teacher side by side, one order above the other, and the losses between them.

    >>> figure = loss_graph("x", ["m(x)", "Dm(x)"], ["f(x)", "Df(x)"])

    ``student`` and ``teacher`` hold what is written into the boxes: the value, then order one, and so on. Solid arrows carry
    an error signal back into the student. Dashed ones carry none: the teacher stays as it is. Boxes stand at x = -1.5, 0 and
    1.5, and at y = -1 (the inputs), 0, 1, ...; ``box`` adds others. Returns the figure. Raises ``ValueError`` unless both
    lists have the same length, 1 to 4. Source: figure 1a; with projections, figure 1b.
    """
    if len(student) != len(teacher) or not 1 <= len(student) <= len(LOSSES):
        raise ValueError(f"student, teacher: expected as many texts in both, 1 to {len(LOSSES)}, "
                         f"got {len(student)} and {len(teacher)}")
    with context():
        axes = new_figure(figsize).add_subplot()
        axes.set(xlim=(-2.3, 2.3), ylim=(-1.4, len(student) - 0.6))
        axes.axis("off")
        bottom, arrows = box(axes, (0, -1), inputs), []
        losses = [box(axes, (0, order), text, fill=SLOPES + "30") for order, text in enumerate(LOSSES[:len(student)])]
        for texts, at, name, dash in ((student, -1.5, "Sobolev", "-"), (teacher, 1.5, "teacher", (0, (4, 3)))):
            below, colour = bottom, style_of(name).colour
            for order, text in enumerate(texts):
                node = box(axes, (at, order), text, colour)
                arrows += [(below, node, colour, dash), (node, losses[order], colour, dash)]
                below = node
        for start, end, colour, dash in arrows:            # after the boxes, at whose edges they end
            axes.annotate("", end.get_position(), start.get_position(), arrowprops={
                "arrowstyle": "->", "color": colour, "linestyle": dash,
                "patchA": start.get_bbox_patch(), "patchB": end.get_bbox_patch()})
    return shown_once(axes.figure)


def box(axes, at: tuple[float, float], text: str, colour: str = INK, fill: str = PAPER, dash: str = "-"):
    """Write ``text`` into a box around the place ``at``; returns matplotlib's text.

    >>> box(matplotlib.pyplot.figure().add_subplot(), (0, 0), "x").get_text()
    'x'
    """
    frame = {"boxstyle": "round,pad=0.45", "facecolor": fill, "edgecolor": colour, "linestyle": dash}
    return axes.text(*at, text, ha="center", va="center", fontsize=10, color=colour, bbox=frame)
