"""One look for every figure of the book: a fixed colour, marker and line style for each method.

Colours are Okabe and Ito's colour-blind safe blue and a darkened orange. Each has a contrast of at least 3 on white
and on the dark theme's background. Colour is never the only cue: markers, dashes and hatches differ too.
"""
import importlib
from typing import NamedTuple

COLOUR_MAP = "viridis"   # perceptually uniform, readable by colour-blind people and in grey print
PAPER = "#ffffff"        # every figure is a white card, so that it reads the same in a light and a dark theme
INK = "#222222"
POINTS = "#d55e00"       # training points


class Style(NamedTuple):
    colour: str
    marker: str
    dash: tuple[int, ...]   # lengths of stroke and gap in points; empty for a solid line
    hatch: str


METHODS = {
    "true": Style("#555555", "s", (2, 2), ".."),
    "regular": Style("#c46a00", "^", (7, 3), "//"),
    "sobolev": Style("#0072b2", "o", (), ""),
}
OTHERS = (
    Style("#009e73", "D", (9, 3, 2, 3), "xx"),
    Style("#b0588c", "v", (4, 2), "\\\\"),
    Style("#7a7a00", "P", (10, 2), "--"),
    Style("#8a5a44", "X", (1, 2), "oo"),
)
_SYNONYMS = {"sobolev": "sobolev", "regular": "regular", "true": "true", "truth": "true", "teacher": "true"}


def style_of(name: str, index: int = 0) -> Style:
    """The style of a method, found by its name; other names take the ``index``-th style of a fixed list.

    >>> style_of("Sobolev, N = 20").marker
    'o'

    A name that contains "sobolev", "regular", "true", "truth" or "teacher" gets that method's style.
    """
    lowered = name.lower()
    for word, method in _SYNONYMS.items():
        if word in lowered:
            return METHODS[method]
    return OTHERS[index % len(OTHERS)]


def styles_of(names) -> dict[str, Style]:
    """A style for each of several names drawn together; unknown names get different ones."""
    named, styles = [name for name in names], {}
    for name in named:
        styles[name] = style_of(name, sum(s in OTHERS for s in styles.values()))
    return styles


def need(module: str, extra: str = "plot"):
    """Import ``module``, or say which extra of the package brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"{package} is needed here and is not installed: "
                          f"pip install 'sobolev_lib[{extra}]'") from error
