"""Walk through a page as a reader does, at the width of a desk or of a phone, and note what moved and what was missed.

One walk serves the tests of layout, those of accessibility and those of what is on the page, whichever ask first.
"""

import dataclasses
from urllib.parse import urlsplit

import pages
import visits

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
NARROW = {"width": 360, "height": 780}  # where accessibility is judged: smaller than most phones
SIZES = {"wide": WIDE, "phone": PHONE}
WATCH = pages.ROOT / "tests" / "book" / "walk.js"
AXE = pages.ROOT / "tests" / "vendor" / "axe" / "axe.min.js"


@dataclasses.dataclass
class Walk:
    """What a reader met on a page at one width."""

    missed: list = dataclasses.field(default_factory=list)  # headings that a link did not reach
    shift: float = 0.0  # cumulative layout shift from the first paint to the page's end
    shifts: list = dataclasses.field(default_factory=list)
    grown: list = dataclasses.field(default_factory=list)  # widgets whose place was not as high as they are
    sideways: int = 0  # pixels
    faults: list | None = None  # of axe, serious or critical, where it judged
    moving: list = dataclasses.field(default_factory=list)  # although less motion was asked for
    visit: visits.Visit = dataclasses.field(default_factory=visits.Visit)  # errors and requests, and what is in it
    ready: dict = dataclasses.field(default_factory=dict)  # milliseconds until the first widget of each kind was there


WALKS: dict[tuple[str, str], Walk] = {}


def walk(page, url, size, judged=True):
    """Walk in this tab through the page at this address and size, "wide" or "phone"; a second time the first Walk is returned.

    The phone asks for less motion, and the page is opened there a second time, by a link to its last heading. As wide as a desk it
    is looked at closely (visits.py). In the end axe judges it in its light theme, if it is asked to: that takes longest.
    """
    key = urlsplit(url).path, size
    if key not in WALKS:
        page.goto("about:blank")
        page.set_viewport_size(SIZES[size])
        page.emulate_media(reduced_motion="reduce" if size == "phone" else "no-preference")
        seen = WALKS[key] = Walk()
        with visits.watched(page, seen.visit):
            _walk(seen, page, url, size, judged)
    return WALKS[key]


def judge(page, url):
    """What axe finds serious or critical on a page in this tab, at both widths and in both themes: as it opens, and with all
    buttons of its widgets pressed."""
    page.set_viewport_size(PHONE)
    page.emulate_media(reduced_motion="reduce")
    _prepared(_open(page, url))
    faults = _judged(page, "html", "as it opens", ("narrow", NARROW), ("wide", WIDE))
    page.evaluate("walk.press()")
    if page.locator(".sobolev-widget").count():
        faults += _judged(page, ".sobolev-widget", "with its buttons pressed", ("wide", WIDE), ("narrow", NARROW))
    return faults


def arrive(page, url):
    """The headings that links do not reach as wide as a desk, from outside and before any widget has mounted."""
    page.set_viewport_size(WIDE)
    places = _open(page, url).evaluate("walk.places()")
    return _open(page, f"{url}#{places[-1]}").evaluate("walk.arrived()")


def tab(chromium):
    """A tab for many walks: what pages share, such as scripts and fonts, is there after the first."""
    page = chromium.new_page(color_scheme="light")
    page.add_init_script(path=WATCH)
    return page


def _walk(seen, page, url, size, judged):
    places = _open(page, url).evaluate("walk.places()")
    seen.ready = page.evaluate("walk.ready")
    shifts = page.evaluate("walk.down()")
    seen.shift = sum(shift["value"] for shift in shifts)
    seen.shifts = sorted(shifts, key=lambda shift: -shift["value"])[:3]
    seen.grown = page.evaluate("walk.grown()")
    seen.sideways = page.evaluate("walk.sideways()")
    if size == "phone":
        page.evaluate("walk.look()")
    seen.missed = page.evaluate("ids => walk.jumps(ids, true)", places)
    if size == "wide":
        visits.look_closely(page, seen.visit)
    else:
        seen.moving = page.evaluate("walk.moving()")
        visits.look(page, seen.visit)
    if judged:
        _prepared(page)
        state, width = ("with its buttons pressed", ("wide", WIDE)) if size == "wide" else ("as it opens", ("narrow", NARROW))
        seen.faults = _judged(page, "html", state, width, themes=("light",))
    if size == "phone":
        seen.missed += _open(page, f"{url}#{places[-1]}").evaluate("walk.arrived()")


def _open(page, url):
    page.goto("about:blank")  # else a link into the same page would not load it again
    page.goto(url, wait_until="load")
    page.evaluate("walk.typeset()")
    return page


def _prepared(page):
    page.evaluate(AXE.read_text())
    page.evaluate("walk.thin()")


def _judged(page, where, state, *widths, themes=("light", "dark")):
    faults = []
    for again, (width, size) in enumerate(widths):
        page.set_viewport_size(size)
        page.evaluate("walk.settled()")
        for theme in themes:
            found = page.evaluate("given => walk.axe(...given)", [where, theme, bool(again)])
            faults += [f"{theme}, {width}, {state}: {fault}" for fault in found]
    return faults
