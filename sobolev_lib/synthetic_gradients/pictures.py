"""Two pictures for notebooks and pages: who works when, and what each method of Table 1 learns from."""
import html
import itertools
from typing import Mapping, Sequence

from sobolev_lib.plotting.palette import PALETTE
from sobolev_lib.synthetic_gradients.methods import METHODS

# Values go forward and gradients, which are slopes, go back; each takes the page's colour for it.
COLOURS = {what: f"var(--sl-{name},{PALETTE[name]['light']})"
           for what, name in (("forward", "points"), ("backward", "slopes"), ("synthetic gradient", "other2"))}
LETTERS = {"forward": "F", "backward": "B", "synthetic gradient": "S"}
WIDTH, LEFT, ROW = 640, 64, 26                             # of the drawing, of the names' column, of a row
LARGE = 18                                                 # pixels of its letters on a phone, which draws them half as large
_numbers = itertools.count()

Work = tuple[int, str, int, float, float]                  # part, what, step, begin, end


def schedule(parts: int, batches: int, *, decoupled: bool) -> list[Work]:
    """Who works when, if a forward pass takes one unit of time and a backward pass two: (part, what, step, begin, end).

    >>> schedule(2, 1, decoupled=False)
    [(1, 'forward', 1, 0, 1), (2, 'forward', 1, 1, 2), (2, 'backward', 1, 2, 4), (1, 'backward', 1, 4, 6)]

    Without decoupling a part waits until the gradient has come down to it: update locking. Decoupled parts go on at once.
    """
    work: list[Work] = []
    for step in range(1, batches + 1):
        if decoupled:
            for part in range(1, parts + 1):
                begin = 3 * (step - 1) + part - 1
                work += [(part, "forward", step, begin, begin + 1), (part, "backward", step, begin + 1, begin + 3)]
        else:
            start = 3 * parts * (step - 1)
            work += [(part, "forward", step, start + part - 1, start + part) for part in range(1, parts + 1)]
            work += [(part, "backward", step, start + parts + 2 * (parts - part), start + parts + 2 * (parts - part + 1))
                     for part in range(parts, 0, -1)]
    return work


