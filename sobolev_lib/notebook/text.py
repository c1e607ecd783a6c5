"""Text with the few marks of Markdown that tables and verdicts hold, and the colours of the page around them."""
import html
import re
from numbers import Integral, Real

from sobolev_lib.formats import MINUS, number, typeset


def _colour(book: str, vscode: str, jupyter: str, last: str) -> str:
    """The book's, else VS Code's (which sets Jupyter's to those of a white page, in the dark too), else Jupyter's, else ``last``."""
    return f"var(--sl-{book}, var(--vscode-{vscode}, var(--jp-{jupyter}, {last})))"


INK = _colour("ink", "editor-foreground", "content-font-color1", "var(--colab-primary-text-color, inherit)")
SOFT = _colour("soft", "editor-foreground", "content-font-color2", "color-mix(in srgb, currentColor 75%, transparent)")
LINE = _colour("line", "notebook-cellBorderColor", "border-color1", "color-mix(in srgb, currentColor 40%, transparent)")
GROUND = _colour("ground", "editor-background", "layout-color0", "var(--colab-primary-surface-color, transparent)")
# the book's theme puts a pale box under every HTML output in the dark; these bring their own colours
BARE = ".text_html:has(> .sl-output) { background: none !important; color: inherit !important; padding: 0 !important; }"
_MARKS = ((r"`([^`]+)`", r"<code>\1</code>"), (r"\*\*(?=\S)(.+?)\*\*", r"<strong>\1</strong>"),
          (r"(?<![*\w])\*(?=[^\s*])([^*]+?)\*", r"<em>\1</em>"))
_END = rf"[+{MINUS}]?(?:\d[\d.,]*(?:\xa0×\xa010[⁻⁰¹²³⁴-⁹]+)?%?|∞)"
_INTERVAL = re.compile(rf"(?<![\w.]){_END}(?: (?:to|±|of) {_END})+")
_ASIDE = re.compile(rf"\([+{MINUS}]?[\d∞][^()]{{0,24}}\)")     # a short one that begins with a number: (3 of 5 dead)


def one_line(text: str) -> str:
    """Without line breaks and runs of spaces; spaces that hold words together stay."""
    return re.sub(r"[ \t\n]+", " ", text).strip()


def as_text(cell) -> str:
    """A cell as text; numbers as ``number`` writes them, all else as Python does, with the numbers in it typeset."""
    if isinstance(cell, bool) or not isinstance(cell, Real):
        parts = one_line(str(cell)).split("`")
        return "`".join(part if k % 2 else typeset(part) for k, part in enumerate(parts))      # code stays as it is
    return number(cell, ",d" if isinstance(cell, Integral) else ",.3g")  # type: ignore[arg-type]  # any number with a format


def held(text: str) -> str:
    """Intervals, counts and short brackets without a line break within: on a phone a cell breaks before them.

    >>> held("1.5 (1.25 to 1.8) on 3 of 5 seeds")
    '1.5 (1.25\\xa0to\\xa01.8) on 3\\xa0of\\xa05 seeds'
    """
    for pattern in (_INTERVAL, _ASIDE):
        text = pattern.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    return text


def as_html(cell) -> str:
    """Text with the few marks of Markdown that cells may hold, as HTML."""
    parts = html.escape(as_text(cell)).split("`")
    text = "`".join(part if k % 2 else held(part) for k, part in enumerate(parts))      # code stays as it is
    for mark, tag in _MARKS:
        text = re.sub(mark, tag, text)
    return text


def as_plain(cell) -> str:
    """Text without those marks."""
    text = as_text(cell)
    for mark, _ in _MARKS:
        text = re.sub(mark, r"\1", text)
    return text
