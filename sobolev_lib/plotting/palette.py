"""The one table of colours and dashes, ``palette.json``, and the two files that bring it into the page.

    python scripts/palette.py      # writes palette.js and palette.css beside the widgets

Each thing has a colour for a white ground and one for a dark ground, told apart by colour-blind people too; a dash (lengths
of stroke and gap, empty for a solid line); and a marker. ``points`` is also the colour of what is told about values and
``slopes`` of what is told about slopes, in formulas as in pictures. Methods that learn from values alone, ``kl`` and
``critic``, look like ``regular``. ``other1`` to ``other4`` are for what has no name of its own.
"""
import json
from pathlib import Path

PALETTE = json.loads(Path(__file__).with_name("palette.json").read_text(encoding="utf-8"))
# Text, secondary text, rules, and the ground of a page: the site and Jupyter have their own; these stand in for them.
PAGE = {"ink": "#222222", "soft": "#5b6168", "line": "#d8dbdf", "ground": "#ffffff"}
DARK = ('html[data-theme="dark"]', 'html[theme="dark"]', 'body[data-jp-theme-light="false"]', "body.vscode-dark")
STATIC = Path(__file__).parents[1] / "widgets" / "static"


def palette_js() -> str:
    """The table as a JavaScript module that exports ``PALETTE``.

    >>> palette_js().startswith("// Written by")
    True
    """
    return ("// Written by scripts/palette.py from palette.json.\n"
            "export const PALETTE = {\n"
            + "".join(f"  {name}: {json.dumps(look)},\n" for name, look in PALETTE.items()) + "};\n")


def palette_css() -> str:
    """The table as CSS variables, ``--sl-truth`` and so on, for light and dark pages.

    >>> "--sl-truth: #" in palette_css()
    True

    A formula that colours a term with the light colour (``\\textcolor{#7d1160}{...}``) follows a dark page, too.
    """
    formulas = "".join(f'mjx-container [{part}="{PALETTE[name]["light"]}"] {{ {part}: var(--sl-{name}); }}\n'
                       for name in ("points", "slopes", "regular", "sobolev") for part in ("fill", "stroke"))
    return ("/* Written by scripts/palette.py from palette.json. */\n"
            f":root {{\n{_variables('light')}}}\n{', '.join(DARK)} {{\n{_variables('dark')}}}\n{formulas}")


def _variables(ground: str) -> str:
    return "".join(f"  --sl-{name}: {look[ground]};\n" for name, look in PALETTE.items())


FILES = {"palette.js": palette_js, "palette.css": palette_css}
