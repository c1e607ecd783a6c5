"""What is only for who wants to look it up: shown behind its title, until that is pressed."""
import html
import sys
from dataclasses import dataclass

from sobolev_lib.notebook.text import BARE, INK

_STYLE = f"""{BARE}
details.sl-output.sl-fold {{ color: {INK}; border: 0; margin: 0.8em 0; padding: 0; background: none; }}
details.sl-output.sl-fold > summary {{ cursor: pointer; font-weight: 400; }}
"""


@dataclass(frozen=True)
class Folded:
    """Something behind its title; ``folded`` makes it."""

    title: str
    shown: object

    def _repr_html_(self) -> str:
        return (f'<details class="sl-output sl-fold"><style>{_STYLE}</style><summary>{html.escape(self.title)}</summary>'
                f"{self.shown._repr_html_()}</details>")  # type: ignore[attr-defined]  # checked in folded

    def __repr__(self) -> str:
        return f"{self.title}\n{self.shown!r}"


def folded(title: str, shown):
    """A table, a verdict or anything else that shows itself as HTML, behind a title; plain frontends show it open.

    >>> folded("All numbers", table(["method", "error"], [["regular", 0.5]]))
    All numbers
    method   error
    regular    0.5

    A live widget gets an accordion of ipywidgets, closed too. Raises ``ValueError`` for an empty title, ``TypeError`` for a
    title that is no text, and for what is neither HTML nor a widget.
    """
    if not isinstance(title, str):
        raise TypeError(f"title: expected a text, got {title!r}")
    if not title.strip():
        raise ValueError("title: expected a text, got an empty one")
    widgets = sys.modules.get("ipywidgets")                # not loaded: then nothing is a widget
    if widgets is not None and isinstance(shown, widgets.Widget):
        return widgets.Accordion(children=[shown], titles=[title], selected_index=None)
    if isinstance(shown, type) or not hasattr(shown, "_repr_html_"):
        kind = f"the class {shown.__name__}" if isinstance(shown, type) else type(shown).__name__
        raise TypeError(f"shown: expected something that shows itself as HTML, got {kind}")
    return Folded(title, shown)
