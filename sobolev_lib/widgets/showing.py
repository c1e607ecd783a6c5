"""How a widget is shown: as HTML in the book's build, live in Jupyter and Colab."""
from collections.abc import Callable

from sobolev_lib import book_output
from sobolev_lib.plotting.style import need


def page_or_live(name: str, state: dict, label: str, placeholder: Callable[[], str], live: Callable[[], type]):
    """The widget of that name: in the book's build a ``StaticWidget`` in the place that is kept for it, else a live one.

    >>> shown = page_or_live("wave", {}, "A wave", lambda: "", lambda: dict)
    >>> type(shown).__name__                                # in the book it is a StaticWidget
    'dict'

    ``live`` gives the class of the live one, and is asked for it only then: the book's build needs no anywidget. ``label``
    is what a screen reader says on the page. Raises ``ImportError`` if anywidget is missing where it is needed.
    """
    if book_output.in_book():
        return book_output.StaticWidget(book_output.widget_html(name, state, label, placeholder=placeholder()))
    need("anywidget", "widgets")
    return live()(**state)