class Timeline:
    """Rows of bars, one row a part, one panel a way to train; a line runs over them to show what happens at once.

    >>> Timeline({"Backpropagation": schedule(3, 2, decoupled=False)}, alt="Three parts take turns.")    # doctest: +SKIP

    ``panels`` maps a title to (part, what, step, begin, end): part and step count from 1; "what" is "forward", "backward"
    or "synthetic gradient". All panels share one axis, in ``unit``. ``seconds``: how long the line takes. Who has asked for
    less motion sees everything at once. Raises ``ValueError`` for panels without work, unknown kinds, and no ``alt``.
    """

    def __init__(self, panels: Mapping[str, Sequence[Work]], *, alt: str, unit: str = "", seconds: float = 12.0):
        if not alt.strip():
            raise ValueError("alt: expected a description of what happens, got an empty text")
        if not panels or not all(panels.values()):
            raise ValueError("panels: expected work in every panel, got none")
        unknown = {what for work in panels.values() for _, what, *_ in work} - set(COLOURS)
        if unknown:
            raise ValueError(f"panels: expected work among {', '.join(COLOURS)}, got {', '.join(sorted(unknown))}")
        self.panels, self.alt, self.unit, self.seconds = panels, alt, unit, seconds

    def _repr_html_(self) -> str:
        name = f"sobolev-timeline-{next(_numbers)}"
        end = max(work[-1] for panel in self.panels.values() for work in panel)
        scale, y, bars, texts = (WIDTH - LEFT - 4) / end, 4, [], []
        for title, panel in self.panels.items():
            texts.append(f'<text x="0" y="{y + 14}" font-weight="600">{html.escape(title)}</text>')
            y += 22
            parts = sorted({work[0] for work in panel}, reverse=True)          # the last part on top, as in a drawing
            for part, what, step, begin, stop in panel:
                top, left, wide = y + ROW * parts.index(part), LEFT + begin * scale, (stop - begin) * scale
                bars.append(f'<rect x="{left:.1f}" y="{top}" width="{max(wide - 0.5, 0.3):.1f}" height="{ROW - 4}" '
                            f'fill="{COLOURS[what]}"/>')
                if wide > 20:
                    label = f"{LETTERS[what]}{step}"
                    tight = "" if wide > LARGE * 0.65 * len(label) else f' class="{name}-tight"'
                    bars.append(f'<text{tight} x="{left + wide / 2:.1f}" y="{top + 15}" fill="var(--sl-ground,#ffffff)" '
                                f'text-anchor="middle">{label}</text>')
            texts += [f'<text x="0" y="{y + ROW * k + 15}">part {part}</text>' for k, part in enumerate(parts)]
            y += ROW * len(parts) + 8
        left = 0
        for what in [what for what in COLOURS if any(work[1] == what for panel in self.panels.values() for work in panel)]:
            texts.append(f'<rect x="{left}" y="{y + 2}" width="12" height="12" fill="{COLOURS[what]}"/>'
                         f'<text x="{left + 17}" y="{y + 13}">{what} ({LETTERS[what]})</text>')
            left += 55 + 9 * len(what)
        unit = f", {html.escape(self.unit)}" if self.unit else ""
        texts.append(f'<text x="{WIDTH - 2}" y="{y + 13}" text-anchor="end">time{unit} →</text>')
        height, move = y + 22, f"{name}-move"
        return (
            '<figure style="margin:0;overflow-x:auto"><style>'
            f'@keyframes {name} {{from {{transform:scaleX(0)}} to {{transform:none}}}}'
            f'@keyframes {move} {{from {{transform:none}} to {{transform:translateX({WIDTH - LEFT - 4}px)}}}}'
            f'.{name} {{transform-origin:{LEFT}px 0;animation:{name} {self.seconds}s linear infinite}}'
            f'.{move} {{animation:{move} {self.seconds}s linear infinite}}'
            f'@media (max-width: 600px) {{.{name}-drawing {{font-size:{LARGE}px}} .{name}-tight {{display:none}}}}'
            f'@media (prefers-reduced-motion: reduce) {{.{name} {{animation:none}} .{move} {{display:none}}}}</style>'
            f'<svg class="{name}-drawing" role="img" aria-label="{html.escape(self.alt, quote=True)}" '
            f'viewBox="0 0 {WIDTH} {height}" '
            'style="width:100%;min-width:20rem;max-width:60rem" font-size="11" font-family="sans-serif" fill="currentColor">'
            f'<defs><clipPath id="{name}">'
            f'<rect class="{name}" x="{LEFT}" y="0" width="{WIDTH - LEFT}" height="{height}"/></clipPath>'
            f'<g id="{name}-bars">{"".join(bars)}</g></defs>{"".join(texts)}'
            f'<use href="#{name}-bars" opacity="0.3"/><g clip-path="url(#{name})"><use href="#{name}-bars"/></g>'
            f'<line class="{move}" x1="{LEFT}" x2="{LEFT}" y1="20" y2="{y}" stroke="currentColor"/></svg></figure>')


