"""What the book's build shows where Jupyter would show something live.

Jupyter Book knows neither Plotly's output type nor live widgets, and browsers load no ES module from a page that was
opened from disk. So in the build (environment variable SOBOLEV_BOOK_BUILD set) both become plain HTML: a ``<div>``
with its data, and classic scripts beside the page's other static files.

    python -m sobolev_lib.book_output OUTDIR      # writes those scripts; the site serves OUTDIR as _static/widgets
"""
import argparse
import base64
import html
import json
import os
import re
from pathlib import Path

import numpy as np

SOURCES = Path(__file__).parent / "widgets" / "static"
STATIC = "../_static"     # seen from a page; every page lies one folder deep
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w-]+)\.js";\n', re.MULTILINE)
_TEXT = re.compile(r'^import (\w+) from "\./([\w-]+)\.(js|css)" with \{ type: "text" \};\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\b)", re.MULTILINE)
_DEFAULT = re.compile(r"^export default ", re.MULTILINE)


def in_book() -> bool:
    """True while the book is being built.

    >>> in_book()
    False
    """
    return bool(os.environ.get("SOBOLEV_BOOK_BUILD"))


# --- scripts ----------------------------------------------------------------------------------------------------

def module_script(name: str) -> str:
    """A widget's front end as one ES module, the files that it imports placed in front of it.

    >>> "export default" in module_script("explorer")
    True

    Jupyter's widgets take a single module. Raises ``ValueError`` if there is no such widget.
    """
    if not (SOURCES / f"{name}.js").is_file() or not _DEFAULT.search(_source(name)):
        raise ValueError(f"name: expected one of {', '.join(widget_names())}, got {name!r}")
    return _DEFAULT.sub("const front = ", bundle("host", name)) + "\nexport default hosted(front);\n"


def bundle(*names: str) -> str:
    """Source files with all that they import in front of them, and without a single import left.

    >>> "class Experiment" in bundle("trainer")
    True

    A file imported ``with { type: "text" }`` becomes a string: of a script its own bundle, the code of a worker; of a style
    sheet its text.
    """
    order: list[str] = []

    def visit(part: str) -> None:
        for dependency in _IMPORT.findall(_source(part)):
            visit(dependency)
        if part not in order:
            order.append(part)

    for name in names:
        visit(name)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", _with_texts(_source(part)))) for part in order)


def _with_texts(source: str) -> str:
    def text(found):
        return bundle(found[2]) if found[3] == "js" else _source(found[2], "css")

    return _TEXT.sub(lambda found: f"const {found[1]} = {json.dumps(text(found))};\n", source)


def classic_script(name: str) -> str:
    """The same front end as a classic script, which a page opened from disk may load.

    >>> classic_script("explorer").startswith("window.sobolevWidgets")
    True
    """
    return ("window.sobolevWidgets = window.sobolevWidgets || {};\n"
            f"window.sobolevWidgets[{json.dumps(name)}] = (() => {{\n\"use strict\";\n"
            f"{_DEFAULT.sub('return ', module_script(name))}\n}})();\n")


def widget_names() -> list[str]:
    """Names of all widgets: the source files with a default export.

    >>> "explorer" in widget_names()
    True
    """
    return sorted(path.stem for path in SOURCES.glob("*.js") if _DEFAULT.search(path.read_text(encoding="utf-8")))


def write_scripts(folder: str | os.PathLike) -> list[Path]:
    """Write the shim, the classic script of each widget and the style sheets into ``folder``; returns the files.

    >>> "shim.js" in [path.name for path in write_scripts(tempfile.mkdtemp())]
    True
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    scripts = {"shim.js": _source("shim"), **{f"{name}.js": classic_script(name) for name in widget_names()},
               **{path.name: path.read_text(encoding="utf-8") for path in sorted(SOURCES.glob("*.css"))}}
    for file, text in scripts.items():
        (folder / file).write_text(text, encoding="utf-8")
    return [folder / file for file in scripts]


def _source(name: str, kind: str = "js") -> str:
    return (SOURCES / f"{name}.{kind}").read_text(encoding="utf-8")


# --- HTML -------------------------------------------------------------------------------------------------------

class StaticWidget:
    """What a widget call returns in the build: an object that shows itself as HTML."""

    def __init__(self, markup: str):
        self.markup = markup

    def _repr_html_(self) -> str:
        return self.markup


def widget_html(name: str, state: dict, label: str, *, placeholder: str = "", style: str = "") -> str:
    """A widget as HTML: its state as JSON inside a ``<div>`` that the shim brings to life once it is in sight.

    >>> widget_html("explorer", {"spec": {}}, "A figure")[:27]
    '<div class="sobolev-widget"'

    ``label`` is what a screen reader says; ``placeholder`` is HTML that keeps the space until then, with the widget's own
    style sheet in force if it has one.
    """
    if not label.strip():
        raise ValueError("label: expected a description of the figure, got an empty text")
    look = f'<link rel="stylesheet" href="{STATIC}/widgets/{name}.css">' if (SOURCES / f"{name}.css").is_file() else ""
    data = json.dumps(state, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return (f'<div class="sobolev-widget" data-widget="{name}" role="group" '
            f'aria-label="{html.escape(label, quote=True)}"'
            + (f' style="{style}"' if style else "") + ">"
            f'<script type="application/json">{data}</script>{look}{placeholder}'
            f"<noscript>This figure needs JavaScript. {html.escape(label)}</noscript></div>"
            f'<script defer src="{STATIC}/widgets/shim.js"></script>')


def plotly_html(figure: dict) -> str:
    """A Plotly figure (as a dict) as HTML; plotly.js is loaded once a page, when the first figure comes into sight.

    >>> figure = plotly.graph_objects.Figure(layout={"meta": {"alt": "An empty figure"}})
    >>> "An empty figure" in plotly_html(figure.to_dict())
    True

    Raises ``ValueError`` without a text for those who cannot see the figure in ``layout.meta["alt"]``.
    """
    layout = figure.get("layout", {})
    meta = layout.get("meta")
    alt = meta.get("alt", "") if isinstance(meta, dict) else ""
    if not str(alt).strip():
        raise ValueError("figure: expected a description in layout.meta['alt'], got none; "
                         "fig.update_layout(meta={'alt': '...'}) sets it")
    state = {"figure": _compact({key: figure[key] for key in ("data", "layout") if key in figure})}
    height = layout.get("height", 450)
    return widget_html("plotly", state, alt, style=f"min-height:{height}px")


def show_plotly_figures() -> None:
    """In the build, make Plotly figures show themselves through ``plotly_html``; elsewhere do nothing.

    >>> show_plotly_figures()
    """
    if not in_book():
        return
    try:
        import plotly.io as pio
        from plotly.io.base_renderers import MimetypeRenderer
    except ImportError:
        return

    class BookRenderer(MimetypeRenderer):
        def to_mimebundle(self, fig_dict):
            return {"text/html": plotly_html(fig_dict)}

    if "sobolev_book" not in pio.renderers:
        pio.renderers["sobolev_book"] = BookRenderer()
    pio.renderers.default = "sobolev_book"


def _compact(value):
    """Arrays in at most 4 bytes a number, other numbers in 6 digits: a screen shows no more than that."""
    if isinstance(value, dict) and value.get("dtype") == "f8":   # Plotly's own packing, in doubles
        doubles = np.frombuffer(base64.b64decode(value["bdata"]), "<f8")
        return {**value, "dtype": "f4", "bdata": base64.b64encode(doubles.astype("<f4").tobytes()).decode()}
    if isinstance(value, dict):
        return {key: _compact(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _compact(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_compact(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the scripts that the book's pages load.")
    parser.add_argument("folder", help="folder served as _static/widgets")
    for written in write_scripts(parser.parse_args().folder):
        print(written)
