"""A matplotlib figure as a small SVG for the middle of a page: the page's colours and font, ids of its own, no clutter."""
import base64
import hashlib
import html
import io
import re
from xml.etree import ElementTree

from sobolev_lib.plotting.palette import PAGE, PALETTE
from sobolev_lib.plotting.style import need

DENSITY = 192   # dots per inch of what is drawn as pixels: twice the screen's
SMALL, QUALITY = 8_000, 90   # bytes of a PNG that stays one, and WebP's quality for larger ones
PAD = 0.04      # inches left around the drawing
_SPACE = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_FONT = re.compile(r"font-family: [^;]*(?:; )?|font: (?:(italic|oblique) )?(?:(bold|\d+) )?([\d.]+px) [^;]*")
_NUMBER = re.compile(r"-?\d+\.\d{2,}")


def svg_of(figure, alt: str) -> tuple[str, float]:
    """The figure as the text of one ``<svg>`` element, and its natural width in CSS pixels.

    >>> svg_of(matplotlib.pyplot.figure(), "An empty figure")[0][:29]
    '<svg role="img" aria-label="A'

    Colours of the palette, of text, rules and ground become CSS variables with the light theme's colour to fall back on.
    What is rasterised in the figure stays pixels. The same figure gives the same text.
    """
    file = io.StringIO()
    with need("matplotlib").rc_context({"svg.fonttype": "none", "svg.hashsalt": "sobolev"}):
        figure.savefig(file, format="svg", dpi=DENSITY, transparent=True, bbox_inches="tight", pad_inches=PAD,
                       metadata={"Date": None})
    root = ElementTree.fromstring(file.getvalue())
    parts = list(root.iter())
    used = {one for part in parts for name, value in part.attrib.items()
            for one in ([value[1:]] if name == _LINK else re.findall(r"url\(#([^)]+)\)", value))}
    body = _group_markers(_merge_lines("".join(_written(part, used) for part in root)))
    prefix = "f" + hashlib.sha256(f"{alt}{body}".encode()).hexdigest()[:8]
    body = _short_ids(body, prefix)
    box = root.get("viewBox", "")
    width, height = (float(number) for number in box.split()[2:])
    return (f'<svg role="img" aria-label="{html.escape(alt, quote=True)}" viewBox="{box}" '
            f'style="aspect-ratio:{width:.0f}/{height:.0f}">{body}</svg>', width * 96 / 72)


def page_colour(colour: str) -> str:
    """A colour as the page's variable of that name; other colours stay.

    >>> page_colour("#222222"), page_colour("#123456")
    ('var(--sl-ink,#222222)', '#123456')
    """
    name = _VARIABLES.get(colour.lower())
    return f"var(--sl-{name},{colour.lower()})" if name else colour


# The first thing of a colour gives it its name: those that share it share the dark theme's, too.
_VARIABLES = {"#000000": "ink", **{colour: name for name, look in reversed(PALETTE.items()) for colour in [look["light"]]},
              **{colour: name for name, colour in PAGE.items()}}


def _written(element, used: set[str]) -> str:
    """An element as text: without ids that nothing refers to, without groups that say nothing; ids begin with a NUL."""
    tag = element.tag.removeprefix(_SPACE)
    if tag in ("metadata", "style"):   # matplotlib's style element would speak for the whole page
        return ""
    attributes = ""
    for name, value in element.attrib.items():
        if name == "id":
            if value not in used:
                continue
            value = "\0" + value
        elif name == _LINK:
            name, value = "href", _smaller(value) if value.startswith("data:") else "#\0" + value[1:]
        else:
            value = re.sub(r"url\(#", "url(#\0", value)
        if name == "transform" and re.fullmatch(r"rotate\(-?0 .*\)", value):
            continue
        if not value.startswith("data:"):
            value = _COLOUR.sub(lambda found: page_colour(found[0]), " ".join(value.split()))
            value = _NUMBER.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), value)
        if name == "style":
            value = _FONT.sub(_without_family, value).replace(": ", ":").replace("; ", ";").strip(";")
        attributes += f' {name}="{html.escape(value, quote=True)}"'
    inside = "".join(_written(part, used) for part in element)
    if tag in ("text", "tspan"):
        inside = html.escape((element.text or "").strip(), quote=False) + inside
    if tag in ("g", "defs") and (not inside or tag == "g" and not attributes):
        return inside
    return f"<{tag}{attributes}>{inside}</{tag}>" if inside else f"<{tag}{attributes}/>"


def _smaller(picture: str) -> str:
    """Pixels as WebP, a third of the same PNG's size; small ones stay, where each pixel counts."""
    png = base64.b64decode(picture.partition(",")[2])
    if len(png) < SMALL:
        return picture
    file = io.BytesIO()
    need("PIL.Image").open(io.BytesIO(png)).save(file, format="webp", quality=QUALITY, method=6)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _without_family(font) -> str:
    """matplotlib names its own fonts, in one long property or (before version 3.10) in the short form for all of a font."""
    slant, weight, size = font.groups()
    if size is None:
        return ""
    parts = {"font-style": slant, "font-weight": weight, "font-size": size}
    return "; ".join(f"{name}: {value}" for name, value in parts.items() if value)


def _merge_lines(text: str) -> str:
    """Neighbouring strokes of the same look as one path: a field of arrows is three strokes an arrow."""
    path = re.compile(r'<path d="([^"]*)"((?: clip-path="[^"]*")? style="fill:none;stroke:[^"]*")/>')
    merged, last = [], None   # (end, strokes, look)
    at = 0
    for found in path.finditer(text):
        if last is not None and found.start() == at and found[2] == last[1] and "opacity" not in found[2]:
            last[0].append(found[1])
        else:
            merged.append(_path(last) + text[at:found.start()])
            last = ([found[1]], found[2])
        at = found.end()
    return "".join(merged) + _path(last) + text[at:]


def _group_markers(text: str) -> str:
    """Neighbouring markers of the same look say it once: a series of points is one element a point."""
    marker = r'<use href="[^"]*"(?: [xy]="[^"]*")* style="{look}"/>'
    # not those with an opacity of their own, which is not handed down
    first, same = marker.format(look='((?!opacity|[^"]*;opacity)[^"]*)'), marker.format(look=r"\1")

    def grouped(run):
        look = f' style="{run[1]}"'
        return f"<g{look}>{run[0].replace(look, '')}</g>"

    return re.sub(f"{first}(?:{same})+", grouped, text)


def _short_ids(text: str, prefix: str) -> str:
    """Ids, which begin with a NUL, become ``prefix`` and a number."""
    short: dict[str, str] = {}
    return re.sub(r'\x00[^")]+', lambda found: short.setdefault(found[0], f"{prefix}-{len(short)}"), text)


def _path(stroke) -> str:
    return f'<path d="{" ".join(stroke[0])}"{stroke[1]}/>' if stroke else ""