class Diagram:
    """What a method of Table 1 hands across a cut, and what is compared with the truth: a drawing for a table.

    >>> Diagram("sobolev")                                                                     # doctest: +SKIP

    Solid arrows go forward, dashed ones carry gradients. A double ring marks what gets supervision. Raises ``ValueError``
    for a name that is not in ``METHODS``.
    """

    def __init__(self, method: str):
        if method not in METHODS:
            raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
        self.method = method

    @property
    def alt(self) -> str:
        """The drawing in words."""
        return {
            "backprop": "The gradient of the loss passes from the upper part through h to the lower part.",
            "noprop": "No gradient passes from the upper part to the lower part.",
            "direct": "A box maps h and y to a gradient, which goes to h. The gradient gets supervision.",
            "vfbn": "A predictor maps h and y to a loss m. Its derivative goes to h. Only the derivative gets supervision.",
            "critic": "A predictor maps h and y to a loss m. Its derivative goes to h. Only the loss gets supervision.",
            "sobolev": "A predictor maps h and y to a loss m. Its derivative goes to h. Loss and derivative get supervision.",
        }[self.method]

    def _repr_html_(self) -> str:
        name, gradient = f"sobolev-diagram-{next(_numbers)}", COLOURS["backward"]
        drawn = [_box(36, 118, "lower"), _node(36, 80, "h"), _box(36, 44, "upper"), _node(36, 14, "loss", wide=17),
                 _arrow(36, 109, 36, 92, name), _arrow(36, 69, 36, 53, name), _arrow(36, 35, 36, 25, name)]
        back = f'stroke="{gradient}" stroke-dasharray="4 2"'
        if self.method == "backprop":
            drawn += [f'<path d="M54 16 C70 28 68 66 48 76" fill="none" {back} marker-end="url(#{name}-back)"/>',
                      f'<path d="M48 84 C58 94 60 104 56 110" fill="none" {back} marker-end="url(#{name}-back)"/>']
        if self.method == "noprop":
            drawn.append(f'<path d="M52 74 l10 12 m0 -12 l-10 12" stroke="{gradient}" stroke-width="2"/>')
        if self.method == "direct":
            drawn += [_box(120, 44, "guess"), _node(120, 96, "g", ring=True), _arrow(47, 76, 100, 50, name),
                      _arrow(120, 53, 120, 83, name),
                      f'<path d="M108 98 L50 84" {back} marker-end="url(#{name}-back)"/>', _label(148, 26, "y"),
                      _arrow(144, 30, 130, 36, name)]
        if self.method in ("vfbn", "critic", "sobolev"):
            drawn += [_box(120, 66, "guess"), _node(120, 24, "m", ring=self.method != "vfbn"),
                      _node(120, 108, "∂m/∂h", ring=self.method != "critic", wide=22),
                      _arrow(47, 78, 100, 68, name), _arrow(120, 57, 120, 37, name), _label(152, 28, "y"),
                      _arrow(148, 25, 134, 25, name),
                      f'<path d="M144 34 C158 60 158 80 146 100" fill="none" {back} marker-end="url(#{name}-back)"/>',
                      f'<path d="M97 106 L50 87" {back} marker-end="url(#{name}-back)"/>']
        heads = "".join(
            f'<marker id="{name}{suffix}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" '
            f'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{colour}"/></marker>'
            for suffix, colour in (("", "currentColor"), ("-back", gradient)))
        return (f'<svg role="img" aria-label="{html.escape(self.alt, quote=True)}" viewBox="0 0 164 134" width="164" '
                'height="134" font-size="11" font-family="sans-serif" fill="currentColor">'
                f'<defs>{heads}</defs>{"".join(drawn)}</svg>')


def _label(x, y, text) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="middle">{text}</text>'


def _box(x, y, text) -> str:
    return (f'<rect x="{x - 20}" y="{y - 9}" width="40" height="18" rx="3" fill="none" stroke="currentColor"/>'
            + _label(x, y + 4, text))


def _node(x, y, text, ring=False, wide=10) -> str:
    drawn = f'<ellipse cx="{x}" cy="{y}" rx="{wide}" ry="10" fill="none" stroke="currentColor"/>'
    if ring:
        drawn = (f'<ellipse cx="{x}" cy="{y}" rx="{wide}" ry="10" fill="{COLOURS["synthetic gradient"]}" '
                 f'fill-opacity="0.3" stroke="currentColor"/>'
                 f'<ellipse cx="{x}" cy="{y}" rx="{wide + 3}" ry="13" fill="none" stroke="currentColor"/>')
    return drawn + _label(x, y + 4, text)


def _arrow(x1, y1, x2, y2, name) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="currentColor" marker-end="url(#{name})"/>'
