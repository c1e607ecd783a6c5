"""A number and a caption for what shows itself: a widget, a film, a drawing."""
import html

from sobolev_lib import book_output
from sobolev_lib.plotting.shown import style_sheet


def captioned(thing, caption: str):
    """What shows itself in a notebook, with a caption below; the site numbers it among its figures.

    >>> from IPython.display import HTML
    >>> shown = captioned(HTML("<b>drawing</b>"), "The drawing is bold.")

    ``thing``: a widget, or any object with ``_repr_html_``. ``caption``: a sentence that says what is to be seen, plain
    text. For matplotlib figures there is ``show``. Raises ``TypeError`` for what does not show itself as HTML or as a
    widget, ``ValueError`` for an empty caption.
    """
    if not isinstance(caption, str) or not caption.strip():
        raise ValueError(f"caption: expected a sentence with the finding, got {caption!r}")
    if not isinstance(thing, type):
        if hasattr(thing, "_repr_html_") and isinstance(thing._repr_html_(), str):
            return Captioned(thing, caption)
        if hasattr(thing, "_repr_mimebundle_") and not hasattr(thing, "_repr_html_"):
            return CaptionedWidget(thing, caption)
    raise TypeError("thing: expected a widget or an object that shows itself as HTML (plotting.show is for matplotlib figures), "
                    f"got {type(thing).__name__}")


class Captioned:
    """What ``captioned`` returns for HTML: one figure that holds it and the caption."""

    def __init__(self, thing, caption: str):
        self.thing, self.caption = thing, caption

    def _repr_html_(self) -> str:
        return _figure(self.thing._repr_html_(), self.caption)


class CaptionedWidget:
    """What ``captioned`` returns for a live widget, which no HTML can hold: it is shown first, the caption after it."""

    def __init__(self, widget, caption: str):
        self.widget, self.caption = widget, caption

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        display(self.widget)
        display(HTML(_figure("", self.caption)))


def _figure(inner: str, caption: str) -> str:
    # A page of the site has this style sheet already.
    style = "" if book_output.in_book() else f"<style>{style_sheet()}</style>"
    return (f'{style}<figure class="sl-figure" style="--sl-most:100%">{inner}'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>")
