"""One look for every figure: a colour, a marker and a dash for each thing, from ``palette.json``; sizes and fonts.

Colour is never the only cue: markers, dashes and hatches differ too.
"""
import importlib
import re
from typing import NamedTuple

from sobolev_lib.plotting.palette import PAGE, PALETTE

COLOUR_MAP = "viridis"   # perceptually uniform, readable by colour-blind people and in grey print
PAPER, INK, SOFT, LINE = PAGE["ground"], PAGE["ink"], PAGE["soft"], PAGE["line"]
POINTS, SLOPES = PALETTE["points"]["light"], PALETTE["slopes"]["light"]   # of the training data: values and slopes


class Style(NamedTuple):
    """How a thing is drawn in all figures.

    >>> LOOKS["sobolev"].marker
    'o'

    ``colour`` is the one on a white ground, ``dash`` the lengths of stroke and gap in points, empty for a solid line, ``name``
    the thing's name in the palette.
    """

    colour: str             # on a white ground; a figure that is shown takes the page's own
    marker: str
    dash: tuple[int, ...]   # lengths of stroke and gap in points; empty for a solid line
    hatch: str
    name: str               # in the palette

    def line(self, **more) -> dict:
        """Keywords for matplotlib's ``plot``: colour and dash; ``marker=True`` adds the marker.

        >>> LOOKS["sobolev"].line(linewidth=1)["linewidth"]
        1
        """
        if more.pop("marker", False):
            more = {"marker": self.marker, **more}
        return {"color": self.colour, "dashes": self.dash or (None, None), **more}


def _look(name: str, hatch: str = "") -> Style:
    look = PALETTE[name]
    return Style(look["light"], look["marker"], tuple(look["dash"]), hatch, name)


LOOKS = {"true": _look("truth", ".."), "regular": _look("regular", "//"), "sobolev": _look("sobolev")}
OTHERS = tuple(_look(f"other{k + 1}", hatch) for k, hatch in enumerate(("xx", "\\\\", "--", "oo")))
_HATCHES = {"kl": "//", "critic": "//", "noise": "xx", "jacobian": "\\\\"}
NAMED = {name: _look(name, _HATCHES.get(name, "")) for name in PALETTE}
# The first word found in a name decides: "KL + Sobolev" is Sobolev, "KL with noise" is noise.
_WORDS = {"sobolev": "sobolev", "regular": "regular", "true": "true", "truth": "true", "teacher": "true", "noise": "noise",
          "jacobian": "jacobian", "backprop": "backprop", "noprop": "noprop", "direct": "direct", "vfbn": "vfbn",
          "critic": "critic", "kl": "kl", "by values": "regular", "with slopes": "sobolev"}


def style_of(name: str, index: int = 0) -> Style:
    """The style of a thing, found by its name; other names take the ``index``-th style of a fixed list.

    >>> style_of("Sobolev, N = 20").marker
    'o'

    A name that contains "sobolev", "regular", "true", "truth" or "teacher" gets that method's style; so do the names of
    the synthetic gradients' methods, "KL", "noise" and "Jacobian". Of models that aren't trained, "by values" looks like
    regular training, and "with slopes" like Sobolev Training.
    """
    lowered = name.lower()
    if lowered in NAMED:
        return LOOKS.get(lowered) or NAMED[lowered]
    for word, thing in _WORDS.items():
        if re.search(rf"(?<![a-z]){word}(?![a-z])", lowered):
            return LOOKS.get(thing) or NAMED[thing]
    return OTHERS[index % len(OTHERS)]


def styles_of(names) -> dict[str, Style]:
    """A style for each of several names drawn together; unknown names get different ones."""
    named = list(names)
    styles: dict[str, Style] = {}
    for name in named:
        styles[name] = style_of(name, sum(s in OTHERS for s in styles.values()))
    return styles


# What every figure has in common; sizes in points. A figure of 5.2 inches is 500 CSS pixels wide, its text 14 high.
RC = {
    "figure.figsize": (5.2, 3.2), "figure.constrained_layout.use": True, "figure.facecolor": PAPER,
    "font.family": ["DejaVu Sans"], "font.size": 10.5, "mathtext.fontset": "dejavusans",
    "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.labelsize": 10.5, "legend.fontsize": 9.5,
    "xtick.labelsize": 9.5, "ytick.labelsize": 9.5, "legend.title_fontsize": 9.5,
    "text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "axes.edgecolor": SOFT, "xtick.color": SOFT, "ytick.color": SOFT, "hatch.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": LINE, "grid.linewidth": 0.8,
    "axes.facecolor": PAPER, "legend.frameon": False, "legend.handlelength": 2.6, "legend.borderaxespad": 0.3,
    "lines.linewidth": 1.8, "lines.markersize": 5, "errorbar.capsize": 3, "image.cmap": COLOUR_MAP,
    "axes.formatter.limits": (-4, 5), "axes.xmargin": 0.03,
}


def context():
    """The look of all figures, for a ``with`` block: ``with context(): figure = ...``."""
    matplotlib = need("matplotlib")
    return matplotlib.rc_context({**RC, "axes.prop_cycle": _cycle(matplotlib)})


def use() -> None:
    """Give all figures drawn from here on this look, in this process; a notebook calls it once.

    >>> use()
    """
    matplotlib = need("matplotlib")
    matplotlib.rcParams.update({**RC, "axes.prop_cycle": _cycle(matplotlib)})


def _cycle(matplotlib):
    looks = (LOOKS["sobolev"], LOOKS["regular"], *OTHERS)
    return matplotlib.cycler(color=[look.colour for look in looks])


def finish(figure) -> None:
    """Label the logarithmic axes of a figure 0.1, 1, 10, 100, with 2 and 5 between where there is room for them.

    Axes to which labels were given by hand keep them.
    """
    ticker = need("matplotlib.ticker")
    for axes in figure.get_axes():
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() != "log" or not isinstance(axis.get_major_formatter(), ticker.LogFormatter):
                continue
            low, high = sorted(axis.get_view_interval())
            if high < 100 * low:
                axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if high > 4 * low else (1, 1.5, 2, 3, 4, 5, 7)))
            axis.set_major_formatter(lambda value, _: number(value))
            axis.set_minor_formatter(ticker.NullFormatter())


def number(value: float) -> str:
    """A number as axes show it: plain from 0.001 to 99,999, as a power of ten beyond.

    >>> number(0.01), number(20_000), number(1e-5), number(3e8)
    ('0.01', '20,000', '10⁻⁵', '3·10⁸')
    """
    if value == 0 or 1e-3 <= abs(value) < 99_999.5:
        return f"{value:,.5g}".replace("-", "\u2212")
    front, power = f"{value:.2e}".split("e")
    front = front.rstrip("0").rstrip(".")
    superscript = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{'' if front == '1' else front + '·'}10{superscript}".replace("-", "\u2212")


def need(module: str, extra: str = "plot"):
    """Import ``module``, or say which extra of the package brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"{package} is needed here and is not installed: "
                          f"pip install 'sobolev_lib[{extra}]'") from error
