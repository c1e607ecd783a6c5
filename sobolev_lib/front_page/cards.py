"""Cards: a picture, what it is about, a verdict in one line, and the way to the chapter; side by side as there is room."""
import html
from dataclasses import dataclass

from sobolev_lib import book_output
from sobolev_lib.plotting.palette import palette_css

STYLE = """<style>
.slc-room { width: 60rem; max-width: 100%; container-type: inline-size; }
.slc { display: grid; gap: 1rem; color: inherit; }
@container (min-width: 500px) { .slc { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
@container (min-width: 900px) { .slc { grid-template-columns: repeat(4, minmax(0, 1fr)); gap: .75rem; } }
.slc-card { --line: 1px solid var(--sl-line, rgb(128 128 128 / .4));
  position: relative; display: flex; flex-direction: column; border: var(--line);
  border-radius: 8px; overflow: hidden; background: var(--sl-card, transparent);
  font: 14.5px/1.45 system-ui, sans-serif; }
.slc-picture { aspect-ratio: 24 / 17; display: grid; border-bottom: var(--line);
  background: var(--sl-ground, transparent); }
.slc-picture :is(svg, picture, img) { display: block; width: 100%; height: 100%; min-height: 0; grid-area: 1 / 1; }
/* not on a light card where the page is dark */
.slc-picture img { object-fit: cover; padding: 0 !important; background: none !important; }
.slc-words { padding: .7rem .9rem .9rem; display: flex; flex-direction: column; gap: .45rem; flex: 1; }
.slc-words > * { margin: 0 !important; max-width: none; font: inherit; }
.slc-words > .slc-title { font-weight: 650; font-size: 1.1em; }
.slc-title a::after { content: ""; position: absolute; inset: 0; }
.slc-card:has(a:focus-visible) { outline: 2px solid #3d9be0; outline-offset: 2px; }
.slc-verdict { margin-top: auto !important; padding-top: .45rem; border-top: var(--line); }
.slc text { font: 12.5px system-ui, sans-serif; fill: currentColor; }
.slc-turn > * { opacity: .45; }
@media (prefers-reduced-motion: no-preference) {
  .slc-turn > * { opacity: 0; animation: slc-turn var(--all) calc(var(--all) * var(--at)) infinite; } }
@keyframes slc-turn { 0%, 22% { opacity: 1; } 32%, 92% { opacity: 0; } 100% { opacity: 1; } }
</style>"""


@dataclass(frozen=True)
class Card:
    """One card of a row; ``picture`` is HTML that brings its own description.

    >>> Card("Seven functions", "<svg></svg>", "Landscapes.", "open", "Nothing was run.", "seven_functions").page
    'seven_functions'

    ``status`` is a verdict's status, ``measured`` the phrase behind it, ``page`` the name of the chapter without suffix.
    """
    title: str
    picture: str
    about: str
    status: str
    measured: str
    page: str


class Cards:
    """Cards side by side, which show themselves in a notebook's output.

    >>> "seven_functions.ipynb" in Cards([Card("A", "<svg></svg>", "b", "open", "c", "seven_functions")])._repr_html_()
    True

    Links lead to notebooks, and in the built book to its pages.
    """

    def __init__(self, cards: list[Card]):
        self.cards = list(cards)

    def _repr_html_(self) -> str:
        colours = "" if book_output.in_book() else f"<style>{palette_css()}</style>"   # a page of the site has them already
        return f'{colours}{STYLE}<div class="slc-room"><div class="slc">{"".join(map(_card, self.cards))}</div></div>'


def _card(card: Card) -> str:
    address = card.page + (".html" if book_output.in_book() else ".ipynb")
    words = card.about, card.status.capitalize(), card.measured, card.title
    about, status, measured, title = [html.escape(text) for text in words]
    return (f'<div class="slc-card"><div class="slc-picture">{card.picture}</div><div class="slc-words">'
            f'<p class="slc-title"><a href="{address}">{title}</a></p><p>{about}</p>'
            f'<p class="slc-verdict"><strong>{status}.</strong> {measured}</p></div></div>')
