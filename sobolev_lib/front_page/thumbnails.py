"""Small pictures for the front page, as SVG that takes the page's colours, and a film."""
import base64
import html
import io
import math
from typing import Sequence

import numpy as np

from sobolev_lib.plotting.palette import PALETTE

WIDTH, HEIGHT = 240, 170          # of every picture, in CSS pixels where it is smallest


def paint(name: str) -> str:
    """A thing's colour: the page's own where it has one.

    >>> paint("sobolev").startswith("var(--sl-sobolev, #")
    True
    """
    return f"var(--sl-{name}, {PALETTE[name]['light']})"


def svg(content: str, alt: str) -> str:
    """A picture of the front page's size with a description."""
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(alt, quote=True)}">{content}</svg>')


def dots(rows: Sequence[tuple[str, Sequence[tuple[float, str]]]], ticks: Sequence[tuple[float, str]], alt: str, *,
         line: float | None = None, logarithmic: bool = False) -> str:
    """Rows of dots over a common axis: each row a label and its dots, a number and a colour's name each.

    >>> "<circle" in dots([("Booth", [(7.4, "sobolev")])], [(1, "1"), (10, "10")], "One dot", logarithmic=True)
    True

    ``ticks`` are numbers with their texts; ``line`` draws a line at a number.
    """
    scale = math.log10 if logarithmic else float
    numbers = [scale(number) for _, marks in rows for number, _ in marks] + [scale(number) for number, _ in ticks]
    low, high = min(numbers), max(numbers)
    left, right, top, bottom = 100, WIDTH - 18, 14, HEIGHT - 28
    x = lambda number: left + (scale(number) - low) / ((high - low) or 1) * (right - left)
    step = (bottom - top) / len(rows)
    parts = [f'<line x1="{x(number):.1f}" y1="{top - 6}" x2="{x(number):.1f}" y2="{bottom}" stroke="currentColor" '
             f'stroke-opacity="{0.7 if number == line else 0.2}"/>'
             f'<text x="{x(number):.1f}" y="{bottom + 16}" text-anchor="middle">{html.escape(text)}</text>'
             for number, text in ticks]
    for i, (label, marks) in enumerate(rows):
        y = top + (i + 0.5) * step
        parts.append(f'<text x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{html.escape(label)}</text>')
        parts += [f'<circle cx="{x(number):.1f}" cy="{y:.1f}" r="4.5" fill-opacity=".85" style="fill: {paint(name)}"/>'
                  for number, name in marks]
    return svg("".join(parts), alt)


def agreeing(knots: Sequence[tuple[float, float]], points: Sequence[float], alt: str, count: int = 8) -> str:
    """Figure 2 of the paper, left: a function of three straight pieces and three points on it. Functions of the same kind
    take turns: on the left some with the same values, on the right the one with the same values and slopes.

    >>> agreeing([(0, 0.2), (0.3, 0.9), (0.7, 0.2), (1, 0.8)], [0.15, 0.5, 0.9], "Two panels").count("<polyline") > 8
    True
    """
    xs, ys = np.array(knots, dtype=float).T
    values = np.interp(points, xs, ys)
    turns = [bent for bent in _with_values(points, values, 200) if 0 < bent[:, 1].min() and bent[:, 1].max() < 1][:count]
    drawn = []
    for start, label, name, many in ((10, "values", "regular", turns),
                                     (128, "values and slopes", "sobolev", [np.array(knots)])):
        px, py = (lambda v, at=start: at + 102 * v), (lambda v: 14 + 140 * (0.92 - v))
        line = lambda path: " ".join(f"{px(a):.1f},{py(b):.1f}" for a, b in path)
        shapes = "".join(f'<polyline points="{line(path)}" fill="none" stroke-width="2" '
                         f'style="stroke: {paint(name)}; --at: {-k / len(many):.3f}"/>' for k, path in enumerate(many))
        drawn.append(f'<g class="slc-turn" style="--all: {len(many)}s">{shapes}</g>' if len(many) > 1 else shapes)
        drawn.append(f'<polyline points="{line(knots)}" fill="none" stroke-width="1.5" stroke-dasharray="2 4" '
                     'style="stroke: currentColor"/>')
        drawn += [f'<circle cx="{px(a):.1f}" cy="{py(b):.1f}" r="4" style="fill: {paint("points")}"/>'
                  for a, b in zip(points, values)]
        drawn.append(f'<text x="{start + 51}" y="160" text-anchor="middle">{label}</text>')
    return svg("".join(drawn), alt)


def _with_values(points, values, count: int) -> list[np.ndarray]:
    """Functions of three pieces through three points: a line through the middle one, and a hinge on either side of it."""
    random, found = np.random.default_rng(0), []
    (a, b, c), (u, v, w) = points, values
    for slope, left, right in random.random((count, 3)):
        middle = lambda x: v + 8 * (slope - 0.5) * (x - b)
        hinges = [a + (0.15 + 0.8 * left) * (b - a), b + (0.05 + 0.8 * right) * (c - b)]
        inner = [middle(x) for x in hinges]
        ends = [u + (inner[0] - u) / (hinges[0] - a) * (0 - a), w + (inner[1] - w) / (hinges[1] - c) * (1 - c)]
        found.append(np.array([(0, ends[0]), (hinges[0], inner[0]), (hinges[1], inner[1]), (1, ends[1])]))
    return found


def film(screens: np.ndarray, alt: str) -> str:
    """A short loop as WebP inside the page; who has asked for less motion sees its middle screen.

    >>> film(np.zeros((2, 8, 8, 3), np.uint8), "Black").startswith("<picture>")
    True

    ``screens`` (T, H, W, 3) uint8.
    """
    moving, still = _webp(screens), _webp(screens[len(screens) // 2][None])
    return (f'<picture><source media="(prefers-reduced-motion: reduce)" srcset="{still}">'
            f'<img src="{moving}" alt="{html.escape(alt, quote=True)}" '
            f'width="{screens.shape[2]}" height="{screens.shape[1]}"></picture>')


def _webp(screens: np.ndarray) -> str:
    from PIL import Image  # here: the other pictures do without

    images = [Image.fromarray(screen) for screen in screens]
    buffer = io.BytesIO()
    images[0].save(buffer, "WEBP", save_all=True, append_images=images[1:], duration=67, loop=0, quality=55, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
